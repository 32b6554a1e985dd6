import pytest
import torch

from talkingface import metrics
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.metrics.functional import loudness as functional


def faces(opening: torch.Tensor, size: float = 1.0) -> torch.Tensor:
    """Faces whose outer eye corners are 100 apart and whose inner lips are as far open as given, both times size."""
    points = torch.rand(68, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 100
    points[36], points[45] = torch.tensor([0.0, 0.0]), torch.tensor([100.0, 0.0])
    landmarks = points.repeat(len(opening), 1, 1)
    landmarks[:, 62] = torch.tensor([50.0, 60.0]).double()
    landmarks[:, 66] = landmarks[:, 62] + torch.stack((torch.zeros(len(opening)), opening), -1)
    return landmarks * size


def speech(level: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Noise of the given loudness in each frame of 640 samples."""
    noise = torch.randn(len(level), 640, generator=torch.Generator().manual_seed(seed))
    noise = noise / noise.square().mean(1, keepdim=True).sqrt()
    return (noise * level[:, None]).flatten()


LEVEL = 0.1 + 0.09 * torch.sin(torch.arange(50) * 0.7)


def test_loudness_is_the_rms_of_each_frames_samples():
    assert functional.loudness(speech(LEVEL), 50).tolist() == pytest.approx(LEVEL.tolist(), rel=1e-5)


def test_loudness_of_missing_samples_is_silence():
    assert functional.loudness(speech(LEVEL[:3]), 5)[3:].tolist() == [0, 0]


def test_samples_beyond_the_last_frame_do_not_count():
    assert functional.loudness(speech(LEVEL), 10).tolist() == functional.loudness(speech(LEVEL)[:6400], 10).tolist()


def test_frames_share_the_samples_at_other_rates():
    level = functional.loudness(torch.ones(16000), 30, fps=30.0)
    assert level.tolist() == pytest.approx([1.0] * 30)


def test_a_batch_of_sounds_is_refused():
    with pytest.raises(ShapeError, match="audio"):
        functional.loudness(torch.zeros(2, 16000), 25)


def test_lips_that_follow_the_sound_correlate_with_it():
    assert metrics.LipLoudness()(faces(100 * LEVEL), speech(LEVEL), 25.0).item() == pytest.approx(1, abs=1e-6)
    assert metrics.LipLoudness()(faces(30 - 100 * LEVEL), speech(LEVEL), 25.0).item() == pytest.approx(-1, abs=1e-6)


def test_a_clip_brings_its_own_sound_and_rate():
    video = metrics.Track(torch.zeros(50, 3, 2, 2, dtype=torch.uint8), {}, {"landmarks": faces(100 * LEVEL)})
    clip = metrics.ScoredClip("clip", video, audio=metrics.Track(speech(LEVEL), {}))
    assert metrics.LipLoudness().update_clip(clip).value == pytest.approx(1, abs=1e-6)
    with pytest.raises(UnscorableError, match="audio"):
        metrics.LipLoudness().update_clip(metrics.ScoredClip("clip", video))


def test_lips_that_are_late_correlate_less():
    values = [metrics.LipLoudness()(faces(100 * LEVEL.roll(k)), speech(LEVEL), 25.0).item() for k in (0, 1, 2)]
    assert values == sorted(values, reverse=True)


def test_a_face_that_comes_nearer_does_not_count_as_opening_lips():
    near = faces(torch.full((50,), 10.0)) * (1 + LEVEL[:, None, None].double())
    assert metrics.LipLoudness()(near, speech(LEVEL), 25.0).item() == pytest.approx(0, abs=0.3)
    assert functional.correlation((near[:, 66] - near[:, 62]).norm(dim=-1), LEVEL.double()) > 0.99  # the control


def test_lips_that_never_move_count_as_zero():
    assert metrics.LipLoudness()(torch.ones(50, 68, 2) * torch.arange(68)[:, None], speech(LEVEL), 25.0).item() == 0


@pytest.mark.parametrize("audio", [torch.zeros(32000), 1e-5 * torch.ones(32000), torch.zeros(0)])
def test_silence_has_no_correlation_to_score(audio):
    with pytest.raises(UnscorableError, match="no sound"):
        metrics.LipLoudness().update(faces(100 * LEVEL), audio, 25.0)


def test_lost_frames_are_left_out_of_the_correlation_and_listed():
    landmarks = faces(100 * LEVEL)
    landmarks[10:20] = torch.nan
    metric = metrics.LipLoudness()
    assert metric(landmarks, speech(LEVEL), 25.0).item() == pytest.approx(1, abs=1e-6)
    assert metric.lost == 10


def test_a_clip_without_a_face_has_no_correlation():
    metric = metrics.LipLoudness()
    assert metric(torch.full((50, 68, 2), torch.nan), speech(LEVEL), 25.0).isnan()
    assert metric.lost == 50


PAUSE = torch.cat((torch.full((20,), 0.2), torch.full((10,), 1e-4), torch.full((20,), 0.2)))


def test_only_pauses_of_300_ms_are_silences():
    assert functional.silences(PAUSE) == [slice(20, 30)]
    short = PAUSE.clone()
    short[23:28] = 0.2
    assert functional.silences(short) == []


def test_quiet_noise_is_silence_and_quiet_speech_is_not():
    assert functional.silences(PAUSE.clamp_min(0.2 * 10 ** (-26 / 20))) == [slice(20, 30)]
    assert functional.silences(PAUSE.clamp_min(0.2 * 10 ** (-24 / 20))) == []


def test_a_silent_track_is_one_silence():
    assert functional.silences(torch.zeros(25)) == [slice(0, 25)]


def test_lips_that_rest_in_silence_score_zero():
    opening = torch.where(PAUSE > 0.1, torch.arange(50) % 7 * 3.0, torch.tensor(5.0))
    assert metrics.SilentLips()(faces(opening), speech(PAUSE), 25.0).item() == pytest.approx(0, abs=1e-12)


def test_lips_that_flap_in_silence_score_their_deviation_over_the_eye_distance():
    opening = torch.where(torch.arange(50) % 2 == 0, 4.0, 8.0)
    assert metrics.SilentLips()(faces(opening), speech(PAUSE), 25.0).item() == pytest.approx(2 / 100)
    assert metrics.SilentLips()(faces(opening, 3.0), speech(PAUSE), 25.0).item() == pytest.approx(2 / 100)


def test_each_silence_has_its_own_rest():
    level = torch.cat((PAUSE, PAUSE))
    opening = torch.cat((torch.full((50,), 2.0), torch.full((50,), 9.0)))
    assert metrics.SilentLips()(faces(opening), speech(level), 25.0).item() == pytest.approx(0, abs=1e-12)


def test_a_face_lost_in_silence_is_listed():
    landmarks = faces(torch.full((50,), 5.0))
    landmarks[22:25] = torch.nan
    metric = metrics.SilentLips()
    assert metric(landmarks, speech(PAUSE), 25.0).item() == pytest.approx(0, abs=1e-12)
    assert metric.lost == 3


def test_without_a_silence_there_is_nothing_to_score():
    with pytest.raises(UnscorableError, match="silence"):
        metrics.SilentLips().update(faces(100 * LEVEL), speech(torch.full((50,), 0.2)), 25.0)


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_the_best_lag_is_by_how_much_the_lips_are_late(lag):
    noise = torch.randn(80, generator=torch.Generator().manual_seed(4))
    assert functional.best_lag(noise.roll(lag), noise) == lag


def test_the_scaled_difference_does_not_see_units():
    assert functional.scaled_difference(300 * LEVEL + 5, LEVEL).item() == pytest.approx(0, abs=1e-6)
    assert functional.scaled_difference(-LEVEL, LEVEL) > 0.3
