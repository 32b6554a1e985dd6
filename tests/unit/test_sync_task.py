"""Training a sync expert: which sound belongs to which frames, what is judged, and what is exported."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from sync_toys import ToyTalker
from talkingface.core.errors import ConfigError
from talkingface.core.sync_window import first_sample
from talkingface.data import SyncModule
from talkingface.data.sync import SHORTEST, SyncDataset, sound_of
from talkingface.hub import load_model
from talkingface.losses import SyncExpert
from talkingface.pipelines.export import export_checkpoint
from talkingface.tasks import Synchrony
from talkingface.tasks.sync import retrieval


class ToySync(SyncModule):
    """Toy talkers, other people in each split."""

    def __init__(self, deaf=False, people=24, **options):
        super().__init__(
            **{"size": 24, "batch_size": 16, "windows_per_clip": 8, "val_windows_per_clip": 6} | options,
            workers=0,
            seed=0,
        )
        self.people, self.deaf = people, deaf

    def clips(self, split):
        first = {"train": 0, "val": 1000, "test": 2000}[split]
        count = self.people if split == "train" else 8
        return [ToyTalker(first + number, deaf=self.deaf) for number in range(count)]


def trained(task, data, epochs, **options):
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(
        **{"accelerator": "cpu", "max_epochs": epochs, "enable_checkpointing": False, **quiet, **options}
    )
    trainer.fit(task, data)
    return trainer


def expert(seed=0):
    torch.manual_seed(seed)
    return SyncExpert(width=0.0625)


def test_the_sound_of_a_window_is_where_its_frames_are():
    wave = torch.arange(60 * 640, dtype=torch.float32)
    assert sound_of(wave, 10)[401] == 6400  # its first column is centred on the first sample of frame 10
    assert first_sample(10) == 5999


def test_sound_beyond_the_clip_is_silent():
    wave = torch.ones(60 * 640)
    assert (sound_of(wave, 0) == 0).sum() == 401
    assert sound_of(wave, -40).abs().sum() == 0
    assert sound_of(wave, 70).abs().sum() == 0
    assert sound_of(wave, 58).shape == (3801,)


def test_frames_and_sound_are_those_of_one_place_and_the_other_is_not():
    clip = ToyTalker(3)
    wave = torch.from_numpy(clip.wave())
    waves = torch.stack([sound_of(wave, frame) for frame in range(56)])
    places = []
    for index in range(20):
        item = SyncDataset([clip], 24, 20, seed=1)[index]
        here, there = ((waves == item[name]).all(1).nonzero().item() for name in ("sound", "other"))
        seen = torch.from_numpy(clip.read(range(here, here + 5))).movedim(-1, 1) / 127.5 - 1
        torch.testing.assert_close(item["frames"], seen)
        assert here != there
        places.append(here)
    assert len(set(places)) > 10


def test_the_sweep_holds_the_sound_of_every_offset():
    clip = ToyTalker(3)
    wave = torch.from_numpy(clip.wave())
    data = SyncDataset([clip], 24, 3, fixed=True)
    for index, frame in enumerate((15, 27, 40)):  # from the first to the last frame that has all offsets
        sweep = data[index]["sweep"]
        assert len(sweep) == 31
        for offset in (-15, 0, 15):
            assert torch.equal(sweep[15 + offset], sound_of(wave, frame + offset))


def test_windows_change_with_the_epoch_and_come_again_with_the_seed():
    first, again, other = (SyncDataset([ToyTalker(0)], 24, 4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first[0]["sound"], again[0]["sound"])
    assert not torch.equal(first[0]["sound"], other[0]["sound"])
    again.set_epoch(1)
    assert not torch.equal(first[0]["sound"], again[0]["sound"])


def test_clips_that_are_too_short_are_refused():
    class Short(ToySync):
        def clips(self, split):
            return [ToyTalker(0, frames=SHORTEST - 1)]

    with pytest.raises(ConfigError, match="no clip of 36 frames or more"):
        Short().train_dataloader()


def test_retrieval_allows_one_frame():
    found = torch.zeros(4, 31)
    for row, place in enumerate((14, 16, 17, 0)):
        found[row, place] = 1
    assert retrieval(found) == 0.5


def test_judging_logs_loss_retrieval_and_the_curve():
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(accelerator="cpu", limit_val_batches=1, enable_checkpointing=False, **quiet)
    (seen,) = trainer.validate(Synchrony(expert()), ToySync(), verbose=False)
    curve = {f"val/offset/{offset:+d}" for offset in range(-15, 16)}
    assert set(seen) == curve | {"val/loss", "val/retrieval", "val/retrieval_shuffled"}


def test_a_checkpoint_is_exported_as_an_expert(tmp_path):
    task = Synchrony(expert())
    trainer = trained(task, ToySync(people=2), 1, limit_val_batches=0)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    export_checkpoint(tmp_path / "last.ckpt", tmp_path / "expert")
    parts = load_model(tmp_path / "expert")
    assert list(parts) == ["sync_expert"]
    state = task.sync_expert.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in parts["sync_expert"].state_dict().items())


def test_a_fixed_loader_gives_every_window_once():
    loader = ToySync().val_dataloader()
    assert isinstance(loader, DataLoader)
    assert sum(len(batch["clip_id"]) for batch in loader) == 8 * 6
