"""Linear probes of motion codes, and how much of a source's expression stays, on codes whose answer is known."""

import numpy as np
import pytest

from talkingface.core.errors import ConfigError, ShapeError
from talkingface.data.synthetic import EXPRESSIONS
from talkingface.evaluation.leakage import (
    Codes,
    LinearProbe,
    canonical_variance,
    encode_clips,
    expression_content,
    expression_leakage,
    identity_leakage,
)

PEOPLE, CLIPS, FRAMES, DIM = 8, 2, 20, 6


def codes(identity_strength, seed):
    """Motion that is noise around a place of its own for each clip, and for each person as far as asked."""
    random = np.random.default_rng(seed)
    home = np.random.default_rng(99).normal(size=(PEOPLE, DIM))
    clip = np.repeat(np.arange(PEOPLE * CLIPS), FRAMES)
    person = clip // CLIPS
    place = identity_strength * home + 0.3 * random.normal(size=(CLIPS, PEOPLE, DIM))
    motion = place[clip % CLIPS, person] + 0.3 * random.normal(size=(len(clip), DIM))
    return Codes(motion, person, clip, motion @ np.ones((DIM, 2)))


def test_motion_that_holds_the_person_is_found_out():
    leak = identity_leakage(codes(2.0, 0), codes(2.0, 1))
    assert leak.accuracy > 0.9
    assert (leak.chance, leak.people, leak.frames) == (1 / PEOPLE, PEOPLE, PEOPLE * CLIPS * FRAMES)


def test_motion_without_the_person_is_at_chance():
    """A place of each clip is no help: the probe is tested on other clips."""
    leaks = [identity_leakage(codes(0.0, 2 * seed), codes(0.0, 2 * seed + 1)).accuracy for seed in range(20)]
    assert np.mean(leaks) == pytest.approx(1 / PEOPLE, abs=0.04)


def test_the_same_clips_again_would_have_looked_like_leakage():
    assert identity_leakage(codes(0.0, 0), codes(0.0, 0)).accuracy > 0.3


def test_shuffled_names_are_at_chance_where_the_person_leaks():
    assert identity_leakage(codes(2.0, 0), codes(2.0, 1)).shuffled == pytest.approx(1 / PEOPLE, abs=0.06)


def test_more_of_the_person_leaks_more():
    accuracies = [
        identity_leakage(codes(strength, 0), codes(strength, 1)).accuracy for strength in (0.0, 0.3, 0.6, 2.0)
    ]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > accuracies[0] + 0.5


def test_the_interval_holds_the_accuracy_and_is_the_same_every_time():
    first, second = (identity_leakage(codes(0.4, 0), codes(0.4, 1), seed=3) for _ in range(2))
    assert first == second
    assert first.interval[0] <= first.accuracy <= first.interval[1]
    assert first.interval[0] < first.interval[1]


def test_an_answer_that_never_varies_counts_as_guessing():
    constant = codes(0.0, 0)
    constant = Codes(np.ones_like(constant.motion), constant.identity, constant.clip, constant.expression)
    assert identity_leakage(constant, constant).accuracy == pytest.approx(1 / PEOPLE)


def test_other_people_in_the_test_are_refused():
    train, test = codes(1.0, 0), codes(1.0, 1)
    with pytest.raises(ConfigError, match="the same in its training and its test"):
        identity_leakage(train, Codes(test.motion, test.identity + 1, test.clip, test.expression))


def test_a_probe_of_more_features_than_rows_is_the_same_ridge():
    random = np.random.default_rng(0)
    x, y, new = random.normal(size=(12, 5)), random.normal(size=(12, 2)), random.normal(size=(3, 5))
    wide = np.tile(x, 4)  # 20 features in 12 rows: each one four times, so the same fit at a quarter of the penalty
    assert np.allclose(LinearProbe(x, y, 0.1)(new), LinearProbe(wide, y, 0.4)(np.tile(new, 4)), atol=1e-10)


def test_the_probe_is_ridge_regression_by_the_normal_equations():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(30, 3)), random.normal(size=(30, 1))
    z = (x - x.mean(0)) / x.std(0)
    weight = np.linalg.solve(z.T @ z + 0.05 * 30 * np.eye(3), z.T @ (y - y.mean(0)))
    assert np.allclose(LinearProbe(x, y, 0.05)(x), z @ weight + y.mean(0), atol=1e-12)


def test_a_probe_refuses_rows_that_do_not_belong_together():
    with pytest.raises(ShapeError, match="are not"):
        LinearProbe(np.zeros((4, 2)), np.zeros((5, 1)))


def test_expression_is_found_in_motion_that_has_it_and_not_in_noise():
    train, test = codes(0.5, 0), codes(0.5, 1)
    assert expression_content(train, test).min() > 0.99
    noise = np.random.default_rng(5).normal(size=test.motion.shape)
    assert expression_content(train, Codes(noise, test.identity, test.clip, test.expression)).max() < 0.0


def test_a_parameter_that_never_moves_has_no_share():
    train, test = codes(0.5, 0), codes(0.5, 1)
    still = Codes(test.motion, test.identity, test.clip, np.zeros_like(test.expression))
    assert np.isnan(expression_content(train, still)).all()


def test_pixels_know_the_person_and_true_movement_does_not():
    """Both controls on rendered people: what must leak, and what cannot."""
    people, small = list(range(3_000_000, 3_000_005)), {"frames": 6, "size": 16}
    train, test = (
        encode_clips(lambda frames: frames.astype(np.float64), people, seeds, **small) for seeds in ([1, 2], [3])
    )
    assert identity_leakage(train, test).accuracy > 0.9
    moved = [Codes(part.expression, part.identity, part.clip, part.expression) for part in (train, test)]
    assert identity_leakage(*moved).accuracy < 0.5
    assert train.expression.shape == (len(people) * 2 * 6, len(EXPRESSIONS))


SOURCE = np.array([1.0, 0.0, -0.5, 0.2])
DRIVING = np.random.default_rng(7).normal(size=(25, 4))


@pytest.mark.parametrize("kept", [0.0, 0.25, 0.5, 1.0])
def test_a_blend_leaks_what_was_blended(kept):
    output = kept * SOURCE + (1 - kept) * DRIVING
    assert expression_leakage(output, DRIVING, SOURCE) == pytest.approx((kept, 1 - kept))


def test_a_neutral_face_leaks_nothing_and_transfers_nothing():
    assert expression_leakage(np.zeros_like(DRIVING), DRIVING, SOURCE) == pytest.approx((0, 0))


def test_regressing_differences_on_differences_would_have_blamed_the_neutral_face():
    """Why both coefficients are fitted at once."""
    difference = (SOURCE - DRIVING).ravel()
    assert (difference @ -DRIVING.ravel()) / (difference @ difference) > 0.4


def test_noise_in_the_reading_blurs_leakage_but_does_not_shift_it():
    random = np.random.default_rng(0)
    found = [
        expression_leakage(DRIVING + 0.2 * random.normal(size=DRIVING.shape), DRIVING, SOURCE)[0] for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(0, abs=0.01)


def test_a_source_that_equals_the_driving_expression_cannot_be_judged():
    assert np.isnan(expression_leakage(DRIVING, np.broadcast_to(SOURCE, DRIVING.shape), SOURCE)).all()


def test_outputs_of_another_length_are_refused():
    with pytest.raises(ShapeError, match="they must be equal"):
        expression_leakage(DRIVING[:-1], DRIVING, SOURCE)


def canonical_codes(leak, people=(3_000_000, 3_000_001), shift=0.0, scale=1.0):
    """A fake encoder on rendered people: a shape of each person, into which expression leaks as far as asked."""
    clips = encode_clips(lambda frames: np.zeros((len(frames), 1)), list(people), [1, 2], frames=8, size=16)
    shapes = np.random.default_rng(3).normal(size=(len(people), 7 * 3))
    mixing = np.random.default_rng(4).normal(size=(len(EXPRESSIONS), 7 * 3))
    points = shapes[np.searchsorted(people, clips.identity)] + leak * clips.expression @ mixing
    return Codes(points * scale + shift, clips.identity, clips.clip, clips.expression)


def test_canonical_keypoints_vary_the_more_expression_leaks_into_them():
    clean, little, much = (canonical_variance(canonical_codes(leak)) for leak in (0.0, 0.1, 0.5))
    assert clean == pytest.approx(0.0, abs=1e-12)
    assert clean < little < much / 5


def test_canonical_variance_is_free_of_size_and_place_and_of_what_sets_people_apart():
    assert canonical_variance(canonical_codes(0.2, shift=5.0, scale=0.1)) == pytest.approx(
        canonical_variance(canonical_codes(0.2))
    )
    two = canonical_codes(0.0)
    mixed = Codes(two.motion, np.zeros_like(two.identity), two.clip, two.expression)  # the control: people do differ
    assert canonical_variance(mixed) > 0.1


def test_keypoints_that_move_by_a_tenth_of_the_size_have_a_variance_of_a_hundredth():
    points = np.array([[1.0, 0, 0, -1, 0, 0]]) + np.array([[0.1], [-0.1]]) * np.array([0, 1.0, 0, 0, 1, 0])
    codes = Codes(points, np.zeros(2, int), np.zeros(2, int), np.zeros((2, 1)))
    assert canonical_variance(codes) == pytest.approx(0.01)


def test_canonical_keypoints_in_one_place_have_no_variance_to_speak_of():
    nowhere = Codes(np.ones((4, 6)), np.zeros(4, int), np.zeros(4, int), np.zeros((4, 1)))
    with np.errstate(all="raise"):
        assert np.isnan(canonical_variance(nowhere))


def test_rows_that_are_no_keypoints_are_refused():
    with pytest.raises(ShapeError, match=r"\(N, 3 K\)"):
        canonical_variance(Codes(np.zeros((4, 7)), np.zeros(4, int), np.zeros(4, int), np.zeros((4, 1))))
