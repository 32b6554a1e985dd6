import dataclasses

import pytest
import torch

from talkingface.core.records import ClipPrediction, Condition, Source


def portrait(canonical: bool = True) -> Source:
    return Source(
        (torch.rand(1, 4, 8, 8), torch.rand(1, 2, 16, 16)),
        torch.rand(1, 5),
        torch.rand(1, 3),
        torch.rand(1, 21, 3) if canonical else None,
    )


def test_one_portrait_is_seen_as_a_batch():
    source = portrait().expand(6)
    assert [feature.shape[0] for feature in source.features] == [6, 6]
    assert (source.identity.shape, source.motion.shape) == ((6, 5), (6, 3))
    assert source.canonical is not None
    assert source.canonical.shape == (6, 21, 3)


def test_every_frame_of_the_batch_is_the_portrait():
    one = portrait()
    assert torch.equal(one.expand(3).features[0][2], one.features[0][0])


def test_seeing_it_as_a_batch_copies_nothing():
    one = portrait()
    assert one.expand(100).features[0].data_ptr() == one.features[0].data_ptr()


def test_a_representation_without_canonical_points_stays_without():
    assert portrait(canonical=False).expand(2).canonical is None


def test_a_batch_of_portraits_is_left_as_it_is():
    batch = portrait().expand(4)
    assert batch.expand(4).motion.shape == (4, 3)


def test_a_batch_of_another_size_is_refused():
    with pytest.raises(RuntimeError):
        Source((), torch.rand(2, 5), torch.rand(2, 3)).expand(3)


@pytest.mark.parametrize("record", [Source, Condition, ClipPrediction])
def test_records_cannot_be_changed(record):
    assert record.__dataclass_params__.frozen


def test_conditions_do_not_share_their_controls():
    tensors = torch.zeros(1, 2, 3), torch.zeros(1, 3), torch.zeros(1, 3)
    assert Condition(*tensors).controls is not Condition(*tensors).controls


def test_a_prediction_is_at_25_frames_a_second_unless_it_says_otherwise():
    assert ClipPrediction("a", torch.zeros(1, 3, 4, 4, dtype=torch.uint8)).fps == 25
    assert {field.name for field in dataclasses.fields(ClipPrediction) if field.default is None} >= {"target", "audio"}
