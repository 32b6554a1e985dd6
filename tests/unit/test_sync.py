from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lip_sync_toys import ToySyncNet, bright_frames, loud_sound, pattern
from talkingface.core.errors import ShapeError, UnscorableError, WeightsError
from talkingface.metrics import SyncFeatures, Track
from talkingface.metrics import sync as module
from talkingface.metrics.functional.tracking import crop_face
from talkingface.metrics.networks.syncnet import SyncNet
from talkingface.metrics.sync import embed_lips, window_count

FACE = [60.0, 40.0, 120.0, 110.0]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "syncnet.safetensors"
    save_file(SyncNet().state_dict(), path)
    return path


@pytest.fixture
def extractor(weights_file: Path) -> SyncFeatures:
    return SyncFeatures(weights={"syncnet": weights_file})


def noise_crops(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 224, 224), dtype=torch.uint8, generator=generator)


def faces(count: int, box: list[float] = FACE) -> Tensor:
    return torch.tensor(box + [0.0] * 12).repeat(count, 1)


def watch(extractor: SyncFeatures) -> list[Tensor]:
    """Let the toy network look instead; gives what it is shown."""
    shown: list[Tensor] = []

    class Watched(ToySyncNet):
        def lips(self, frames: Tensor) -> Tensor:
            shown.append(frames.clone())
            return super().lips(frames)

    extractor.network = Watched()
    return shown


def test_a_stretch_of_frames_gives_the_embeddings_of_its_windows(extractor: SyncFeatures) -> None:
    crops = noise_crops(8).float()
    network = extractor.network
    stretch = network.lips(crops)
    published = torch.cat([network.netcnnlip(crops[i : i + 5].transpose(0, 1)[None]).flatten(1) for i in range(4)])
    torch.testing.assert_close(stretch, network.netfclip(published), atol=1e-5, rtol=1e-5)
    assert (stretch[0] - stretch[1]).abs().max() > 1e-3  # the control


def test_chunks_change_nothing(extractor: SyncFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = noise_crops(9)
    whole = embed_lips(extractor.network, lambda first, last: crops[first:last], 5)
    asked: list[tuple[int, int]] = []

    def some(first: int, last: int) -> Tensor:
        asked.append((first, last))
        return crops[first:last]

    monkeypatch.setattr(module, "CHUNK", 2)
    torch.testing.assert_close(embed_lips(extractor.network, some, 5), whole, atol=1e-5, rtol=1e-5)
    assert asked == [(0, 6), (2, 8), (4, 9)]  # four frames are shown again, never more than six at once


@pytest.mark.parametrize(("frames", "windows"), [(0, 0), (5, 0), (6, 1), (125, 120)])
def test_five_windows_fewer_than_frames(frames: int, windows: int) -> None:
    assert window_count(frames) == windows


def test_video_and_sound_of_one_length_have_as_many_rows(extractor: SyncFeatures) -> None:
    levels = pattern(20)
    extractor.network = ToySyncNet()
    lips = extractor.extract(Track(bright_frames(levels), {}, {"face": faces(20)}))
    speech = extractor.extract(Track(loud_sound(levels), {}))
    assert lips.shape == speech.shape == (15, 1024)
    assert lips.dtype == speech.dtype == torch.float32


def test_the_network_sees_blue_first_and_all_255_steps(extractor: SyncFeatures) -> None:
    shown = watch(extractor)
    frames = torch.tensor([10, 20, 200], dtype=torch.uint8)[:, None, None].expand(7, 3, 176, 176)
    extractor.extract(Track(frames, {}, {"face": faces(7)}))
    assert shown[0][0, :, 112, 112].tolist() == [200.0, 20.0, 10.0]


def test_one_crop_for_the_whole_clip_from_the_median_box(extractor: SyncFeatures) -> None:
    shown = watch(extractor)
    frames = torch.randint(0, 256, (7, 3, 176, 176), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    boxes = faces(7)
    boxes[0, :4] += 50  # an outlier, and a frame without a face
    boxes[3] = torch.nan
    extractor.extract(Track(frames, {}, {"face": boxes}))
    expected = crop_face(frames, 35.0, 90.0, 75.0)
    assert torch.equal(shown[0], expected[:6].flip(1).float())


def test_the_crop_reaches_below_the_face_and_is_grey_beyond_the_frame() -> None:
    frame = torch.arange(100, dtype=torch.uint8)[None, :, None].expand(3, 100, 100)  # shade = row
    crop = crop_face(frame, 20.0, 50.0, 50.0)
    assert crop[0, 0, 112].item() == pytest.approx(50 - 20, abs=1)
    assert crop[0, -1, 112].item() == pytest.approx(50 + 36, abs=1)
    low = crop_face(frame, 20.0, 50.0, 90.0)
    assert low[0, -1, 112].item() == 110


@pytest.mark.parametrize(
    ("frames", "known", "reason"),
    [
        (5, {"face": faces(5)}, "has 5 frames, fewer than the 6 that SyncNet needs"),
        (7, {"face": faces(7) * torch.nan}, "has no face in any frame"),
        (7, {}, "has no face, and nothing was given that finds it"),
    ],
)
def test_video_that_cannot_be_scored(
    extractor: SyncFeatures, frames: int, known: dict[str, Tensor], reason: str
) -> None:
    with pytest.raises(UnscorableError, match=reason):
        extractor.extract(Track(bright_frames(pattern(frames)), {}, known))


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (torch.zeros(16000), "has silent audio"),
        (torch.rand(3839), "has 5 frames of sound, fewer than the 6 that SyncNet needs"),
        (torch.zeros(0), "has 0 frames of sound"),
    ],
)
def test_sound_that_cannot_be_scored(extractor: SyncFeatures, wave: Tensor, reason: str) -> None:
    with pytest.raises(UnscorableError, match=reason):
        extractor.extract(Track(wave, {}))


def test_the_shortest_sound_has_one_row(extractor: SyncFeatures) -> None:
    assert extractor.extract(Track(torch.rand(3840) - 0.5, {})).shape == (1, 1024)


def test_sound_with_nan_and_float_frames_are_refused(extractor: SyncFeatures) -> None:
    with pytest.raises(ShapeError, match="NaN"):
        extractor.extract(Track(torch.full((16000,), torch.nan), {}))
    with pytest.raises(ShapeError, match="expected uint8"):
        extractor.extract(Track(torch.zeros(7, 3, 32, 32), {}, {"face": faces(7)}))


def test_speech_is_scaled_to_16_bit_values(extractor: SyncFeatures) -> None:
    levels = np.full(20, 0.5)
    extractor.network = ToySyncNet()
    found = extractor.extract(Track(loud_sound(levels), {}))[:, :5]
    assert found.mean().item() == pytest.approx(0.5, abs=0.02)  # unscaled it would be 0.5 - 20.8 / 6


def test_a_view_shares_the_windows_that_its_origin_has_seen(extractor: SyncFeatures) -> None:
    shown = watch(extractor)
    track = Track(bright_frames(pattern(12)), {"sync": extractor}, {"face": faces(12)})
    whole = track.feature("sync")
    late = track.select(range(12)).select([0, 0, *range(10)])
    direct = Track(late.data, {"sync": extractor}, {"face": faces(12)}).feature("sync")
    shown.clear()
    torch.testing.assert_close(late.feature("sync"), direct)
    assert torch.equal(late.feature("sync")[2:], whole[:5])
    assert len(shown) == 2  # those that hold the first frame twice or three times
    assert not torch.equal(direct, whole)  # the control


def test_a_frozen_view_is_one_window(extractor: SyncFeatures) -> None:
    shown = watch(extractor)
    portrait = Track(bright_frames(pattern(1)), {"sync": extractor}, {"face": faces(1)})
    rows = portrait.select([0] * 20).feature("sync")
    assert rows.shape == (15, 1024)
    assert (rows == rows[0]).all()
    assert len(shown) == 1


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="talkingface doctor --fetch syncnet"):
        SyncFeatures()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="does not fit SyncNet"):
        SyncNet.load(path)


def test_old_files_without_counters_load(weights_file: Path, tmp_path: Path) -> None:
    tensors = load_file(weights_file)
    old = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(tensors)
    torch.save(old, tmp_path / "syncnet_v2.model")
    network = SyncNet.load(tmp_path / "syncnet_v2.model")
    assert torch.equal(network.netfcaud[0].weight, tensors["netfcaud.0.weight"])
    assert not network.training


def test_the_card_names_the_file(extractor: SyncFeatures) -> None:
    card = extractor.describe()
    assert len(card["sha256"]["syncnet"]) == 64
    assert card["convention"].startswith("sync/clean")
