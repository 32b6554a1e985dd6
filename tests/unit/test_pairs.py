"""Pairs of frames: drawn within a clip, fresh in each epoch, the same for the same seed."""

import numpy as np
import pytest
import torch

from talkingface.core.errors import ConfigError, MediaError
from talkingface.data.pairs import PairDataset

FRAMES = 20


class CountingClip:
    """A clip whose every pixel says its frame number."""

    def __init__(self, identity, clip_id, shape=(32, 32)):
        self.identity, self.clip_id, self.shape = identity, clip_id, shape
        self.calls = 0

    def __len__(self):
        return FRAMES

    def read(self, indices):
        self.calls += 1
        return np.stack([np.full((*self.shape, 3), index, np.uint8) for index in indices])

    def truth(self, indices):
        return {"pose": torch.tensor([[float(index)] * 3 for index in indices])}


def frame_of(picture):
    return round((picture.mean().item() + 1) * 127.5)


@pytest.fixture
def clips():
    return [CountingClip("anna", "a1"), CountingClip("anna", "a2"), CountingClip("ben", "b1")]


def chosen(pairs):
    return [(frame_of(item["source"]), frame_of(item["driving"])) for item in (pairs[i] for i in range(len(pairs)))]


def test_an_item_is_two_pictures_of_one_clip_with_its_labels(clips):
    item = PairDataset(clips, 16, pairs_per_clip=4)[11]
    assert item["source"].shape == item["driving"].shape == (3, 16, 16)
    assert item["clip_id"] == "b1"
    assert item["pose"][:, 0].tolist() == [frame_of(item["source"]), frame_of(item["driving"])]


def test_identities_are_numbered_by_person_not_by_clip(clips):
    pairs = PairDataset(clips, 16, pairs_per_clip=1)
    assert [int(pairs[i]["identity"]) for i in range(3)] == [0, 0, 1]


def test_both_frames_come_from_one_decode_call(clips):
    PairDataset(clips, 16, pairs_per_clip=1)[0]
    assert clips[0].calls == 1


def test_the_same_seed_draws_the_same_pairs_and_another_does_not(clips):
    first, again, other = (chosen(PairDataset(clips, 16, 8, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_epoch_draws_other_pairs_and_can_be_drawn_again(clips):
    pairs = PairDataset(clips, 16, 8)
    first = chosen(pairs)
    pairs.set_epoch(1)
    second = chosen(pairs)
    pairs.set_epoch(0)
    assert second != first
    assert chosen(pairs) == first


def test_the_asked_for_share_of_pairs_is_adjacent(clips):
    steps = [abs(a - b) for a, b in chosen(PairDataset(clips, 16, 100, adjacent=1.0))]
    assert set(steps) == {1}
    steps = [abs(a - b) for a, b in chosen(PairDataset(clips, 16, 100, adjacent=0.0))]
    assert sum(step == 1 for step in steps) < 60  # a tenth of random pairs are neighbours by chance


def test_fixed_pairs_start_at_frame_zero_and_spread_over_the_clip(clips):
    pairs = PairDataset(clips[:1], 16, pairs_per_clip=4, fixed=True)
    first = chosen(pairs)
    pairs.set_epoch(5)
    assert chosen(pairs) == first == [(0, 5), (0, 10), (0, 14), (0, 19)]


def test_wide_frames_are_cropped_to_their_centre():
    class Striped(CountingClip):
        def read(self, indices):
            frames = super().read(indices)
            frames[:, :, :16] = frames[:, :, -16:] = 255
            return frames

    item = PairDataset([Striped("anna", "a", shape=(32, 64))], 32, 1, fixed=True)[0]
    assert item["source"].max() < 0


# candidates


class ColourClip(CountingClip):
    """Red says which clip it is, green which frame, so that a candidate can be recognised before it is augmented."""

    def __init__(self, identity, clip_id, red):
        super().__init__(identity, clip_id)
        self.red = red

    def read(self, indices):
        frames = super().read(indices)
        frames[..., 0] = self.red
        return frames


@pytest.fixture
def people():
    names = [("anna", "a1"), ("anna", "a2"), ("ben", "b1"), ("cleo", "c1"), ("cleo", "c2")]
    return [ColourClip(name, clip_id, 40 * place) for place, (name, clip_id) in enumerate(names)]


@pytest.fixture
def unaugmented(monkeypatch):
    monkeypatch.setattr("talkingface.data.pairs.augment", lambda image, random: image)


def clip_of(picture, people):
    return people[round((picture[0].mean().item() + 1) * 127.5 / 40)]


def items(pairs):
    return [pairs[index] for index in range(len(pairs))]


def test_the_pair_is_the_same_bit_for_bit_with_and_without_candidates(people):
    plain, rich = (items(PairDataset(people, 16, 6, candidates=candidates)) for candidates in (False, True))
    for one, other in zip(plain, rich, strict=True):
        assert torch.equal(one["source"], other["source"])
        assert torch.equal(one["driving"], other["driving"])
        assert set(other) - set(one) == {"positive", "negative", "negative_identity"}


def test_candidates_are_augmented_and_the_pair_is_not(people):
    item = PairDataset(people, 16, 6, candidates=True)[0]
    assert all(item[name].std(dim=(1, 2)).max() < 1e-6 for name in ("source", "driving"))  # one colour, as it was read
    assert all(item[name].std(dim=(1, 2)).max() > 1e-3 for name in ("positive", "negative"))  # with black borders


def test_a_positive_is_the_same_person_in_another_clip(people, unaugmented):
    for item in items(PairDataset(people, 16, 6, candidates=True)):
        positive = clip_of(item["positive"], people)
        assert positive.identity == next(clip.identity for clip in people if clip.clip_id == item["clip_id"])
        assert (positive.clip_id != item["clip_id"]) == (positive.identity != "ben")  # who has one clip only


def test_a_negative_is_another_person_with_their_own_number_and_everybody_is_drawn(people, unaugmented):
    seen = set()
    for item in items(PairDataset(people, 16, 12, candidates=True)):
        negative = clip_of(item["negative"], people)
        assert int(item["negative_identity"]) == ["anna", "ben", "cleo"].index(negative.identity)
        assert item["negative_identity"] != item["identity"]
        seen.add((int(item["identity"]), int(item["negative_identity"])))
    assert len(seen) == 6


def test_candidates_are_decided_by_seed_epoch_and_index(people):
    def drawn(seed, epoch):
        pairs = PairDataset(people, 16, 2, seed=seed, candidates=True)
        pairs.set_epoch(epoch)
        return torch.stack([item["negative"] for item in items(pairs)])

    assert torch.equal(drawn(1, 0), drawn(1, 0))
    assert not torch.equal(drawn(1, 0), drawn(2, 0))
    assert not torch.equal(drawn(1, 0), drawn(1, 1))


def test_a_broken_candidate_is_replaced_by_another(people):
    def broken(indices):
        raise MediaError("c1 broke")

    people[3].read = people[4].read = broken  # cleo cannot be seen any more
    pairs = PairDataset(people[:3] + people[3:], 16, 4, candidates=True)
    with pytest.warns(UserWarning, match="c1 broke"):
        found = [pairs[index] for index in range(3)]
    assert {int(item["negative_identity"]) for item in found} <= {0, 1}


def test_one_person_alone_has_no_negatives(clips):
    with pytest.raises(ConfigError, match="shows one person"):
        PairDataset(clips[:2], 16, 1, candidates=True)
