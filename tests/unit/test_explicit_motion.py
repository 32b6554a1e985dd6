"""Landmarks and coefficients as motion: what the numbers are, from labels and from pictures; and their reader."""

import numpy as np
import pytest
import torch

from media_files import make_video
from talkingface.controls import LabelControls
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.images import to_float
from talkingface.core.interfaces import ControlReader
from talkingface.data.synthetic import render_clip
from talkingface.evaluation import SyntheticControls
from talkingface.motion import CoefficientMotion, LandmarkMotion, LatentMotion
from talkingface.renderers import FaceVid2VidRenderer, LIARenderer
from talkingface.tasks import Reconstruction

FRAMES = 5


@pytest.fixture(scope="module")
def clip():
    return render_clip(3, 1, frames=FRAMES, size=64, audio=False)


def labels(clip):
    return {name: torch.tensor(getattr(clip, name)) for name in ("landmarks", "pose", "expression")}


def test_landmarks_are_places_from_minus_one_to_one_x_before_y():
    points = torch.full((2, 68, 2), 0.5)
    points[:, 0] = torch.tensor([0.0, 1.0])  # the lower left corner
    motion = LandmarkMotion().of_labels({"landmarks": points})
    assert motion.shape == (2, 136)
    assert motion[0, :4].tolist() == [-1, 1, 0, 0]


def test_coefficients_are_expression_quarter_turns_place_and_size():
    points = torch.full((68, 2), 0.5)
    points[30] = torch.tensor([0.75, 0.25])
    points[[21, 22]] = torch.tensor([[0.4, 0.3], [0.6, 0.3]])
    points[8] = torch.tensor([0.5, 0.7])
    told = {"expression": torch.tensor([0.1, 0.2]), "pose": torch.tensor([45.0, -9.0, 0.0]), "landmarks": points}
    motion = CoefficientMotion(expression=2).of_labels(told)
    assert motion.tolist() == pytest.approx([0.1, 0.2, 0.5, -0.1, 0.0, 0.5, -0.5, 0.4])


@pytest.mark.parametrize("kind", [LandmarkMotion, CoefficientMotion])
def test_motion_of_a_picture_is_that_of_what_the_reader_sees_in_it(kind, clip):
    settings = {"expression": 16} if kind is CoefficientMotion else {}
    part = kind(reader=SyntheticControls(), **settings)
    seen = part(to_float(clip.frames))
    assert torch.equal(seen, part.of_labels(SyntheticControls().read(None, clip.frames)))
    assert (seen - part.of_labels(labels(clip))).abs().mean() < 0.1
    other = render_clip(3, 2, frames=FRAMES, size=64, audio=False)  # the control: the same person does something else
    assert (seen - part.of_labels(labels(other))).abs().mean() > (seen - part.of_labels(labels(clip))).abs().mean()


def test_labels_of_which_one_is_missing_tell_no_motion(clip):
    told = labels(clip)
    part = CoefficientMotion(expression=16)
    assert part.of_labels(told).shape == (FRAMES, 22)
    assert part.of_labels({name: told[name] for name in ("landmarks", "pose")}) is None
    assert LatentMotion(size=64, width=0.0625, code_dim=32).of_labels(told) is None


def test_what_is_unknown_stays_unknown(clip):
    told = labels(clip)
    told["landmarks"][2] = torch.nan
    for part in (LandmarkMotion(), CoefficientMotion(expression=16)):
        assert part.of_labels(told).isnan().any(-1).tolist() == [False, False, True, False, False]


def test_a_picture_without_a_reader_is_refused_with_both_ways_out():
    with pytest.raises(ConfigError, match=r"LandmarkMotion needs landmarks .*data\.controls.*motion_encoder\.reader"):
        LandmarkMotion()(torch.zeros(1, 3, 64, 64))


def test_another_number_of_coefficients_is_refused_with_both(clip):
    with pytest.raises(ConfigError, match="have 16 expression coefficients and CoefficientMotion takes 51"):
        CoefficientMotion().of_labels(labels(clip))


def test_a_reader_that_measures_too_little_is_refused(clip):
    class Points(ControlReader):
        def read(self, clip, frames=None):
            return {"landmarks": torch.zeros(len(frames), 68, 2), "pose": torch.zeros(len(frames), 3)}

    assert LandmarkMotion(reader=Points())(to_float(clip.frames)).shape == (FRAMES, 136)  # the control
    with pytest.raises(ConfigError, match="Points does not measure expression"):
        CoefficientMotion(reader=Points())(to_float(clip.frames))


def test_other_points_than_68_are_refused():
    with pytest.raises(ShapeError, match="landmarks"):
        LandmarkMotion().of_labels({"landmarks": torch.zeros(2, 478, 2)})


def test_label_files_do_not_read_pictures(tmp_path, clip):
    with pytest.raises(ConfigError, match="label files belong to clips"):
        LabelControls(folder=str(tmp_path)).read(None, clip.frames)


def test_the_reader_of_drawn_faces_measures_what_is_true_of_them(clip):
    found = SyntheticControls().read(None, clip.frames)
    assert {name: track.shape[1:] for name, track in found.items()} == {
        "pose": (3,), "location": (), "scale": (), "landmarks": (68, 2), "expression": (16,)
    }  # fmt: skip
    for name, limit in {"location": 0.03, "scale": 0.04, "landmarks": 0.03}.items():
        assert np.abs(found[name].numpy() - getattr(clip, name)).mean() < limit, name
    assert np.abs(found["pose"].numpy() - clip.pose).mean() < 6  # degrees


def test_in_a_wide_frame_it_speaks_of_the_whole_frame(clip):
    wide = np.pad(clip.frames, ((0, 0), (0, 0), (32, 32), (0, 0)))
    square, found = (SyntheticControls().read(None, frames) for frames in (clip.frames, wide))
    assert torch.allclose(found["landmarks"][..., 0] * 128, square["landmarks"][..., 0] * 64 + 32, atol=1e-4)
    assert torch.allclose(found["location"] * 128, square["location"] * 64 + 32, atol=1e-4)
    assert torch.allclose(found["scale"], square["scale"])


def test_it_reads_a_file_as_it_reads_its_pictures(tmp_path, clip):
    path = make_video(tmp_path / "clip.mp4", clip.frames)
    found = SyntheticControls().read(path)
    assert found["landmarks"].shape == (FRAMES, 68, 2)
    assert (found["landmarks"] - SyntheticControls().read(None, clip.frames)["landmarks"]).abs().mean() < 0.03


class Blind(ControlReader):
    """A reader that must not be asked."""

    def read(self, clip, frames=None):
        raise AssertionError("labels tell the motion already")


def reconstruction(kind, reader):
    torch.manual_seed(0)
    return Reconstruction(
        LandmarkMotion(reader=reader), lambda motion: kind(motion, size=64, width=0.0625), loss_weights={"l1": 1.0}
    )


@pytest.fixture
def batch(clip):
    pictures, points = to_float(clip.frames), torch.tensor(clip.landmarks)
    return {
        "source": pictures[[0, 1]],
        "driving": pictures[[2, 3]],
        "landmarks": torch.stack([points[[0, 2]], points[[1, 3]]]),
        "clip_id": ["a", "b"],
    }


@pytest.mark.parametrize("kind", [LIARenderer, FaceVid2VidRenderer])
def test_training_believes_the_labels_of_its_pairs(kind, batch, clip):
    source, motion = reconstruction(kind, Blind()).look(batch)
    points = torch.tensor(clip.landmarks)
    assert torch.equal(source.motion, LandmarkMotion().of_labels({"landmarks": points[:2]}))
    assert torch.equal(motion, LandmarkMotion().of_labels({"landmarks": points[2:4]}))


def test_pairs_without_labels_are_looked_at(batch):
    del batch["landmarks"]
    with pytest.raises(AssertionError, match="labels tell"):
        reconstruction(LIARenderer, Blind()).look(batch)
    seen = LandmarkMotion(reader=SyntheticControls())(batch["driving"])
    assert torch.equal(reconstruction(LIARenderer, SyntheticControls()).look(batch)[1], seen)


def test_a_frame_whose_labels_are_unknown_does_not_spoil_the_step(batch):
    batch["landmarks"][0, 1] = torch.nan
    task = reconstruction(LIARenderer, None)
    task.log_dict = lambda *args, **kwargs: None
    loss = task.training_step(batch, 0)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())
