import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lip_sync_toys import ToySyncNet, bright_frames, loud_sound, pattern
from talkingface import registry
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.metrics import LSEC, LSED, ScoredClip, SyncOffset, Track, UnshiftedLSED, ValidLSEC
from talkingface.metrics.functional import sync as module
from talkingface.metrics.functional.sync import lip_sync
from talkingface.metrics.lips import CompatLSEC, CompatLSED, CompatSyncOffset, LipSyncMetric
from talkingface.metrics.sync import SAMPLES, embed_lips, embed_speech
from talkingface.metrics.track import Extractor

CLEAN: list[type[LipSyncMetric]] = [LSED, LSEC, SyncOffset, UnshiftedLSED, ValidLSEC]
REFERENCE = Path(os.environ.get("TALKINGFACE_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))


def embeddings(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1024, generator=torch.Generator().manual_seed(seed))


def unsynchronised(count: int) -> tuple[Tensor, Tensor]:
    """Lips and speech that share a mean and nothing else, as the embeddings of real clips do."""
    lips, speech = embeddings(count, 1), embeddings(count, 2)
    return 0.2 * (5 + 0.3 * lips), 0.2 * (5 + 0.3 * speech)


class ToySync(Extractor):
    """The feature "sync" by the toy network, of whole frames."""

    temporal = True
    convention = "toy"
    looks = 0

    def extract(self, track: Track) -> Tensor:
        network = ToySyncNet()
        if track.data.ndim == 1:
            values = (track.data.double() * 32768).round()
            return embed_speech(network, values, len(values) // SAMPLES - 5)
        self.looks += 1
        return embed_lips(network, lambda first, last: track.data[first:last], len(track) - 5)


def clip(video: Tensor, audio: Tensor | None, fps: float = 25.0) -> ScoredClip:
    finders = {"sync": ToySync()}
    sound = None if audio is None else Track(audio, finders)
    return ScoredClip("clip", Track(video, finders), audio=sound, fps=fps)


def test_what_is_in_sync_has_no_distance_and_no_offset() -> None:
    speech = embeddings(40)
    assert LSED()(speech, speech).item() == pytest.approx(1e-6 * 1024**0.5, rel=1e-3)  # the published epsilon
    assert SyncOffset()(speech, speech).item() == 0
    assert LSEC()(speech, speech).item() > 30


@pytest.mark.parametrize("frames", [-4, 0, 3])
def test_offset_is_positive_where_the_audio_is_early(frames: int) -> None:
    levels = pattern(100)
    video, audio = bright_frames(levels[20:80], size=24), loud_sound(levels)[(20 + frames) * SAMPLES :][: 60 * SAMPLES]
    early = clip(video, audio)  # what is heard at frame i is seen at frame i + frames
    assert SyncOffset().update_clip(early).value == frames
    assert (LSED().update_clip(early).value < UnshiftedLSED().update_clip(early).value) == (frames != 0)


def test_delaying_the_audio_by_the_offset_repairs_it() -> None:
    levels = pattern(100)
    video, audio = bright_frames(levels[20:80], size=24), loud_sound(levels)[23 * SAMPLES : 83 * SAMPLES]
    offset = int(SyncOffset().update_clip(clip(video, audio)).value)
    delayed = torch.cat([torch.full((offset * SAMPLES,), 1e-3), audio])
    assert offset == 3
    assert SyncOffset().update_clip(clip(video, delayed)).value == 0


def test_confidence_without_padding_does_not_depend_on_length() -> None:
    padded, valid = (
        [metric()(*unsynchronised(count)).item() for count in (20, 95, 495)] for metric in (LSEC, ValidLSEC)
    )
    assert padded[0] > 10 > 5 > padded[1] > 2 > padded[2]
    assert max(valid) < 0.5


def test_the_published_dependence_on_length() -> None:
    path = REFERENCE / "metrics" / "oracles" / "sync_padding_bias.json"
    if not path.is_file():
        pytest.skip(f"no {path}; set TALKINGFACE_REFERENCE to the reference folder")
    rows = json.loads(path.read_text())["unsynchronised, nonzero feature mean"]
    # The inputs are not documented; these give its numbers. Expected by arithmetic: the median shift is 8, so that
    # 8 of T windows meet zero vectors: LSE-C = 8 / T · (length of an embedding - LSE-D).
    for row in rows:
        lips, speech = (2.0 + 0.35 * embeddings(row["T"], seed) for seed in (3, 4))
        found = lip_sync(lips, speech)
        assert found.offset == row["offset"]
        assert found.distance == pytest.approx(row["LSE_D"], rel=0.02)
        assert found.confidence == pytest.approx(row["LSE_C_padded"], rel=0.05)


def test_sound_of_another_length_is_cut() -> None:
    speech = embeddings(50)
    assert torch.equal(LSED()(speech, speech[:40]), LSED()(speech[:40], speech[:40]))


def test_clips_weigh_the_same_whatever_their_length() -> None:
    metric, single = LSED(), []
    for count, seed in ((20, 1), (80, 2)):
        pair = embeddings(count, seed), embeddings(count, seed + 10)
        metric.update(*pair)
        single.append(LSED()(*pair).item())
    assert metric.compute().item() == pytest.approx(sum(single) / 2)


def test_distances_are_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    lips, speech = embeddings(50, 1), embeddings(50, 2)
    whole = lip_sync(lips, speech).distances
    monkeypatch.setattr(module, "BLOCK", 7)
    torch.testing.assert_close(lip_sync(lips, speech).distances, whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize("metric", CLEAN)
def test_one_extraction_serves_every_metric(metric: type[LipSyncMetric]) -> None:
    levels = pattern(60)
    scored = clip(bright_frames(levels, size=24), loud_sound(levels))
    for _ in range(2):
        metric().update_clip(scored)
    finder = scored.video.extractors["sync"]
    assert isinstance(finder, ToySync)
    assert finder.looks == 1


@pytest.mark.parametrize("metric", CLEAN)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda video, audio: clip(video, None), "has no audio"),
        (lambda video, audio: clip(video, audio, fps=30.0), "has 30 frames a second"),
    ],
)
def test_clips_that_cannot_be_scored_leave_nothing(
    metric: type[LipSyncMetric], change: Callable[[Tensor, Tensor], ScoredClip], reason: str
) -> None:
    levels = pattern(40)
    scored = metric()
    with pytest.raises(UnscorableError, match=reason):
        scored.update_clip(change(bright_frames(levels, size=24), loud_sound(levels)))
    assert scored.clips == 0


def test_without_padding_sixteen_windows_are_needed() -> None:
    with pytest.raises(UnscorableError, match="has 15 windows, too few"):
        ValidLSEC()(embeddings(15), embeddings(15))
    assert ValidLSEC()(embeddings(16), embeddings(16)).isfinite()
    assert LSEC()(embeddings(1), embeddings(1)).isfinite()  # the control: padded, one window is enough


def test_no_windows_are_refused() -> None:
    with pytest.raises(UnscorableError, match="shorter than SyncNet's window"):
        LSED()(embeddings(0), embeddings(3))
    with pytest.raises(ShapeError):
        lip_sync(embeddings(0), embeddings(0))


def test_smoothed_confidence_is_a_median_of_nine() -> None:
    found = lip_sync(embeddings(30, 1), embeddings(30, 1) + 0.5 * embeddings(30, 2))
    window = found.confidences[10:19].sort().values
    assert found.smooth_confidences[14] == window[4]
    padded = np.sort([0, 0, 0, 0, *found.confidences[:5].tolist()])
    assert found.smooth_confidences[0].item() == padded[4]


@pytest.mark.parametrize(("metric", "value"), [(CompatLSED, 7.5), (CompatLSEC, 5.0), (CompatSyncOffset, -1.5)])
def test_face_tracks_of_a_file_weigh_the_same(metric: type, value: float) -> None:
    assert metric()(torch.tensor([[7.0, 6.0, -2.0], [8.0, 4.0, -1.0]])).item() == value


@pytest.mark.parametrize("name", ["lse-d", "lse-c", "lse-offset", "lse-d0", "lse-c-valid"])
def test_registered_under_its_convention(name: str) -> None:
    assert registry.load("metric", name).convention.startswith(f"{name}/clean")
    if name in ("lse-d", "lse-c", "lse-offset"):
        assert registry.load("metric", f"{name}-compat").convention.startswith(f"{name}/compat")
