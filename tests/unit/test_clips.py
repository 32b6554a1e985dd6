"""Data modules of speech and motion: what a batch holds, in which order, and what is left out."""

import itertools
import logging

import numpy as np
import pytest
import torch

from clip_toys import Keeper, Loudness, fitted, latent
from media_files import make_video, noise_pictures, tone
from talkingface.controls import LabelControls
from talkingface.core.errors import ConfigError
from talkingface.data import FolderClips, FolderPairs, SyntheticClips
from talkingface.data.labels import in_square
from talkingface.data.rendered import RenderedSet, render_set
from talkingface.data.tracks import ClipTracks
from talkingface.data.windows import WindowDataset


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKINGFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def synthetic(**options):
    sizes = {"size": 64, "identities": 4, "clips_per_identity": 2, "clip_frames": 14, "frames": 8, "batch_size": 2}
    return SyntheticClips(**sizes | options)


def task(**options):
    return Keeper(latent(), Loudness(**options))


@pytest.fixture(scope="module")
def trained(cache):
    data = synthetic()
    return data, fitted(data, task())


def test_a_batch_is_a_clip_batch(trained):
    batch = trained[1].batches[0]
    assert batch["motion"].shape == (2, 8, 4)
    assert batch["start_motion"].shape == (2, 4)
    assert batch["portrait"].shape == (2, 32)
    assert batch["features"].shape == (2, 2, 16, 1)
    assert {name: tuple(values.shape) for name, values in batch["controls"].items()} == {
        "pose": (2, 8, 3),
        "location": (2, 8),
        "scale": (2, 8),
    }
    assert batch["identity"].dtype == torch.int64
    assert len(batch["clip_id"]) == 2
    floats = [batch["motion"], batch["start_motion"], batch["portrait"], *batch["controls"].values()]
    assert all(values.dtype == torch.float32 for values in floats)


def place_of(window, whole):
    """Where the rows of a window begin in those of a clip."""
    (places,) = [first for first in range(len(whole)) if torch.equal(whole[first : first + len(window)], window)]
    return places


def test_everything_in_a_window_belongs_to_the_same_frames_and_its_start_to_the_one_before(trained):
    data, keeper = trained
    clips = {clip.clip_id: clip for clip in data.clips("train")}
    tracks = {clip.clip_id: clip for clip in data._tracks["train"]}
    firsts = set()
    for batch in keeper.batches:
        for row, name in enumerate(batch["clip_id"]):
            motion, code = tracks[name].rows(0, 14)
            first = place_of(batch["motion"][row], motion)
            firsts.add(first)
            assert torch.equal(batch["start_motion"][row], motion[first - 1])
            assert torch.equal(batch["portrait"][row], code[first - 1])
            wave = torch.from_numpy(clips[name].wave())[first * 640 : (first + 8) * 640]
            assert torch.allclose(batch["features"][row].float(), Loudness().features(wave[None])[0], atol=1e-4)
            truth = clips[name].truth(range(first, first + 8))
            assert all(torch.equal(batch["controls"][key][row], truth[key]) for key in ("pose", "location", "scale"))
    assert min(firsts) >= 1
    assert len(firsts) > 3


def toy(folder, frames=20, name="a", identity="anna"):
    """Tracks whose motion says which frame it is of."""
    counted = np.repeat(np.arange(frames, dtype=np.float32)[:, None], 3, 1)
    np.save(folder / f"{name}-seen.npy", counted)
    np.save(folder / f"{name}-heard.npy", np.zeros((1, 2 * frames, 1), np.float16))
    return ClipTracks(name, identity, frames, 2, folder / f"{name}-seen.npy", folder / f"{name}-heard.npy")


def firsts_of(windows):
    return [int(windows[index]["motion"][0, 0]) for index in range(len(windows))]


def test_windows_depend_on_seed_epoch_and_index_alone(tmp_path):
    def drawn(seed=0, epoch=0, order=range(90)):
        windows = WindowDataset([toy(tmp_path)], {"a": {}}, 8, 90, seed)
        windows.set_epoch(epoch)
        return {index: int(windows[index]["motion"][0, 0]) for index in order}

    assert drawn() == drawn(order=reversed(range(90)))
    assert drawn() != drawn(seed=1)
    assert drawn() != drawn(epoch=1)
    assert set(drawn().values()) == set(range(1, 13))  # every place there is: 1 … 20 - 8


def test_fixed_windows_are_spread_over_the_clip_in_every_epoch(tmp_path):
    windows = WindowDataset([toy(tmp_path)], {"a": {}}, 8, 3, fixed=True)
    first = firsts_of(windows)
    windows.set_epoch(5)
    assert firsts_of(windows) == first == [1, 7, 12]
    assert firsts_of(WindowDataset([toy(tmp_path)], {"a": {}}, 8, 1, fixed=True)) == [1]


def test_a_clip_one_frame_longer_than_a_window_has_one_window(tmp_path):
    assert set(firsts_of(WindowDataset([toy(tmp_path, 9)], {"a": {}}, 8, 5))) == {1}
    assert set(firsts_of(WindowDataset([toy(tmp_path, 9)], {"a": {}}, 8, 5, fixed=True))) == {1}


def test_people_have_numbers_in_the_order_of_their_names(tmp_path):
    clips = [toy(tmp_path, name=name, identity=person) for name, person in (("x", "zoe"), ("y", "anna"), ("z", "zoe"))]
    windows = WindowDataset(clips, {"x": {}, "y": {}, "z": {}}, 8, 1)
    assert [int(windows[index]["identity"]) for index in range(3)] == [1, 0, 1]


def test_validation_shows_other_people_and_the_same_windows_each_time(trained):
    data, keeper = trained
    first, second = ([batch["motion"] for batch in data.val_dataloader()] for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    seen = {name.split("-")[1] for batch in keeper.batches for name in batch["clip_id"]}
    held = {name.split("-")[1] for batch in data.val_dataloader() for name in batch["clip_id"]}
    assert held
    assert not seen & held


def test_worker_processes_load_what_one_process_loads(trained):
    def motion(workers):
        data = synthetic(workers=workers)
        return [batch["motion"] for batch in fitted(data, task(), max_epochs=2).batches]

    alone, loaded = motion(0), motion(2)
    assert all(torch.equal(one, two) for one, two in zip(alone, loaded, strict=True))
    epochs = len(alone) // 2
    assert not torch.equal(torch.cat(alone[:epochs]), torch.cat(alone[epochs:]))


def test_calibration_is_motion_of_the_training_clips(trained, monkeypatch):
    data, _ = trained
    every = torch.cat([clip.rows(0, 14)[0] for clip in data._tracks["train"]])
    assert torch.equal(data.calibration(), every)
    monkeypatch.setattr("talkingface.data.clips.CALIBRATION", len(every) // 2)
    assert torch.equal(data.calibration(), every[::2])


def test_moods_are_the_same_motion_by_label(trained, monkeypatch):
    data, _ = trained
    found = data.moods()
    first, last = (data.clips("train")[place] for place in (0, -1))
    assert sum(len(motion) for motion in found.values()) == len(data.calibration())
    assert set(found) == {clip.emotion for clip in data.clips("train")}
    monkeypatch.setattr(type(data), "emotion_of", lambda _, clip: "odd" if clip.clip_id == last.clip_id else "")
    assert first.clip_id != last.clip_id
    (odd,) = data.moods().items()
    assert odd[0] == "odd"
    assert torch.equal(odd[1], data._tracks["train"][-1].rows(0, 14)[0])


def test_a_task_without_encoders_is_refused_by_name():
    class Other(Keeper):
        def __init__(self):
            super().__init__(torch.nn.Identity(), Loudness())

    with pytest.raises(ConfigError, match=r"SyntheticClips encodes its clips with the task's.*Other does not have"):
        fitted(synthetic(), Other())


def test_an_epoch_too_small_for_one_step_is_refused():
    with pytest.raises(ConfigError, match="fewer than one step"):
        fitted(synthetic(batch_size=100), task())


def test_clips_that_are_all_too_short_are_refused_with_their_split():
    with pytest.raises(ConfigError, match=r"no clip of more than 14 frames with sound in its train split"):
        fitted(synthetic(frames=14), task())


def labels(path, frames):
    pose = np.concatenate((np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3, 1))), 2)
    landmarks = np.zeros((frames, 68, 2), np.float16)
    landmarks[:, 30, 0] = 0.625
    landmarks[:, 8, 1] = 0.5
    content = {"landmarks": landmarks, "pose": pose, "blendshapes": np.zeros((frames, 52))}
    np.savez(path, valid=np.ones(frames, bool), **content)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Clips of anna (train): one good, one silent, one short, one that breaks; ben is for validation."""
    root = tmp_path_factory.mktemp("people")
    pictures = noise_pictures(20, 64, 128)
    for name in ("good", "ben"):
        make_video(root / f"{name}.mp4", pictures, sound=tone(0.8))
        labels(root / f"{name}.npz", 20)
    make_video(root / "silent.mp4", pictures)
    make_video(root / "short.mp4", pictures[:8], sound=tone(0.3))
    rows = [f"{name}.mp4,anna,train" for name in ("good", "silent", "short")] + ["ben.mp4,ben,val"]
    (root / "clips.csv").write_text("\n".join(["path,identity,split", *rows]))
    return root


def folder(root, **options):
    sizes = {"size": 64, "frames": 8, "batch_size": 2, "workers": 0}
    return FolderClips(root, root / "clips.csv", **sizes | options)


def test_real_clips_without_sound_and_short_ones_are_left_out_and_counted(people, caplog):
    with caplog.at_level(logging.INFO):
        keeper = fitted(folder(people), task())
    assert {name for batch in keeper.batches for name in batch["clip_id"]} == {"good"}
    assert "1 clips have no sound and are left out: train 1, val 0, test 0" in caplog.text
    assert "train: 1 clips of speech; left out: 1 shorter than 9 frames, 0 that cannot be read" in caplog.text


def test_a_real_clip_that_breaks_after_the_scan_is_left_out_and_named(people, tmp_path, caplog):
    for file in people.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    make_video(tmp_path / "short.mp4", noise_pictures(20, 64, 64), sound=tone(0.8))
    data = folder(tmp_path)
    data.clips("train")
    (tmp_path / "short.mp4").write_bytes(b"broken since")
    with caplog.at_level(logging.INFO):
        keeper = fitted(data, task())
    assert {name for batch in keeper.batches for name in batch["clip_id"]} == {"good"}
    assert "short.mp4" in caplog.text
    assert "1 that cannot be read" in caplog.text


def test_controls_of_real_clips_are_unknown_without_a_reader(people):
    batch = fitted(folder(people), task()).batches[0]
    assert batch["controls"]["pose"].shape == (2, 8, 3)
    assert all(values.isnan().all() for values in batch["controls"].values())


def test_controls_are_for_the_square_that_the_encoder_is_shown(people):
    data = folder(people, controls=LabelControls(folder=str(people)))
    controls = fitted(data, task()).batches[0]["controls"]
    assert torch.allclose(controls["location"], torch.tensor(0.75))  # 80 of 128 px is 48 of the middle 64
    assert torch.allclose(controls["scale"], torch.tensor(0.5))
    assert torch.allclose(controls["pose"], torch.zeros(()), atol=1e-4)


def test_a_tall_frame_keeps_its_place_and_gains_size():
    tall = {"location": torch.tensor([0.3]), "scale": torch.tensor([0.25]), "pose": torch.ones(1, 3)}
    tall["landmarks"] = torch.tensor([0.3, 0.75]).expand(1, 68, 2)
    square = in_square(tall, 64, 128)
    assert square["location"].item() == pytest.approx(0.3)
    assert square["scale"].item() == pytest.approx(0.5)
    assert square["landmarks"][0, 0].tolist() == pytest.approx([0.3, 1.0])
    assert square["pose"] is tall["pose"]


def test_pairs_need_no_encoders(people):
    """Control of the refusal above: data sets of pairs do not look at the task."""
    data = FolderPairs(people, people / "clips.csv", size=32, batch_size=2, workers=0)
    assert len(list(itertools.islice(data.train_dataloader(), 1))) == 1


def test_a_set_is_rendered_with_the_size_and_seed_that_were_asked_for(trained):
    wanted = RenderedSet("val", 4, 2, 14, 64, 0, audio=True)
    assert [clip.clip_id for clip in render_set(wanted)] == [clip.clip_id for clip in trained[0].clips("val")]
