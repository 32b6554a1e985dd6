import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from talkingface.core.errors import ShapeError, WeightsError
from talkingface.core.media import VideoReader
from talkingface.metrics import (
    ArcFace,
    ArcFaceR18,
    FaceDetector,
    FaceNet,
    Track,
    WholeFrameArcFace,
    identity_ceiling,
    identity_floor,
    mean_embedding,
)
from talkingface.metrics.functional.alignment import ARCFACE_TEMPLATE, align_faces
from talkingface.metrics.networks.iresnet import IResNet

DATA = Path(__file__).parents[3] / "shared" / "data"
NAN = float("nan")


class SmallWholeFrameArcFace(WholeFrameArcFace):
    """The whole-frame extractor with the smallest network, so that tests are quick."""

    networks = ArcFaceR18.networks
    depth = ArcFaceR18.depth


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def arcface_file(tmp_path_factory) -> dict[str, Path]:
    """A backbone of the published layout, its weights drawn."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "arcface-r18.safetensors"
    save_file(IResNet(18).state_dict(), path)
    return {"arcface-r18": path}


@pytest.fixture(scope="module")
def facenet_file(tmp_path_factory) -> dict[str, Path]:
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "facenet.safetensors"
    save_file(InceptionResnetV1(pretrained=None).state_dict(), path)
    return {"facenet-vggface2": path}


def noise(frames: int, height: int = 128, width: int = 128, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (frames, 3, height, width), dtype=torch.uint8, generator=generator)


def real(identity: str, number: int = 0, frames: int = 2) -> Tensor:
    clips = sorted((DATA / "clips").glob(f"{identity}_*.mp4"))
    if not clips:
        pytest.skip(f"no clips in {DATA / 'clips'}")
    with VideoReader(clips[number]) as video:
        return torch.from_numpy(video.read(range(0, 8 * frames, 8))).movedim(-1, 1)


def real_facenet() -> dict[str, Path]:
    folder = Path(os.environ.get("TALKINGFACE_WEIGHTS", DATA / "weights"))
    for path in (folder / "facenet-vggface2.safetensors", DATA / "weights" / "facenet_vggface2_fp16.safetensors"):
        if path.is_file():
            return {"facenet-vggface2": path}
    pytest.skip("no weights of facenet-vggface2; set TALKINGFACE_WEIGHTS to their folder")


def face_row(box: tuple[float, float, float, float], points: Tensor | None = None) -> Tensor:
    placed = torch.tensor(ARCFACE_TEMPLATE) if points is None else points
    return torch.cat([torch.tensor([*box, 0.9]), placed.flatten(), torch.ones(1)])


# Detection


def test_noise_has_no_face_and_gives_rows_of_nan(detector):
    rows = detector.extract(Track(noise(3), {}))
    assert rows.shape == (3, 16)
    assert rows.isnan().all()


def test_a_frame_smaller_than_the_smallest_face_has_none(detector):
    assert detector.extract(Track(noise(1, 16, 16), {})).isnan().all()


def test_of_several_faces_the_largest_is_taken_and_all_are_counted(detector, monkeypatch):
    boxes = torch.tensor([[0, 0, 30, 30, 0.99], [40, 0, 100, 80, 0.8], [0, 50, 20, 70, 0.95]])
    points = torch.arange(30.0).reshape(3, 5, 2)
    nothing = (torch.zeros(0, 5), torch.zeros(0, 5, 2))
    monkeypatch.setattr(detector.detector, "detect", lambda frames, least: [nothing, (boxes, points)])
    rows = detector.extract(Track(noise(2), {}))
    assert rows[0].isnan().all()
    assert rows[1].tolist() == [*boxes[1].tolist(), *points[1].flatten().tolist(), 3.0]


@pytest.mark.parametrize(("size", "least"), [((256, 256), 32), ((512, 640), 64), ((128, 128), 20)])
def test_convention_the_smallest_face_is_an_eighth_of_the_frame(detector, monkeypatch, size, least):
    asked = []
    nothing = (torch.zeros(0, 5), torch.zeros(0, 5, 2))
    monkeypatch.setattr(detector.detector, "detect", lambda frames, least: asked.append(least) or [nothing])
    detector.extract(Track(noise(1, *size), {}))
    assert asked == [least]


def test_a_sound_has_no_faces(detector):
    with pytest.raises(ShapeError):
        detector.extract(Track(torch.zeros(640), {}))


def test_float_frames_are_refused(detector):
    with pytest.raises(ShapeError, match="uint8"):
        detector.extract(Track(torch.zeros(1, 3, 64, 64), {}))


def test_weights_of_the_detector_are_read_without_unpickling(monkeypatch):
    asked = []
    read = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: asked.append(kwargs) or read(*args, **kwargs))
    FaceDetector()
    assert [kwargs["weights_only"] for kwargs in asked] == [True] * 3


def test_the_card_of_the_detector_has_the_checksums_of_the_shipped_files(detector):
    checksums = detector.describe()["sha256"]
    assert {name: value[:8] for name, value in checksums.items()} == {
        "mtcnn-pnet": "a2a71925",
        "mtcnn-rnet": "bbb937de",
        "mtcnn-onet": "165bfbe4",
    }


def test_real_faces_are_found_the_same_alone_together_and_again(detector):
    frames = torch.cat([real("id007"), real("id008"), noise(1, 256, 256)])
    rows = detector.extract(Track(frames, {}))
    assert rows[:-1, 15].tolist() == [1.0] * 4
    assert rows[-1].isnan().all()
    assert torch.equal(detector.extract(Track(frames, {})).nan_to_num(), rows.nan_to_num())
    alone = torch.cat([detector.extract(Track(frame[None], {})) for frame in frames[:-1]])
    torch.testing.assert_close(alone, rows[:-1], atol=1e-2, rtol=0)


def test_points_of_a_real_face_lie_where_eyes_nose_and_mouth_are(detector):
    points = detector.extract(Track(real("id007"), {}))[:, 5:15].unflatten(1, (5, 2))
    left_eye, right_eye, nose, left_mouth, right_mouth = points.unbind(1)
    assert (left_eye[:, 0] < nose[:, 0]).all()
    assert (nose[:, 0] < right_eye[:, 0]).all()
    assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert (torch.maximum(left_eye, right_eye)[:, 1] < nose[:, 1]).all()
    assert (nose[:, 1] < torch.minimum(left_mouth, right_mouth)[:, 1]).all()


def test_of_two_real_faces_the_larger_is_taken_and_two_are_counted(detector):
    large, small = real("id007"), real("id008")
    small = functional.interpolate(small, (160, 160), mode="bilinear", antialias=True)
    frames = torch.cat([functional.pad(small, (0, 0, 0, 96)), large], -1)
    rows, alone = detector.extract(Track(frames, {})), detector.extract(Track(large, {}))
    assert rows[:, 15].tolist() == [2.0, 2.0]
    assert (rows[:, 0] > 160).all()
    shifted = alone[:, :4] + torch.tensor([160.0, 0.0, 160.0, 0.0])
    torch.testing.assert_close(rows[:, :4], shifted, atol=6.0, rtol=0)  # the pyramid starts at another face size


# Embeddings


def test_embeddings_are_unit_vectors_where_there_is_a_face_and_nan_elsewhere(arcface_file):
    faces = torch.stack([face_row((0, 0, 1, 1)), torch.full((16,), NAN), face_row((0, 0, 1, 1))])
    rows = ArcFaceR18(weights=arcface_file).extract(Track(noise(3), {}, {"face": faces}))
    assert rows.shape == (3, 512)
    assert rows[1].isnan().all()
    torch.testing.assert_close(rows[[0, 2]].norm(dim=-1), torch.ones(2))


def test_convention_arcface_sees_the_aligned_face_in_rgb_between_minus_one_and_one(arcface_file):
    frames, points = noise(1), torch.tensor(ARCFACE_TEMPLATE) * 0.7 + 15
    extractor = ArcFaceR18(weights=arcface_file)
    found = extractor.extract(Track(frames, {}, {"face": face_row((0, 0, 1, 1), points)[None]}))
    aligned = (align_faces(frames, points[None]) / 255 - 0.5) / 0.5
    wanted = functional.normalize(extractor.network(aligned))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    wrong = functional.normalize(extractor.network(aligned.flip(1)))  # the control: BGR
    assert (wrong - found).abs().max() > 1e-3


def test_whole_frames_need_no_face(arcface_file):
    frames = noise(2, 224, 224)
    extractor = SmallWholeFrameArcFace(weights=arcface_file)
    found = extractor.extract(Track(frames, {}))
    # Half the size without anti-aliasing: each pixel is the mean of four.
    small = frames.float().unflatten(2, (112, 2)).unflatten(4, (112, 2)).mean((3, 5)).add(0.5).floor()
    wanted = functional.normalize(extractor.network((small / 255 - 0.5) / 0.5))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_convention_facenet_sees_what_facenet_pytorch_cuts_out(facenet_file):
    from facenet_pytorch import extract_face
    from PIL import Image

    smooth = functional.interpolate(noise(2, 20, 24).float(), (256, 300), mode="bicubic").clamp(0, 255).byte()
    boxes = [(40.7, 30.2, 170.9, 200.1), (-12.0, 120.0, 90.5, 270.0)]  # the second reaches over the border
    crops = FaceNet(weights=facenet_file).crops(smooth, torch.stack([face_row(box) for box in boxes]))
    for frame, box, crop in zip(smooth, boxes, crops, strict=True):
        theirs = extract_face(Image.fromarray(frame.permute(1, 2, 0).numpy()), box, image_size=160, margin=0)
        assert (crop - (theirs - 127.5) / 128).abs().max() <= 1.01 / 128  # one step of 8 bits


def test_a_box_outside_the_frame_does_not_break_the_clip(facenet_file):
    faces = torch.stack([face_row((200, 200, 230, 230)), face_row((-40, -40, -10, -10))])
    rows = FaceNet(weights=facenet_file).extract(Track(noise(2), {}, {"face": faces}))
    assert not rows.isnan().any()


def test_a_clip_of_one_frame_has_one_row(facenet_file, detector):
    track = Track(noise(1), {"face": detector, "facenet": FaceNet(weights=facenet_file)})
    assert track.feature("facenet").shape == (1, 512)
    assert track.feature("facenet").isnan().all()  # noise has no face


def test_facenet_is_built_without_asking_for_a_download(facenet_file, monkeypatch):
    import facenet_pytorch.models.inception_resnet_v1 as published

    monkeypatch.setattr(published, "download_url_to_file", lambda *_: pytest.fail("a download was begun"))
    FaceNet(weights=facenet_file)


@pytest.mark.parametrize("extractor", [ArcFace, WholeFrameArcFace, FaceNet])
def test_without_weights_there_is_no_extractor_but_the_command_that_gets_them(extractor, tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=f"doctor --fetch {extractor.networks[0]}"):
        extractor()


def test_weights_of_another_network_are_refused(arcface_file):
    with pytest.raises(WeightsError, match="does not fit InceptionResnetV1"):
        FaceNet(weights={"facenet-vggface2": arcface_file["arcface-r18"]})


def test_real_networks_tell_people_apart(detector):
    extractors = {"face": detector, "facenet": FaceNet(weights=real_facenet())}
    clips = {}
    for identity in ("id007", "id008", "id009"):
        for number in (0, 1):
            track = Track(real(identity, number), extractors)
            clips[f"{identity}/{number}"] = (identity, mean_embedding(track.feature("facenet")))
    ceiling, floor = identity_ceiling(clips), identity_floor(clips)
    print(f"same person {ceiling.mean:.3f} ({ceiling.pairs} pairs), others {floor.mean:.3f} ({floor.pairs} pairs)")
    assert ceiling.mean > 0.7
    assert floor.mean < 0.3
