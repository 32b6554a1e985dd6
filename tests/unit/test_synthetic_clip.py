"""Synthetic clips: determinism, ground truth over time, speech in sync with the lips."""

import numpy as np
import pytest

from talkingface.core.errors import ConfigError
from talkingface.data.synthetic import EMOTIONS, EXPRESSIONS, render_clip, render_frame, split_identities

FRAMES = 24
COLUMN = {name: index for index, name in enumerate(EXPRESSIONS)}


@pytest.fixture(scope="module")
def clip():
    return render_clip(3, seed=5, frames=FRAMES, size=48)


@pytest.fixture(scope="module")
def talks():
    """Longer clips of four neutral speakers, tiny, as only sound and ground truth are looked at."""
    return [render_clip(person, seed=20 + person, frames=100, size=16, emotion="neutral") for person in range(4)]


def lip_opening(clip):
    return np.linalg.norm(clip.landmarks[:, 62] - clip.landmarks[:, 66], axis=1) / clip.scale


def loudness(clip):
    return np.sqrt((clip.audio.reshape(-1, 640) ** 2).mean(axis=1))


def correlation(clip, lag):
    """Of lip opening with the loudness ``lag`` frames later."""
    lips, sound = lip_opening(clip), loudness(clip)
    sound, lips = (sound[lag:], lips[: len(lips) - lag]) if lag >= 0 else (sound[:lag], lips[-lag:])
    return np.corrcoef(sound, lips)[0, 1]


def test_a_clip_has_the_shapes_types_and_ranges_it_promises(clip):
    assert clip.frames.shape == (FRAMES, 48, 48, 3)
    assert clip.frames.dtype == np.uint8
    shapes = {
        "audio": (640 * FRAMES,),
        "landmarks": (FRAMES, 68, 2),
        "pose": (FRAMES, 3),
        "location": (FRAMES,),
        "scale": (FRAMES,),
        "expression": (FRAMES, len(EXPRESSIONS)),
    }
    for name, shape in shapes.items():
        array = getattr(clip, name)
        assert array.shape == shape, name
        assert array.dtype == np.float32, name
        assert np.isfinite(array).all(), name
    assert np.abs(clip.audio).max() <= 1
    assert clip.audio.std() > 0.01
    assert (np.abs(clip.pose) <= (30, 20, 15)).all()
    assert (np.abs(clip.expression) <= 1).all()
    assert clip.emotion in EMOTIONS
    assert clip.intensity in (1, 2, 3)
    assert (clip.identity, clip.seed) == (3, 5)


def test_the_same_seed_gives_the_same_clip_bit_for_bit(clip):
    again = render_clip(3, seed=5, frames=FRAMES, size=48)
    for name in ("frames", "audio", "landmarks", "pose", "location", "scale", "expression"):
        assert np.array_equal(getattr(again, name), getattr(clip, name)), name
    assert again.phonemes == clip.phonemes


def test_another_seed_gives_another_clip_of_the_same_person(clip):
    other = render_clip(3, seed=6, frames=FRAMES, size=48)
    assert not np.array_equal(other.pose, clip.pose)
    assert other.phonemes != clip.phonemes
    assert not np.array_equal(other.frames, clip.frames)


def test_size_and_sound_do_not_change_what_happens(clip):
    silent = render_clip(3, seed=5, frames=FRAMES, size=16, audio=False)
    assert len(silent.audio) == 0
    assert np.array_equal(silent.landmarks, clip.landmarks)
    assert np.array_equal(silent.expression, clip.expression)


def test_location_and_scale_are_those_of_the_landmarks(clip):
    assert np.array_equal(clip.location, clip.landmarks[:, 30, 0])
    brows = clip.landmarks[:, 21:23].mean(axis=1)
    assert np.allclose(clip.scale, np.linalg.norm(brows - clip.landmarks[:, 8], axis=1), atol=1e-6)


def test_a_frame_can_be_drawn_again_from_its_ground_truth(clip):
    for index in (0, FRAMES - 1):
        truth = clip.pose[index], clip.landmarks[index, 30], clip.scale[index], clip.expression[index]
        picture, points = render_frame(3, *truth, size=48)
        assert np.allclose(points, clip.landmarks[index], atol=1e-4)
        assert np.abs(picture.astype(int) - clip.frames[index]).mean() < 0.5


def test_nothing_pops_from_frame_to_frame():
    frames = render_clip(1, seed=2, frames=50, size=48, audio=False).frames.astype(float)

    def worst(sequence):
        steps = np.abs(np.diff(sequence, axis=0)).mean(axis=(1, 2, 3))
        return steps.max() / np.median(steps)

    assert worst(frames) < 4
    jumping = frames.copy()
    jumping[25] = frames[0]  # the control
    assert worst(jumping) > 4


def test_copying_the_source_is_a_poor_guess():
    clips = [render_clip(person, seed=1, frames=60, size=32, audio=False).frames.astype(float) for person in range(4)]
    errors = [np.mean((frames[0] - frames[index]) ** 2) for frames in clips for index in (20, 40, 59)]
    assert 14 < np.mean([10 * np.log10(255**2 / error) for error in errors]) < 24


def test_phonemes_follow_each_other_and_fill_the_clip(talks):
    for talk in talks:
        assert talk.phonemes[0].start == 0
        assert talk.phonemes[-1].end == pytest.approx(4.0)
        for before, after in zip(talk.phonemes[:-1], talk.phonemes[1:], strict=True):
            assert before.end == pytest.approx(after.start)
            assert before.end > before.start
        silence = sum(p.end - p.start for p in talk.phonemes if p.symbol == "sil")
        assert 0.05 < silence / 4.0 < 0.6


def test_lips_and_loudness_are_in_sync(talks):
    mean = {lag: np.mean([correlation(talk, lag) for talk in talks]) for lag in range(-6, 7)}
    assert max(mean, key=mean.get) == 0
    assert mean[0] > 0.6
    assert max(mean[-5], mean[5]) < 0.35  # the control: a shift of a fifth of a second is heard


def test_lips_do_not_follow_the_sound_of_another_clip(talks):
    crossed = [np.corrcoef(lip_opening(talks[i]), loudness(talks[i - 1]))[0, 1] for i in range(4)]
    assert np.mean(crossed) < np.mean([correlation(talk, 0) for talk in talks]) - 0.4


def middle_of(talk, symbols):
    """Frames that lie at least 100 ms (silence) or at all (sounds) inside phonemes with these symbols."""
    time = (np.arange(len(talk.pose)) + 0.5) / 25
    margin = 0.1 if symbols == ("sil",) else 0.0
    inside = np.zeros(len(time), bool)
    for phoneme in talk.phonemes:
        if phoneme.symbol in symbols:
            inside |= (time > phoneme.start + margin) & (time < phoneme.end - margin)
    return inside


def test_the_mouth_rests_and_nothing_is_heard_in_silence(talks):
    for talk in talks:
        quiet = middle_of(talk, ("sil",))
        assert quiet.any()
        assert talk.expression[quiet, COLUMN["jaw"]].max() < 0.1
        assert loudness(talk)[quiet].max() < 0.1 * loudness(talk).max()


def test_lips_close_for_m_b_p_and_open_for_a(talks):
    opening = np.concatenate([lip_opening(talk) for talk in talks])
    closed = np.concatenate([middle_of(talk, ("m", "b", "p")) for talk in talks])
    opened = np.concatenate([middle_of(talk, ("aa", "ae", "ay", "aw", "ao", "eh")) for talk in talks])
    assert closed.any()
    assert opened.any()
    assert np.median(opening[closed]) < 0.3 * np.median(opening[opened])


def test_an_emotion_is_seen_in_the_expression_of_its_clip():
    happy, sad = (render_clip(2, 4, 10, 16, emotion, 3, audio=False) for emotion in ("happy", "sad"))
    assert happy.expression[:, COLUMN["smile"]].mean() > 0.6 > -0.4 > sad.expression[:, COLUMN["smile"]].mean()
    assert happy.emotion == "happy"


def test_people_blink():
    talk = render_clip(0, seed=9, frames=500, size=16, audio=False)
    shut = talk.expression[:, COLUMN["blink_left"]] > 0.5
    blinks = int((np.diff(shut.astype(int)) == 1).sum())
    assert 2 <= blinks <= 12  # in 20 seconds
    assert shut.mean() < 0.15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emotion": "hapy"}, "known: happy"),
        ({"intensity": 4}, "1, 2 or 3"),
        ({"frames": 0}, "at least 1 frame"),
    ],
)
def test_a_wrong_request_is_answered_with_what_is_right(arguments, message):
    with pytest.raises(ConfigError, match=message):
        render_clip(0, 0, **{"frames": 2, "size": 16, **arguments})


@pytest.mark.parametrize("count", [3, 10, 57])
def test_the_split_shares_out_every_identity_once(count):
    split = split_identities(count, seed=1)
    assert sorted(person for part in split.values() for person in part) == list(range(count))
    assert all(split[name] for name in ("train", "val", "test"))
    assert split == split_identities(count, seed=1)


def test_another_seed_splits_otherwise():
    assert split_identities(40, seed=1) != split_identities(40, seed=2)
