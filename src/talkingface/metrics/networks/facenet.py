"""The two networks of facenet-pytorch: MTCNN, whose weights ship with it, and the embedding trained on VGGFace2."""

from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn

from talkingface.core.component import load_exactly
from talkingface.core.tensors import read_tensors
from talkingface.metrics.networks.filling import empty, widened

STAGES = ("pnet", "rnet", "onet")
THRESHOLDS = (0.6, 0.7, 0.7)  # of the three stages, facenet-pytorch's own
FACTOR = 0.709  # from one size of face to the next, √½: facenet-pytorch's own
STAGE_BATCH = 16  # frames


class MTCNN:
    """Multi-task cascaded face detector (Zhang et al. 2016), every face of every frame.

    The cascade is facenet-pytorch's; its wrapper class is not used, for it chooses one face and unpickles its files
    by torch's default.

    Args:
        device: where it computes.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self.device = torch.device(device)
        stages = []
        for stage, path in zip((PNet, RNet, ONet), mtcnn_files().values(), strict=True):
            network: nn.Module = stage(pretrained=False)
            load_exactly(network, read_tensors(path), str(path))
            # Channels last: on a CPU the cascade then takes 8 instead of 15 ms a frame.
            stages.append(network.eval().requires_grad_(False).to(self.device).to(memory_format=torch.channels_last))
        self.stages = stages

    @torch.no_grad()
    def detect(self, frames: Tensor, least: int) -> list[tuple[Tensor, Tensor]]:
        """Find the faces in each frame.

        Args:
            frames: uint8 RGB ``(T, 3, H, W)``.
            least: side of the smallest face that is looked for, in pixels.

        Returns:
            One pair a frame: boxes ``(n, 5)`` x1, y1, x2, y2 in pixels and score; points ``(n, 5, 2)`` in pixels, left
            eye, right eye, nose, left and right corner of the mouth as they lie in the picture. float32, on the CPU.
        """
        from facenet_pytorch.models.utils.detect_face import detect_face

        found: list[tuple[Tensor, Tensor]] = []
        if min(frames.shape[-2:]) < least:  # facenet-pytorch fails where no size of face fits the frame
            return [(torch.zeros(0, 5), torch.zeros(0, 5, 2)) for _ in frames]
        for part in frames.split(STAGE_BATCH):
            pixels = part.permute(0, 2, 3, 1).to(self.device)
            boxes, points = detect_face(pixels, least, *self.stages, THRESHOLDS, FACTOR, self.device)
            # Both come back as arrays of objects, whose shape depends on how many faces there are in each frame.
            for box, point in zip(boxes, points, strict=True):
                count = len(box)
                numbers = torch.tensor(box.tolist(), dtype=torch.float32).reshape(count, 5)
                found.append((numbers, torch.tensor(point.tolist(), dtype=torch.float32).reshape(count, 5, 2)))
        return found


def mtcnn_files() -> dict[str, Path]:
    """The three weight files inside the installed package."""
    folder = Path(str(files("facenet_pytorch"))) / "data"
    return {f"mtcnn-{stage}": folder / f"{stage}.pt" for stage in STAGES}


def load_facenet(path: str | Path) -> nn.Module:
    """InceptionResnetV1 without its classifier: face → unit vector.

    Args:
        path: ``20180402-114759-vggface2.pt``, or the same tensors as safetensors, with or without ``logits``.

    Returns:
        In evaluation mode, without gradients: ``(B, 3, 160, 160)`` RGB, ``(x - 127.5) / 128`` → ``(B, 512)``.

    Raises:
        WeightsError: a file of another network, naming what differs.
    """
    from facenet_pytorch import InceptionResnetV1

    network: nn.Module = empty(lambda: InceptionResnetV1(pretrained=None, classify=False))
    tensors = {name: value for name, value in read_tensors(path).items() if not name.startswith("logits.")}
    load_exactly(network, widened(tensors), str(path))
    # Channels last: 17 instead of 25 ms a face on one core.
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
