"""Intervals and tests: their coverage on simulated people, against scipy, and whatever the order of the rows."""

import math
import random

import numpy as np
import pytest
import scipy.stats

from talkingface.core.errors import ConfigError
from talkingface.evaluation.statistics import (
    Estimate,
    corrected,
    estimate,
    holm,
    paired_differences,
    sign_flip_p,
)


def rows_of(system, scores, metric="psnr"):
    """Clip → score; a clip's identity is the first letter of its name."""
    return [{"system": system, "clip": clip, "identity": clip[0], metric: value} for clip, value in scores.items()]


def simulated(generator, people=20, clips=5, between=1.0, within=0.5, mean=0.0, system="model"):
    """Scores of people who differ by more than their clips do; the true mean is ``mean``."""
    return [
        {"system": system, "clip": f"{person:03}-{clip}", "identity": f"{person:03}", "psnr": level + noise}
        for person, level in enumerate(generator.normal(mean, between, people))
        for clip, noise in enumerate(generator.normal(0, within, clips))
    ]


def test_the_mean_goes_from_clip_to_identity_to_data_set():
    rows = rows_of("model", {"a1": 1.0, "a2": 3.0, "a3": 5.0, "b1": 9.0})
    assert estimate(rows, "psnr", "model").mean == 6.0  # the mean over clips would be 4.5


def test_rows_of_other_systems_do_not_count():
    rows = rows_of("model", {"a1": 1.0}) + rows_of("frozen", {"a1": 100.0})
    assert estimate(rows, "psnr", "model").mean == 1.0


def test_a_failed_clip_is_counted():
    found = estimate(rows_of("model", {"a1": 1.0, "a2": math.nan, "b1": 3.0}), "psnr", "model")
    assert (found.mean, found.clips, found.identities, found.failed) == (2.0, 2, 2, 1)


def test_without_a_scored_clip_there_is_no_mean():
    found = estimate(rows_of("model", {"a1": math.nan}), "psnr", "model")
    assert math.isnan(found.mean)
    assert (found.clips, found.identities, found.failed) == (0, 0, 1)


def test_one_person_has_a_mean_but_no_interval():
    found = estimate(rows_of("model", {"a1": 1.0, "a2": 2.0}), "psnr", "model")
    assert found.mean == 1.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.clips, found.identities) == (2, 1)


def test_the_interval_covers_the_truth_and_one_over_clips_does_not():
    generator = np.random.default_rng(0)
    hits = {"people": 0, "clips": 0}
    for _ in range(200):
        rows = simulated(generator)
        naive = [{**row, "identity": row["clip"]} for row in rows]  # every clip its own person
        for kind, given in (("people", rows), ("clips", naive)):
            found = estimate(given, "psnr", "model", resamples=500)
            hits[kind] += found.low <= 0.0 <= found.high
    print({kind: count / 200 for kind, count in hits.items()})
    assert hits["people"] / 200 > 0.88
    assert hits["clips"] / 200 < 0.75


def test_the_interval_is_that_of_scipy():
    rows = simulated(np.random.default_rng(1), people=30, clips=1)
    values = np.array([row["psnr"] for row in rows])
    found = estimate(rows, "psnr", "model", resamples=20_000)
    wanted = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.02)


def test_a_wider_level_gives_a_wider_interval():
    rows = simulated(np.random.default_rng(1))
    narrow, wide = (estimate(rows, "psnr", "model", level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_order_of_the_rows_changes_nothing():
    rows = simulated(np.random.default_rng(3)) + simulated(np.random.default_rng(4), system="frozen")
    shuffled = rows.copy()
    random.Random(0).shuffle(shuffled)
    assert shuffled != rows
    assert estimate(shuffled, "psnr", "model") == estimate(rows, "psnr", "model")
    assert paired_differences(shuffled, "psnr", "model", ["frozen"]) == paired_differences(
        rows, "psnr", "model", ["frozen"]
    )


def test_without_draws_there_is_no_interval_but_a_mean():
    rows = simulated(np.random.default_rng(3))
    found = estimate(rows, "psnr", "model", resamples=0)
    assert math.isnan(found.low)
    assert found.mean == estimate(rows, "psnr", "model").mean


def test_another_seed_draws_other_people():
    rows = simulated(np.random.default_rng(3))
    assert estimate(rows, "psnr", "model", seed=0).low != estimate(rows, "psnr", "model", seed=1).low


def test_drawing_in_blocks_needs_no_more_than_a_block(monkeypatch):
    rows = simulated(np.random.default_rng(3))
    whole = estimate(rows, "psnr", "model")
    monkeypatch.setattr("talkingface.evaluation.statistics.BLOCK", 64)
    assert estimate(rows, "psnr", "model") == whole


def test_infinite_scores_stay_infinite():
    found = estimate(rows_of("truth", {"a1": math.inf, "b1": math.inf}), "psnr", "truth")
    assert found == Estimate(math.inf, math.inf, math.inf, 2, 2, 0)


def test_a_clip_scored_twice_is_refused():
    with pytest.raises(ConfigError, match="clip 'a1' of 'model' has two rows"):
        estimate(rows_of("model", {"a1": 1.0}) * 2, "psnr", "model")


def test_an_unknown_system_or_metric_names_the_known_ones():
    rows = rows_of("model", {"a1": 1.0})
    with pytest.raises(ConfigError, match="system 'modle'; known: model"):
        estimate(rows, "psnr", "modle")
    with pytest.raises(ConfigError, match="metric 'pnsr'; known: psnr"):
        estimate(rows, "pnsr", "model")


def test_differences_are_paired_by_clip():
    ours = {f"{person}1": 10.0 * index for index, person in enumerate("abcdef")}
    theirs = {clip: value - 1.0 for clip, value in ours.items()}
    (found,) = paired_differences(rows_of("model", ours) + rows_of("frozen", theirs), "psnr", "model", ["frozen"])
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)  # the clips differ by up to 50, the pairs by 1
    assert found.p == 2 / 2**6
    unpaired = estimate(rows_of("model", ours), "psnr", "model")
    assert unpaired.high - unpaired.low > 10


def test_clips_that_only_one_side_has_are_counted():
    rows = rows_of("model", {"a1": 1.0, "a2": 2.0, "b1": math.nan}) + rows_of("frozen", {"a1": 0.0, "b1": 1.0, "c1": 5})
    (found,) = paired_differences(rows, "psnr", "model", ["frozen"])
    assert (found.mean, found.clips, found.identities, found.unpaired) == (1.0, 1, 1, 3)


def test_two_infinite_scores_do_not_differ():
    rows = rows_of("model", {"a1": math.inf, "b1": 2.0}) + rows_of("copy", {"a1": math.inf, "b1": 1.0})
    assert paired_differences(rows, "psnr", "model", ["copy"])[0].mean == 0.5


@pytest.mark.parametrize("people", [2, 7, 12])
def test_the_exact_test_is_that_of_scipy(people):
    values = np.random.default_rng(people).normal(0.6, 1.0, people)
    wanted = scipy.stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=math.inf)
    assert sign_flip_p(values) == pytest.approx(wanted.pvalue, abs=1e-12)


def test_drawn_patterns_come_near_the_exact_test():
    values = np.random.default_rng(0).normal(0.4, 1.0, 14)
    wanted = scipy.stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=math.inf).pvalue
    found = sign_flip_p(values)
    print(found, wanted)
    assert 0.01 < wanted < 0.5
    assert found == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / 10_000))
    assert sign_flip_p(values, seed=1) != found


def test_the_test_rejects_as_often_as_it_says():
    generator = np.random.default_rng(0)
    share = np.mean([sign_flip_p(generator.normal(0, 1, 10)) <= 0.05 for _ in range(1000)])
    power = np.mean([sign_flip_p(generator.normal(1, 1, 10)) <= 0.05 for _ in range(200)])
    print(share, power)
    assert 0.03 < share < 0.07
    assert power > 0.6


def test_many_clips_of_few_people_are_no_evidence():
    generator = np.random.default_rng(0)
    rows = simulated(generator, people=4, clips=50, mean=3.0)
    rows += [{**row, "system": "frozen", "psnr": 0.0} for row in rows]
    assert paired_differences(rows, "psnr", "model", ["frozen"])[0].p >= 2 / 2**4


def test_nothing_can_be_tested_on_infinite_differences():
    assert math.isnan(sign_flip_p([math.inf, 1.0]))
    assert math.isnan(sign_flip_p([]))
    assert sign_flip_p([0.0, 0.0]) == 1.0


def test_holm_by_hand():
    # sorted 0.005 0.01 0.03 0.04 times 4 3 2 1 = 0.02 0.03 0.06 0.04; the last may not be below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_leaves_out_what_was_not_tested():
    assert holm([0.6, math.nan, 0.7])[::2] == [1.0, 1.0]
    assert holm([0.02, math.nan, 0.5])[0] == 0.04
    assert math.isnan(holm([0.02, math.nan])[1])
    assert holm([]) == []


def test_a_family_may_span_metrics():
    rows = simulated(np.random.default_rng(0), people=8) + simulated(
        np.random.default_rng(1), people=8, system="frozen"
    )
    rows = [{**row, "ssim": row["psnr"] ** 3} for row in rows]
    both = [paired_differences(rows, metric, "model", ["frozen"])[0] for metric in ("psnr", "ssim")]
    assert [difference.p_holm for difference in both] == [difference.p for difference in both]
    assert [difference.p_holm for difference in corrected(both)] == holm([difference.p for difference in both])
