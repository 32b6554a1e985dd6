"""Landmarks and head pose of real pairs: from label files, from readers of pictures, for the square that is shown."""

import logging

import numpy as np
import pytest
import torch

from media_files import make_video, numbered
from talkingface.controls import LabelControls, PictureControls
from talkingface.core.errors import MediaError
from talkingface.data import FolderPairs

FRAMES, HEIGHT, WIDTH = 6, 64, 112


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clips(tmp_path):
    """Twelve people with a clip each, in a wide frame."""
    for nth, person in enumerate("abcdefghijkl"):
        (tmp_path / "clips" / person).mkdir(parents=True)
        make_video(tmp_path / "clips" / person / f"{person}.mp4", numbered(range(nth, nth + FRAMES), HEIGHT, WIDTH))
    return tmp_path / "clips"


def label(path, valid=True):
    """In frame t all 68 points are at (0.5, t / 10) and the head is not turned."""
    landmarks = np.stack([np.tile([0.5, t / 10], (68, 1)) for t in range(FRAMES)])
    pose = np.tile(np.eye(3, 4), (FRAMES, 1, 1))
    np.savez(
        path, landmarks=landmarks, blendshapes=np.zeros((FRAMES, 52)), pose=pose, valid=np.full(FRAMES, valid, bool)
    )


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "labels").mkdir()
    for person in "abcdefghijkl":
        label(tmp_path / "labels" / f"{person}.npz")
    return tmp_path / "labels"


def pairs(clips, controls=None):
    return FolderPairs(clips, controls=controls, size=32, batch_size=2, pairs_per_clip=4, workers=0)


class Seer(PictureControls):
    """Finds all points where the picture's brightness says; counts the clips that it looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = 0

    def fingerprint(self):
        return "seer"

    def see(self, batches):
        self.looked += 1
        for frames in batches:
            points = torch.from_numpy(frames.mean((1, 2, 3)) / 255).float()[:, None, None].expand(-1, 68, 2)
            yield points, torch.eye(3).expand(len(frames), 3, 3)


def test_labels_are_those_of_the_frames_of_the_pair_in_the_square_that_is_shown(clips, labels):
    module = pairs(clips, LabelControls(folder=str(labels)))
    clip = module.clips("train")[0]
    truth = clip.truth((5, 2))
    assert truth["landmarks"][:, 7].tolist() == [pytest.approx([0.5, 0.5]), pytest.approx([0.5, 0.2])]
    assert torch.allclose(truth["pose"], torch.zeros(2, 3), atol=1e-4)
    batch = next(iter(module.train_dataloader()))
    assert (batch["landmarks"].shape, batch["pose"].shape) == ((2, 2, 68, 2), (2, 2, 3))
    assert batch["landmarks"].dtype == batch["pose"].dtype == torch.float32


def test_a_point_at_the_edge_of_a_wide_frame_lies_outside_the_square(clips, labels):
    path = labels / "a.npz"
    arrays = dict(np.load(path))
    arrays["landmarks"][:, 0] = [1.0, 0.0]
    np.savez(path, **arrays)
    module = pairs(clips, LabelControls(folder=str(labels)))
    (clip,) = [clip for split in ("train", "val", "test") for clip in module.clips(split) if clip.identity == "a"]
    assert clip.truth((0,))["landmarks"][0, 0].tolist() == pytest.approx([(112 - 24) / 64, 0.0])


def test_without_a_reader_pairs_have_no_labels(clips):
    batch = next(iter(pairs(clips).train_dataloader()))
    assert "landmarks" not in batch
    assert "pose" not in batch


def test_a_frame_without_a_face_is_unknown_and_does_not_take_its_clip_along(clips, labels):
    label(labels / "a.npz", valid=False)
    module = pairs(clips, LabelControls(folder=str(labels)))
    found = {clip.identity: clip for split in ("train", "val", "test") for clip in module.clips(split)}
    assert len(found) == 12
    assert all(values.isnan().all() for values in found["a"].truth((0, 1)).values())
    assert all(values.isfinite().all() for values in found["b"].truth((0, 1)).values())


def test_a_clip_that_cannot_be_labelled_is_left_out_and_named(clips, labels, caplog):
    (labels / "c.npz").unlink()
    with caplog.at_level(logging.INFO):
        module = pairs(clips, LabelControls(folder=str(labels)))
        names = {clip.identity for split in ("train", "val", "test") for clip in module.clips(split)}
    assert names == set("abdefghijkl")
    assert "c.npz" in caplog.text


def test_a_folder_without_any_of_the_labels_is_refused_with_a_reason(clips, tmp_path):
    with pytest.raises(MediaError, match=r"not one of 12 clips can be labelled.*a\.npz"):
        pairs(clips, LabelControls(folder=str(tmp_path / "elsewhere"))).prepare_data()


def test_pictures_are_looked_at_once_and_a_changed_clip_anew(clips):
    first, second, third = Seer(), Seer(), Seer()
    before = pairs(clips, first).clips("train")[0].truth(range(FRAMES))
    after = pairs(clips, second).clips("train")[0].truth(range(FRAMES))
    assert (first.looked, second.looked) == (12, 0)
    assert before.keys() == after.keys() == {"landmarks", "pose"}
    assert torch.equal(before["landmarks"], after["landmarks"])
    make_video(clips / "a" / "a.mp4", numbered(range(50, 50 + FRAMES), HEIGHT, WIDTH))
    pairs(clips, third).prepare_data()
    assert third.looked == 1
