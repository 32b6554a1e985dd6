"""The real weights are not here; the loading and the whole way from box to pixel are proven on a made-up network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.core.errors import WeightsError
from talkingface.metrics import FANLandmarks, Track
from talkingface.metrics.fan import read_heatmaps

FILE = "2DFAN4-11f355bf06.pth.tar"
BOXES = torch.tensor([[60.0, 50.0, 190.0, 210.0], [-20.0, 30.0, 120.0, 170.0]])  # the second leaves the frame


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A torch home with a file of the published layout: a plain state_dict without counters of batches."""
    from face_alignment.models import FAN

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = {name: value for name, value in FAN(4).state_dict().items() if not name.endswith("_tracked")}
    home = tmp_path_factory.mktemp("torch")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(tensors, home / "hub" / "checkpoints" / FILE)
    yield home
    (home / "hub" / "checkpoints" / FILE).unlink()  # 96 MB


@pytest.fixture
def weights(home: Path) -> dict[str, str | Path]:
    return {"fan": home / "hub" / "checkpoints" / FILE}


@pytest.fixture(scope="module")
def frames() -> Tensor:
    coarse = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 255
    return torch.nn.functional.interpolate(coarse, (240, 256), mode="bicubic").clamp(0, 255).byte()


def face(*boxes: Tensor | None) -> Tensor:
    rows = torch.full((len(boxes), 16), torch.nan)
    for row, box in zip(rows, boxes, strict=True):
        if box is not None:
            row[:4], row[4:] = box, 1.0
    return rows


def test_landmarks_are_those_of_the_library_and_lost_faces_are_nan(home, weights, frames, monkeypatch):
    from face_alignment import FaceAlignment, LandmarksType, utils

    for name in ("_get_preds_fromhm", "transform_np"):  # as plain Python: Numba would compile for 13 s
        monkeypatch.setattr(utils, name, getattr(utils, name).py_func)
    monkeypatch.setenv("TORCH_HOME", str(home))
    library = FaceAlignment(LandmarksType.TWO_D, device="cpu", compile=False, face_detector="folder")
    wanted = [
        library.get_landmarks_from_image(frames[at].permute(1, 2, 0).numpy(), detected_faces=[box.double().numpy()])[0]
        for at, box in ((0, BOXES[0]), (2, BOXES[1]))
    ]
    found = FANLandmarks(weights=weights).extract(Track(frames, {}, {"face": face(BOXES[0], None, BOXES[1])}))
    assert found.shape == (3, 68, 2)
    assert found[1].isnan().all()
    assert np.abs(found[[0, 2]].numpy() - np.stack(wanted)).max() == 0
    assert found[0].std(0).min() > 1  # the control: the network does not put all points in one place


def test_a_video_without_a_face_costs_no_look_through_the_network(weights, frames, monkeypatch):
    extractor = FANLandmarks(weights=weights)
    monkeypatch.setattr(extractor, "network", None)
    found = extractor.extract(Track(frames, {}, {"face": face(None, None, None)}))
    assert found.shape == (3, 68, 2)
    assert found.isnan().all()


def test_peaks_are_read_as_the_library_reads_them(monkeypatch):
    from face_alignment import utils

    for name in ("_get_preds_fromhm", "transform_np"):
        monkeypatch.setattr(utils, name, getattr(utils, name).py_func)
    heatmaps = torch.rand(2, 68, 64, 64, generator=torch.Generator().manual_seed(3))
    for point, place in enumerate([(0, 0), (0, 63), (63, 0), (63, 63), (0, 30), (30, 63), (1, 1), (62, 62)]):
        heatmaps[:, point][(..., *place)] = 2.0  # corners and edges have no neighbours on all sides
    centres, scales = torch.tensor([[128.3, 90.1], [-7.2, 40.9]]).double(), torch.tensor([1.37, 0.71]).double()
    wanted = [
        utils.get_preds_fromhm(heatmap[None].numpy(), centre.numpy(), float(scale))[1][0]
        for heatmap, centre, scale in zip(heatmaps, centres, scales, strict=True)
    ]
    assert (read_heatmaps(heatmaps, centres, scales).numpy() == np.stack(wanted)).all()


def test_missing_weights_name_the_command_and_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="talkingface doctor --fetch fan"):
        FANLandmarks()
    assert list(tmp_path.rglob("*")) == []


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="missing"):
        FANLandmarks(weights={"fan": tmp_path / "other.pth"})


def test_the_extractor_says_what_it_is(weights):
    described = FANLandmarks(weights=weights).describe()
    assert described["convention"].startswith("landmarks/2dfan4")
    assert len(described["sha256"]["fan"]) == 64
