"""Prepared sets in tar files: what is written, who reads which clip, in which order, with the folder's pixels."""

import io
import json
import tarfile
from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from media_files import make_video, noise_pictures
from prepare_toys import hashes
from talkingface.cli import main
from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import MediaBytes, VideoReader
from talkingface.data import FolderPairs, ShardPairs
from talkingface.data.shards import ShardClip, ShardStream, read_shard
from talkingface.prepare.manifest import SCHEMA, VERSION
from talkingface.prepare.pack import pack
from talkingface.prepare.records import Clip
from talkingface.weights import sha256

CLIPS = {"train": 12, "val": 3, "test": 2}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A set as ``prepare`` leaves it: 17 clips of 9 people, two of each but one."""
    root, rows = tmp_path_factory.mktemp("set"), []
    for split, count in CLIPS.items():
        for number in range(count):
            person = f"{split} Zoë {number // 2}"
            path = root / "clips" / person / f"take.{number}_000.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_video(path, noise_pictures(6 + number, 32, 32)[number % 3 :])
            np.savez(path.with_suffix(".npz"), frames=np.arange(number))
            frames = len(VideoReader(path))
            digests = sha256(path), sha256(path.with_suffix(".npz"))
            where = path.relative_to(root).as_posix()
            measured = (0.0, 0, 0, 32, 20.0, 0.0, 0.0, 0.0, 9.0, -9.0, None, None, None, None)
            rows.append(asdict(Clip(where, person, split, "", 0, frames, False, "x", *measured, *digests)))
    table = pa.Table.from_pylist(rows).replace_schema_metadata({VERSION: SCHEMA})
    pq.write_table(table, root / "manifest.parquet")
    return root


@pytest.fixture(scope="module")
def shards(prepared, tmp_path_factory):
    dst = tmp_path_factory.mktemp("packed") / "shards"
    pack(prepared, dst, megabytes=0.02)
    return dst


def stream(shards, **options):
    sizes = {"split": "train", "size": 16, "pairs_per_clip": 4, "batch_size": 2, "buffer": 4}
    return ShardStream(shards, **sizes | options)


def drawn(samples):
    return [(one["clip_id"], round(float(one["driving"].sum()), 2)) for one in samples]


def names(samples):
    return {one["clip_id"] for one in samples}


def test_a_shard_is_a_tar_of_webdataset_with_video_arrays_and_row_of_each_clip(prepared, shards):
    paths = sorted((shards / "train").iterdir())
    assert [path.name for path in paths] == [f"shard-{number:06d}.tar" for number in range(len(paths))]
    assert len(paths) >= 3
    with tarfile.open(paths[0]) as tar:
        members = tar.getnames()
        key = members[0].removesuffix(".mp4")
        assert members[:3] == [f"{key}.mp4", f"{key}.npz", f"{key}.json"]
        assert "." not in key
        row = json.load(tar.extractfile(f"{key}.json"))
        assert tar.extractfile(f"{key}.mp4").read() == (prepared / row["path"]).read_bytes()


def test_every_clip_is_in_the_shards_of_its_split_once(shards):
    for split, count in CLIPS.items():
        found = [clip for path in sorted((shards / split).iterdir()) for clip in read_shard(path)]
        assert len({clip.clip_id for clip in found}) == len(found) == count
        assert all(clip.identity.startswith(split) for clip in found)


def test_a_shard_is_no_larger_than_asked_for_unless_one_clip_is(shards):
    index = json.loads((shards / "shards.json").read_text())
    found = index["shards"]["train"]
    assert sum(shard["clips"] for shard in found) == CLIPS["train"]
    assert any(shard["clips"] > 1 for shard in found)
    padding = 3 * 4 * 1024  # headers and blocks of the tar file
    assert all(shard["bytes"] < 0.02e6 + shard["clips"] * padding + 10240 or shard["clips"] == 1 for shard in found)


def test_packing_goes_on_where_it_stopped_and_gives_the_same_bytes(prepared, shards, tmp_path):
    pack(prepared, tmp_path / "again", megabytes=0.02)
    (tmp_path / "again" / "shards.json").unlink()
    kept, lost = tmp_path / "again/train/shard-000000.tar", tmp_path / "again/train/shard-000001.tar"
    touched = kept.stat().st_mtime_ns
    lost.unlink()
    pack(prepared, tmp_path / "again", megabytes=0.02)
    assert hashes(tmp_path / "again") == hashes(shards)
    assert kept.stat().st_mtime_ns == touched


def test_shards_of_another_size_in_one_folder_are_refused(prepared, shards):
    with pytest.raises(ConfigError, match="another set, or of another size"):
        pack(prepared, shards, megabytes=1)


def test_a_clip_that_was_changed_is_not_packed(prepared, tmp_path):
    copy = tmp_path / "set"
    copy.mkdir()
    (copy / "manifest.parquet").write_bytes((prepared / "manifest.parquet").read_bytes())
    for path in prepared.rglob("take*"):
        (copy / path.relative_to(prepared)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(prepared)).write_bytes(path.read_bytes())
    broken = copy / "clips" / "train Zoë 0" / "take.0_000.mp4"
    broken.write_bytes(broken.read_bytes()[:-1])
    with pytest.raises(MediaError, match="is not as it was made"):
        pack(copy, tmp_path / "shards")
    assert not list(tmp_path.rglob("*.tar"))


def test_a_folder_that_is_no_prepared_set_is_one_line(tmp_path, capsys):
    assert main(["pack", str(tmp_path), str(tmp_path / "shards")]) == 1
    assert "is no prepared set" in capsys.readouterr().err


def test_the_command_counts_what_it_packed(prepared, tmp_path, capsys):
    assert main(["pack", str(prepared), str(tmp_path / "shards"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {split: one["clips"] for split, one in found.items()} == CLIPS
    assert found["train"]["identities"] == 6


def test_frames_from_memory_are_those_of_the_file(prepared):
    path = next(prepared.rglob("take.5*.mp4"))
    clip = ShardClip("a", "b", len(VideoReader(path)), path.read_bytes())
    assert np.array_equal(clip.read([3, 0]), VideoReader(path).read([3, 0]))
    assert not np.array_equal(clip.read([3, 0]), VideoReader(path).read([0, 3]))


def test_bytes_that_are_no_video_are_named():
    with pytest.raises(MediaError, match=r"anna/take is not a video"):
        VideoReader(MediaBytes("anna/take", b"no video"))


def test_a_shard_that_is_cut_off_is_named(shards, tmp_path):
    content = next((shards / "train").iterdir()).read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[:3000])
    with pytest.raises(MediaError, match=r"cut\.tar is no shard that can be read"):
        list(read_shard(tmp_path / "cut.tar"))


def test_one_seed_gives_one_order_and_another_seed_another(shards):
    first = drawn(stream(shards))
    assert drawn(stream(shards)) == first
    assert drawn(stream(shards, seed=1)) != first


def test_an_epoch_can_be_begun_at_without_those_before_it(shards):
    lived, resumed = stream(shards), stream(shards)
    first = drawn(lived)
    lived.set_epoch(1)
    resumed.set_epoch(1)
    assert drawn(lived) == drawn(resumed)
    assert drawn(resumed) != first


def test_each_clip_gives_its_pairs_and_clips_are_mixed(shards):
    samples = drawn(stream(shards))
    counts = Counter(name for name, _ in samples)
    assert set(counts.values()) == {4}
    assert len(counts) == CLIPS["train"]
    assert len(set(samples)) > 40  # pairs of a clip differ
    order = [name for name, _ in samples]
    assert sum(one != other for one, other in pairwise(order)) > len(order) / 2


def test_ranks_share_the_clips_and_give_as_many_samples_each(shards):
    found = [list(stream(shards, rank=rank, world=2)) for rank in range(2)]
    assert len(found[0]) == len(found[1]) == len(stream(shards, rank=0, world=2)) == 24
    assert not names(found[0]) & names(found[1])


def test_workers_share_the_clips_of_a_rank_in_whole_batches(shards):
    loader = DataLoader(stream(shards), 2, num_workers=2)
    batches = [batch["clip_id"] for batch in loader]
    assert len(batches) == len(loader) == 24
    assert {len(batch) for batch in batches} == {2}
    assert not {name for batch in batches[::2] for name in batch} & {name for batch in batches[1::2] for name in batch}


def test_judging_counts_every_pair_once_in_any_number_of_processes_and_workers(shards):
    options = {"split": "val", "fixed": True, "pairs_per_clip": 3}
    one = drawn(stream(shards, **options))
    shares = [drawn(stream(shards, **options, rank=rank, world=2)) for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == sorted(one)
    assert (
        [len(share) for share in shares]
        == [6, 3]
        == [len(stream(shards, **options, rank=rank, world=2)) for rank in range(2)]
    )
    loader = DataLoader(stream(shards, **options), 2, num_workers=2)
    assert [name for batch in loader for name in batch["clip_id"]] == [name for name, _ in one]


def test_fixed_pairs_are_those_of_the_folder(prepared, shards):
    options = {"size": 16, "batch_size": 1, "val_pairs_per_clip": 2, "workers": 0}
    of_folder = {
        (batch["clip_id"][0].removeprefix("clips/").replace(".", "=2E"), float(batch["driving"].sum()))
        for batch in FolderPairs(prepared, **options).val_dataloader()
    }
    of_shards = {
        (batch["clip_id"][0], float(batch["driving"].sum())) for batch in ShardPairs(shards, **options).val_dataloader()
    }
    assert of_shards == of_folder
    assert len(of_shards) == 6


def test_candidates_are_of_the_same_and_of_another_person(shards):
    module = ShardPairs(shards, size=16, batch_size=2, pairs_per_clip=4, workers=0, candidates=True, buffer=12)
    batches = list(module.train_dataloader())
    assert batches[0]["positive"].shape == batches[0]["negative"].shape == (2, 3, 16, 16)
    assert all((batch["negative_identity"] != batch["identity"]).all() for batch in batches)
    assert {number for batch in batches for number in batch["identity"].tolist()} == set(range(module.people))
    assert module.people == 6


def test_more_processes_than_shards_are_refused(shards):
    with pytest.raises(ConfigError, match="fewer than 99 processes"):
        stream(shards, world=99)


def test_a_clip_that_does_not_decode_is_named_once_and_left_out(prepared, shards, tmp_path):
    broken, whole = tmp_path / "train", next((shards / "train").iterdir())
    broken.mkdir()
    with tarfile.open(whole) as tar, tarfile.open(broken / "shard-000000.tar", "w") as changed:
        for number, member in enumerate(tar):
            content = tar.extractfile(member).read()[: 10 if number == 0 else None]
            member.size = len(content)
            changed.addfile(member, io.BytesIO(content))
    index = json.loads((shards / "shards.json").read_text())
    index["shards"]["train"] = index["shards"]["train"][:1]
    (tmp_path / "shards.json").write_text(json.dumps(index))
    with pytest.warns(UserWarning, match="Another clip takes its place") as told:
        samples = list(stream(tmp_path))
    assert len(told) == 1
    assert len(names(samples)) == index["shards"]["train"][0]["clips"] - 1
    assert len(samples) == len(stream(tmp_path))


def test_the_module_tells_a_loader_the_epoch_through_its_sampler(shards):
    loader = ShardPairs(shards, size=16, batch_size=2, pairs_per_clip=4, workers=1).train_dataloader()
    sums = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)  # as Lightning does
        sums.append(torch.stack([batch["driving"].sum() for batch in loader]))
    assert torch.equal(sums[0], sums[2])
    assert not torch.equal(sums[0], sums[1])


class Watching(L.LightningModule):
    """Learns nothing, and keeps which pairs it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, _):
        self.seen.append([self.current_epoch, batch["clip_id"], round(float(batch["driving"].sum()), 2)])
        return self.weight * 0.0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def watched(shards, folder, epochs, ckpt=None):
    data = ShardPairs(shards, size=16, batch_size=4, pairs_per_clip=2, workers=1)
    task, silent = Watching(), {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    keep = L.pytorch.callbacks.ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=epochs, limit_val_batches=0, callbacks=[keep], default_root_dir=folder, **silent
    )
    trainer.fit(task, data, ckpt_path=ckpt)
    return task.seen


def test_a_resumed_training_sees_the_pairs_that_an_uninterrupted_one_would(shards, tmp_path):
    whole = watched(shards, tmp_path, 2)
    assert len(whole) == 12
    assert whole[6:] == watched(shards, tmp_path / "resumed", 2, tmp_path / "epoch=0.ckpt")
    assert [one[1:] for one in whole[:6]] != [one[1:] for one in whole[6:]]
