"""Extractors that find the face in each frame, and what networks of face recognition say of it."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.errors import ShapeError
from talkingface.metrics.functional.alignment import align_faces
from talkingface.metrics.networks.facenet import MTCNN, load_facenet, mtcnn_files
from talkingface.metrics.networks.iresnet import EMBEDDING, load_iresnet
from talkingface.metrics.track import Extractor, Track

BOX, SCORE, POINTS, COUNT = slice(0, 4), 4, slice(5, 15), 15  # columns of the feature "face"
FACE_COLUMNS = 16
LEAST_FACE, LEAST_SHARE = 20, 8  # pixels; 1/8 of the shorter side of the frame
BATCH = 32  # faces


class FaceDetector(Extractor):
    """The largest face of each frame by MTCNN, with its five points.

    The feature ``(T, 16)`` in pixels, pixel centres at whole numbers: box x1, y1, x2, y2; score; x and y of left eye,
    right eye, nose, left and right corner of the mouth, as they lie in the picture; number of faces that were found. A
    frame without a face is a row of NaN.
    """

    convention = (
        "face/mtcnn: facenet-pytorch's MTCNN with its own weights, thresholds 0.6/0.7/0.7, factor 0.709, smallest face "
        "1/8 of the frame's shorter side and at least 20 px; of several faces the largest box"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        self.files = mtcnn_files()  # they ship with the package
        self.detector = MTCNN(self.device)

    def extract(self, track: Track) -> Tensor:
        """uint8 frames ``(T, 3, H, W)`` → ``(T, 16)``; see the class."""
        frames = _frames(track)
        rows = torch.full((len(frames), FACE_COLUMNS), float("nan"))
        for row, (boxes, points) in zip(rows, self.detector.detect(frames, smallest_face(frames)), strict=True):
            if len(boxes):
                largest = int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).argmax())
                row[: SCORE + 1] = boxes[largest]
                row[POINTS] = points[largest].flatten()
                row[COUNT] = len(boxes)
        return rows


def smallest_face(frames: Tensor) -> int:
    """Side of the smallest face that is looked for in frames ``(..., H, W)``, in pixels."""
    return max(LEAST_FACE, min(frames.shape[-2:]) // LEAST_SHARE)


class FaceEmbedding(Extractor):
    """Face → unit vector by a network of face recognition; subclasses say which, and what it is shown."""

    network: nn.Module

    @abstractmethod
    def crops(self, frames: Tensor, faces: Tensor) -> Tensor:
        """What the network is shown.

        Args:
            frames: uint8 ``(n, 3, H, W)``, those in which a face was found.
            faces: rows of the feature "face", ``(n, 16)``.

        Returns:
            float32 ``(n, 3, side, side)``, in the network's own range.
        """

    def extract(self, track: Track) -> Tensor:
        """uint8 frames ``(T, 3, H, W)`` → unit vectors ``(T, 512)``, NaN where no face was found."""
        frames, faces = _frames(track), self.faces(track)
        rows = torch.full((len(frames), EMBEDDING), float("nan"))
        seen = (~faces.isnan().any(-1)).nonzero()[:, 0]
        for start in range(0, len(seen), BATCH):
            index = seen[start : start + BATCH]
            rows[index] = self.embed(self.crops(frames[index], faces[index]))
        return rows

    def faces(self, track: Track) -> Tensor:
        """Rows of the feature "face" ``(T, 16)`` that the crops are made from."""
        return track.feature("face")

    @torch.no_grad()
    def embed(self, crops: Tensor) -> Tensor:
        """What the network says of its own kind of picture: ``(n, 3, side, side)`` → unit vectors ``(n, 512)``."""
        embeddings: Tensor = self.network(crops.to(self.device))
        return functional.normalize(embeddings, dim=-1).cpu()


class ArcFace(FaceEmbedding):
    """ArcFace's iresnet100 on aligned faces, as face recognition uses it; needs the feature "face"."""

    networks = ("arcface-r100",)
    depth: ClassVar[int] = 100
    convention = (
        "arcface/aligned: iresnet100 trained by ArcFace on MS1MV3; five points of MTCNN, least-squares similarity "
        "(Umeyama) to the 112×112 template, bilinear, black outside; RGB, (x/255-0.5)/0.5; unit length"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        self.network = load_iresnet(self.files[self.networks[0]], self.depth).to(self.device)

    def crops(self, frames: Tensor, faces: Tensor) -> Tensor:
        """Aligned faces ``(n, 3, 112, 112)`` in ``[-1, 1]``."""
        return align_faces(frames, faces[:, POINTS].unflatten(1, (5, 2))) / 127.5 - 1


class ArcFaceR50(ArcFace):
    """:class:`ArcFace` with the smaller iresnet50; pass it as the extractor "arcface"."""

    networks = ("arcface-r50",)
    depth = 50
    convention = (
        "arcface/aligned: iresnet50 trained by ArcFace on MS1MV3; five points of MTCNN, least-squares similarity "
        "(Umeyama) to the 112×112 template, bilinear, black outside; RGB, (x/255-0.5)/0.5; unit length"
    )


class ArcFaceR18(ArcFace):
    """:class:`ArcFace` with the smallest network, iresnet18; pass it as the extractor "arcface"."""

    networks = ("arcface-r18",)
    depth = 18
    convention = (
        "arcface/aligned: iresnet18 trained by ArcFace on MS1MV3; five points of MTCNN, least-squares similarity "
        "(Umeyama) to the 112×112 template, bilinear, black outside; RGB, (x/255-0.5)/0.5; unit length"
    )


class WholeFrameArcFace(ArcFace):
    """ArcFace's iresnet100 on the whole frame, as AniTalker's CSIM has it; rewards copying of hair and background."""

    convention = (
        "arcface/whole: iresnet100 trained by ArcFace on MS1MV3; the whole frame, no face looked for, squeezed to "
        "112×112 bilinearly without anti-aliasing and rounded; RGB, (x/255-0.5)/0.5; unit length "
        "(vico_challenge_baseline)"
    )

    def faces(self, track: Track) -> Tensor:
        """Every frame counts as a face."""
        return torch.zeros(len(track), FACE_COLUMNS)

    def crops(self, frames: Tensor, faces: Tensor) -> Tensor:
        """Whole frames ``(n, 3, 112, 112)`` in ``[-1, 1]``."""
        small = functional.interpolate(frames.float(), (112, 112), mode="bilinear", align_corners=False)
        return small.add(0.5).floor().clamp(0, 255) / 127.5 - 1  # the baseline resizes 8-bit pixels


class FaceNet(FaceEmbedding):
    """facenet-pytorch's InceptionResnetV1 on upright crops; needs the feature "face"."""

    networks = ("facenet-vggface2",)
    convention = (
        "facenet/mtcnn: InceptionResnetV1 20180402-114759 trained on VGGFace2 (facenet-pytorch); MTCNN's box without "
        "margin, cut to the frame and to whole pixels downwards, resized to 160×160 bilinearly with anti-aliasing in "
        "8 bits, no rotation; RGB, (x-127.5)/128; unit length"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        self.network = load_facenet(self.files["facenet-vggface2"]).to(self.device)

    def crops(self, frames: Tensor, faces: Tensor) -> Tensor:
        """Boxes cut out and resized, ``(n, 3, 160, 160)`` in ``(-1, 1)``."""
        height, width = frames.shape[-2:]
        crops = []
        for frame, box in zip(frames, faces[:, BOX], strict=True):
            # A box may reach over the border; whatever it is, one pixel of the frame is left of it.
            left, top = min(max(int(box[0]), 0), width - 1), min(max(int(box[1]), 0), height - 1)
            right, bottom = min(max(int(box[2]), left + 1), width), min(max(int(box[3]), top + 1), height)
            face = frame[None, :, top:bottom, left:right]
            crops.append(functional.interpolate(face, (160, 160), mode="bilinear", antialias=True))
        return (torch.cat(crops).float() - 127.5) / 128


def _frames(track: Track) -> Tensor:
    """The track's pixels, if it is a video."""
    check_shape(track.data, ("T", 3, "H", "W"), "video")
    if track.data.dtype != torch.uint8:
        raise ShapeError(f"video is {track.data.dtype}, expected uint8 pixels in [0, 255].")
    return track.data
