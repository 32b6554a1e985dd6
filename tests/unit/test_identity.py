import math

import pytest
import torch
from torch import Tensor

from talkingface import registry
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.metrics import (
    CSIM,
    FaceNetCSIM,
    FaceNetIdentityDistance,
    FaceRate,
    IdentityDistance,
    ScoredClip,
    Track,
    WholeFrameCSIM,
    identity_ceiling,
    identity_floor,
    mean_embedding,
)
from talkingface.metrics.functional.embedding import cosine, embedding_distance

NAN = float("nan")
SIMILARITIES = {"csim": CSIM, "csim-whole": WholeFrameCSIM, "csim-facenet": FaceNetCSIM}
DISTANCES = {"aed-id": IdentityDistance, "aed-id-facenet": FaceNetIdentityDistance}


def units(*degrees: float) -> Tensor:
    """Unit vectors in the plane; NaN where no face was found."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], -1)


def clip(feature: str, prediction: Tensor, target: Tensor | None = None) -> ScoredClip:
    frames = torch.zeros(len(prediction), 3, 2, 2, dtype=torch.uint8)
    true = None if target is None else Track(frames, {}, {feature: target})
    return ScoredClip("clip", Track(frames, {}, {feature: prediction}), true)


def feature_of(metric: type) -> str:
    return metric.needs[0].partition(".")[2]


@pytest.mark.parametrize("metric", SIMILARITIES.values())
def test_similarity_is_the_mean_cosine_of_frames_side_by_side(metric):
    measured = metric().update_clip(clip(feature_of(metric), units(0, 30, 90), units(0, 90, 30)))
    assert measured.value == pytest.approx((1 + 0.5 + 0.5) / 3, abs=1e-7)
    assert (measured.lost, measured.total) == (0, 3)


@pytest.mark.parametrize("metric", DISTANCES.values())
def test_distance_is_two_less_two_cosines(metric):
    measured = metric().update_clip(clip(feature_of(metric), units(0, 60), units(0, 0)))
    assert measured.value == pytest.approx((0 + 1) / 2, abs=1e-6)


def test_length_of_an_embedding_does_not_matter():
    first, second = units(0, 20), units(40, 40)
    torch.testing.assert_close(cosine(3 * first, second / 7), cosine(first, second))
    torch.testing.assert_close(embedding_distance(3 * first, second / 7), embedding_distance(first, second))


def test_an_identical_embedding_scores_best_and_never_better():
    embeddings = torch.randn(50, 512, generator=torch.Generator().manual_seed(0))
    assert (embedding_distance(embeddings, embeddings) == 0).all()
    similarity = cosine(embeddings, embeddings)
    assert (similarity <= 1).all()
    torch.testing.assert_close(similarity, torch.ones(50, dtype=torch.float64), atol=1e-12, rtol=0)


def test_embeddings_of_two_networks_are_refused():
    with pytest.raises(ShapeError):
        cosine(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("metric", [*SIMILARITIES.values(), *DISTANCES.values()])
def test_a_predicted_frame_without_a_face_counts_worst_and_is_listed(metric):
    scored = metric().update_clip(clip(feature_of(metric), units(0, NAN), units(0, 0)))
    worst = min(metric.range) if metric.higher_is_better else max(metric.range)
    best = max(metric.range) if metric.higher_is_better else min(metric.range)
    assert scored.value == pytest.approx((best + worst) / 2)
    assert (scored.lost, scored.total) == (1, 2)


@pytest.mark.parametrize("metric", [*SIMILARITIES.values(), *DISTANCES.values()])
def test_finding_nothing_is_never_better_than_a_stranger(metric):
    feature = feature_of(metric)
    stranger = metric().update_clip(clip(feature, units(170, 170), units(0, 0))).value
    nothing = metric().update_clip(clip(feature, units(NAN, NAN), units(0, 0))).value
    assert nothing < stranger if metric.higher_is_better else nothing > stranger


@pytest.mark.parametrize("metric", [*SIMILARITIES.values(), *DISTANCES.values()])
def test_a_target_frame_without_a_face_is_left_out(metric):
    feature = feature_of(metric)
    scored = metric().update_clip(clip(feature, units(0, 50, NAN), units(0, NAN, NAN)))
    assert scored.value == metric().update_clip(clip(feature, units(0), units(0))).value
    assert (scored.lost, scored.total) == (0, 1)


def test_a_target_without_any_face_cannot_be_scored_and_adds_nothing():
    metric = CSIM()
    with pytest.raises(UnscorableError, match="no face in any frame of its target"):
        metric.update_clip(clip("arcface", units(0, 0), units(NAN, NAN)))
    assert metric.clips == 0


def test_a_long_clip_weighs_no_more_than_a_short_one():
    metric = CSIM()
    metric.update(units(0, 0, 0), units(0, 0, 0))
    metric.update(units(60), units(0))
    assert metric.compute().item() == pytest.approx(0.75, abs=1e-7)


def test_a_clip_that_is_added_after_the_value_was_read_counts():
    metric = CSIM()
    metric.update_clip(clip("arcface", units(0), units(0)))
    assert metric.compute() == 1
    metric.update_clip(clip("arcface", units(90), units(0)))
    assert metric.compute().item() == pytest.approx(0.5, abs=1e-7)


def faces(*counts: float) -> Tensor:
    rows = torch.ones(len(counts), 16)
    rows[:, 15] = torch.tensor(counts)
    rows[rows[:, 15].isnan()] = NAN
    return rows


def test_face_rate_is_the_share_of_frames_with_a_face():
    scored = FaceRate().update_clip(clip("face", faces(1, NAN, 2, NAN)))
    assert scored.value == 0.5
    assert FaceRate().update_clip(clip("face", faces(1))).value == 1.0
    assert FaceRate().update_clip(clip("face", faces(NAN, NAN))).value == 0.0


def test_mean_embedding_leaves_frames_without_a_face_out():
    torch.testing.assert_close(mean_embedding(units(10, NAN, 50)).float(), units(30)[0])
    assert mean_embedding(units(NAN, NAN)).isnan().all()


def test_mean_embedding_takes_frames_alike_whatever_their_length():
    lengths = torch.tensor([[1.0], [100.0]])
    torch.testing.assert_close(mean_embedding(units(10, 50) * lengths).float(), units(30)[0])


def test_ceiling_is_of_two_clips_of_one_person_and_floor_of_two_persons():
    clips = {
        "a1": ("ann", units(0)[0]),
        "a2": ("ann", units(60)[0]),
        "b1": ("bob", units(90)[0]),
    }
    ceiling, floor = identity_ceiling(clips), identity_floor(clips)
    assert ceiling.mean == pytest.approx(0.5, abs=1e-6)
    assert (ceiling.pairs, ceiling.groups) == (1, 1)
    assert floor.mean == pytest.approx((0.0 + math.cos(math.radians(30))) / 2, abs=1e-6)
    assert (floor.pairs, floor.groups) == (2, 1)


def test_a_person_with_many_clips_weighs_no_more_than_one_with_two():
    clips = {f"a{index}": ("ann", units(0)[0]) for index in range(6)}
    clips |= {"b1": ("bob", units(0)[0]), "b2": ("bob", units(90)[0])}
    ceiling = identity_ceiling(clips)
    assert ceiling.mean == pytest.approx((1 + 0) / 2, abs=1e-6)
    assert (ceiling.pairs, ceiling.groups) == (15 + 1, 2)


def test_order_of_clips_changes_nothing():
    clips = {str(index): (str(index % 3), units(17.0 * index)[0]) for index in range(9)}
    backwards = dict(reversed(clips.items()))
    assert identity_ceiling(clips) == identity_ceiling(backwards)
    assert identity_floor(clips) == identity_floor(backwards)


def test_ceiling_of_single_clips_and_floor_of_one_person_do_not_exist():
    assert identity_ceiling({"a": ("ann", units(0)[0])}).pairs == 0
    assert math.isnan(identity_ceiling({"a": ("ann", units(0)[0]), "b": ("bob", units(0)[0])}).mean)
    assert math.isnan(identity_floor({"a": ("ann", units(0)[0]), "b": ("ann", units(0)[0])}).mean)
    assert math.isnan(identity_floor({}).mean)


def test_a_clip_without_a_face_has_no_part_in_ceiling_and_floor():
    clips = {"a1": ("ann", units(0)[0]), "a2": ("ann", units(0)[0]), "b": ("bob", units(90)[0])}
    assert identity_ceiling(clips | {"a3": ("ann", units(NAN)[0])}) == identity_ceiling(clips)
    assert identity_floor(clips | {"c": ("eve", units(NAN)[0])}) == identity_floor(clips)


@pytest.mark.parametrize(("name", "metric"), [*SIMILARITIES.items(), *DISTANCES.items(), ("face-rate", FaceRate)])
def test_every_metric_is_known_by_name_and_so_are_its_extractors(name, metric):
    assert registry.load("metric", name) is metric
    for need in metric.needs:
        assert need.partition(".")[2] in registry.names("extractor")


def test_conventions_name_their_networks_and_differ():
    conventions = {metric.convention for metric in [*SIMILARITIES.values(), *DISTANCES.values()]}
    assert len(conventions) == 5
    assert "arcface-aligned" in CSIM.convention
    assert "facenet" in FaceNetIdentityDistance.convention
