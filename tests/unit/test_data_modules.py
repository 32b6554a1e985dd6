"""Data modules: what a loader gives, in which order, to how many processes."""

import warnings

import pytest

from media_files import make_video, numbered
from talkingface.core.errors import ConfigError
from talkingface.data import FolderPairs, SyntheticPairs
from talkingface.data.modules import EpochSampler
from talkingface.data.pairs import PairDataset


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def synthetic(**options):
    sizes = {"size": 32, "identities": 4, "clips_per_identity": 1, "frames": 4, "batch_size": 2, "pairs_per_clip": 3}
    return SyntheticPairs(**sizes | options)


def pairs(count):
    clips = [type("Clip", (), {"identity": "a", "clip_id": str(i)})() for i in range(count)]
    return PairDataset(clips, 8, 1)


def test_a_batch_is_a_pair_batch_with_ground_truth():
    batch = next(iter(synthetic().train_dataloader()))
    assert batch["source"].shape == batch["driving"].shape == (2, 3, 32, 32)
    assert batch["landmarks"].shape == (2, 2, 68, 2)
    assert batch["pose"].shape == (2, 2, 3)
    assert len(batch["clip_id"]) == 2


def test_candidates_are_for_training_only_and_people_are_counted_there():
    module = synthetic(candidates=True, identities=10)
    batch = next(iter(module.train_dataloader()))
    assert batch["positive"].shape == batch["negative"].shape == (2, 3, 32, 32)
    numbers = [number for batch in module.train_dataloader() for number in batch["identity"].tolist()]
    assert set(numbers) == set(range(module.people))
    assert module.people == 8
    assert "positive" not in next(iter(module.val_dataloader()))
    assert "positive" not in next(iter(synthetic().train_dataloader()))


def test_training_and_validation_show_different_people():
    module = synthetic()
    train = {name for batch in module.train_dataloader() for name in batch["clip_id"]}
    val = {name for batch in module.val_dataloader() for name in batch["clip_id"]}
    assert train
    assert val
    assert not {name.split("-")[1] for name in train} & {name.split("-")[1] for name in val}


def test_an_epoch_too_small_for_one_step_is_refused():
    with pytest.raises(ConfigError, match="fewer than one step"):
        synthetic(batch_size=100).train_dataloader()


def test_a_split_without_clips_is_refused_by_name():
    with pytest.raises(ConfigError, match="no clip in its val split"):
        synthetic(identities=2).val_dataloader()


def test_two_processes_share_an_epoch_as_one_process_orders_it():
    one = EpochSampler(pairs(8), 1, 0, shuffle=True, seed=3, drop_last=True)
    two = [EpochSampler(pairs(8), 2, rank, shuffle=True, seed=3, drop_last=True) for rank in (0, 1)]
    for sampler in (one, *two):
        sampler.set_epoch(5)
    assert list(one) == [index for step in zip(*two, strict=True) for index in step]


def test_judging_counts_every_pair_once_in_any_number_of_processes():
    shares = [list(EpochSampler(pairs(7), 3, rank, shuffle=False)) for rank in range(3)]
    assert sorted(index for share in shares for index in share) == list(range(7))
    assert [len(EpochSampler(pairs(7), 3, rank, shuffle=False)) for rank in range(3)] == [3, 2, 2]


def test_a_new_epoch_has_another_order_and_other_pairs():
    data = pairs(16)
    sampler = EpochSampler(data, 1, 0, shuffle=True, seed=0, drop_last=True)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert int(data._epoch) == 1


def test_workers_that_stay_alive_draw_new_pairs_in_a_new_epoch():
    loader = synthetic(workers=1, pairs_per_clip=8).train_dataloader()
    sums = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        sums.append(sorted(round(float(batch["driving"].sum()), 2) for batch in loader))
    assert sums[0] != sums[1]


def test_a_folder_of_real_clips_is_split_by_person_and_broken_files_are_left_out(tmp_path):
    for person in "abcdefghijkl":
        (tmp_path / person).mkdir()
        make_video(tmp_path / person / "clip.mp4", numbered(range(6)))
    (tmp_path / "a" / "broken.mp4").write_bytes(b"not a video")
    module = FolderPairs(tmp_path, size=32, batch_size=2, pairs_per_clip=2, workers=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {split: [clip.identity for clip in module.clips(split)] for split in ("train", "val", "test")}
    assert sum(map(len, found.values())) == 12
    assert not set(found["train"]) & set(found["test"])
    batch = next(iter(module.train_dataloader()))
    assert batch["source"].shape == (2, 3, 32, 32)
