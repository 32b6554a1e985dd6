"""Keypoint losses in the stage-1 task: what each needs, what it reaches, what is refused."""

import functools

import pytest
import torch

from talkingface.core.errors import ConfigError
from talkingface.core.geometry import facevid2vid_rotation, geodesic_angle, rotation
from talkingface.core.keypoints import facevid2vid_euler
from talkingface.losses import LandmarkGuide
from talkingface.motion import LatentMotion, LivePortraitMotion
from talkingface.renderers import FaceVid2VidRenderer, LIADiscriminator, LIARenderer, PatchDiscriminator
from talkingface.tasks import KeypointLosses, Reconstruction
from talkingface.tasks.keypoints import KEYPOINT_LOSSES

SIZE = 64
PRIORS = {"equivariance": 10.0, "keypoint_prior": 10.0, "head_pose": 20.0, "deformation": 5.0}
PICTURES = ("source", "driving", "positive")
ALL = {"l1": 1.0, **PRIORS, "canonical": 10.0, "landmark": 5.0}


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    source, driving, positive = (torch.rand(2, 3, SIZE, SIZE, generator=generator) * 2 - 1 for _ in range(3))
    return {
        "source": source,
        "driving": driving,
        "positive": positive,
        "landmarks": torch.rand(2, 2, 68, 2, generator=generator),
        "pose": torch.rand(2, 2, 3, generator=generator) * 20 - 10,
        "identity": torch.tensor([0, 1]),
        "clip_id": ["a", "b"],
    }


@pytest.fixture
def logged(monkeypatch):
    seen = {}
    monkeypatch.setattr(Reconstruction, "log_dict", lambda self, values, **kwargs: seen.update(values))
    return seen


def encoder():
    return LivePortraitMotion(size=SIZE, width=0.0625)


def task(weights, renderer=None, **options):
    torch.manual_seed(0)
    options = {"keypoints": functools.partial(KeypointLosses, guide=LandmarkGuide()), **options}
    make = renderer or (lambda motion: FaceVid2VidRenderer(motion, size=SIZE, width=0.0625, depth=4))
    return Reconstruction(encoder(), make, loss_weights=weights, **options)


def test_only_losses_with_a_weight_are_computed_and_each_is_logged_by_name(batch, logged):
    task({"l1": 1.0, "deformation": 5.0, "canonical": 0.0}).training_step(batch, 0)
    assert set(logged) == {"train/l1", "train/deformation", "train/loss"}
    logged.clear()
    task(ALL).training_step(batch, 0)
    assert set(logged) == {f"train/{name}" for name in (*ALL, "loss")}


def test_the_loss_is_the_weighted_sum_of_its_terms(batch, logged):
    total = task(ALL).training_step(batch, 0)
    assert total.item() == pytest.approx(sum(ALL[name] * logged[f"train/{name}"].item() for name in ALL), rel=1e-5)


def test_every_trainable_parameter_gets_a_gradient(batch, logged):
    weights = ALL | {"hinge": 1.0, "feature_matching": 1.0}
    model = task(weights, discriminator=PatchDiscriminator(width=0.125))
    model.training_step(batch, 0).backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []


@pytest.mark.parametrize("name", KEYPOINT_LOSSES)
def test_each_loss_alone_moves_the_motion_encoder(batch, logged, name):
    model = task({name: 1.0})
    model.training_step(batch, 0).backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in model.motion_encoder.parameters())


def test_a_loss_on_keypoints_gives_the_renderer_no_gradient(batch, logged):
    model = task({"canonical": 1.0, "landmark": 1.0})
    model.training_step(batch, 0).backward()
    assert not any(parameter.grad is not None and parameter.grad.any() for parameter in model.renderer.parameters())


def test_another_clip_of_the_person_counts_in_the_canonical_loss(batch, logged):
    model = task({"l1": 1.0, "canonical": 1.0}).eval()
    values = []
    for positive in (batch["positive"], -batch["positive"], None):
        pictures = {**batch, "positive": positive} if positive is not None else {**batch}
        if positive is None:
            del pictures["positive"]
        model.training_step(pictures, 0)
        values.append(logged["train/canonical"].item())
    assert len(set(values)) == 3


def test_the_canonical_loss_ramps_up_over_its_steps():
    losses = KeypointLosses(encoder(), ramp=99)
    assert [losses.ramp(step) for step in (0, 49, 99, 500)] == [0.01, 0.5, 1.0, 1.0]
    assert KeypointLosses(encoder()).ramp(0) == 1.0


def test_a_step_warps_as_it_did_before_it_was_resumed(batch):
    losses = KeypointLosses(encoder())
    first, again, later = (losses.look(batch, ("equivariance",), step).warp.spline for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_the_true_head_pose_is_learned_in_liveportraits_angles_as_they_are(batch):
    losses = KeypointLosses(encoder())
    source = FaceVid2VidRenderer(encoder(), size=SIZE, width=0.0625, depth=4).appearance(batch["source"])
    sight = losses.look(batch, ("head_pose",), 0)
    pose = encoder().spec.slice("pose")
    sight.motion.data[:, pose] = batch["pose"][:, 1]
    assert losses(sight, source, batch, ("head_pose",))["head_pose"].item() == pytest.approx(0, abs=1e-5)
    sight.motion.data[:, pose] = batch["pose"][:, 0]  # control: the source's
    assert losses(sight, source, batch, ("head_pose",))["head_pose"].item() > 1


def test_a_true_head_pose_means_the_same_rotation_in_face_vid2vids_angles():
    pose = torch.tensor([30.0, -20.0, 10.0])
    assert geodesic_angle(facevid2vid_rotation(facevid2vid_euler(rotation(pose))), rotation(pose)) < 1e-3
    assert geodesic_angle(facevid2vid_rotation(pose), rotation(pose)) > 5  # the control


def test_keypoints_can_be_trained_through_a_renderer_without_them(batch, logged):
    model = task(ALL, renderer=lambda motion: LIARenderer(motion, size=SIZE, width=0.0625))
    model.training_step(batch, 0).backward()
    assert "train/landmark" in logged


def test_a_motion_without_keypoints_is_refused():
    with pytest.raises(ConfigError, match="LatentMotion has none"):
        KeypointLosses(LatentMotion(size=SIZE, width=0.0625, code_dim=32))


def test_losses_without_their_part_are_refused_at_build():
    with pytest.raises(ConfigError, match="canonical loss has a weight, but the task has no 'keypoints'"):
        task({"l1": 1.0, "canonical": 1.0}, keypoints=None)
    with pytest.raises(ConfigError, match="no 'guide'"):
        task({"l1": 1.0, "landmark": 1.0}, keypoints=KeypointLosses)
    with pytest.raises(ConfigError, match="hinge loss has a weight, but the task has no 'discriminator'"):
        task({"l1": 1.0, "hinge": 1.0})


def test_data_without_labels_is_refused_by_what_is_missing(batch, logged):
    bare = {name: value for name, value in batch.items() if name not in ("landmarks", "pose")}
    with pytest.raises(ConfigError, match="gives no landmarks"):
        task({"landmark": 1.0}).training_step(bare, 0)
    with pytest.raises(ConfigError, match="neither the data nor a teacher"):
        task({"head_pose": 1.0}).training_step(bare, 0)


# the games with a discriminator


def test_two_games_at_once_are_refused():
    with pytest.raises(ConfigError, match="adversarial and hinge"):
        task({"hinge": 1.0, "adversarial": 1.0}, discriminator=PatchDiscriminator(width=0.125))


def test_features_need_a_discriminator_that_learns_and_shows_them():
    with pytest.raises(ConfigError, match="nothing teaches the discriminator"):
        task({"feature_matching": 1.0}, discriminator=PatchDiscriminator(width=0.125))
    game = {"hinge": 1.0, "feature_matching": 1.0}
    with pytest.raises(ConfigError, match="LIADiscriminator shows none"):
        task(game, discriminator=LIADiscriminator(size=SIZE, width=0.0625))


def test_feature_matching_teaches_the_renderer_and_not_the_discriminator(batch, logged):
    model = task({"hinge": 1.0, "feature_matching": 1.0}, discriminator=PatchDiscriminator(width=0.125))
    model.eval()  # in training each pass changes the spectral norms a little

    def gradients(weight):
        model.zero_grad()
        model.loss_weights["feature_matching"] = weight
        model.training_step(batch, 0).backward()
        return [
            torch.cat([parameter.grad.flatten() for parameter in part.parameters()])
            for part in (model.discriminator, model.renderer)
        ]

    without, strong = gradients(0.0), gradients(100.0)
    torch.testing.assert_close(strong[0], without[0])
    assert (strong[1] - without[1]).abs().max() > without[1].abs().max()


def test_pictures_of_twice_the_size_that_is_seen_are_trained_on(batch, logged):
    large = {**batch, **{name: batch[name].repeat_interleave(2, 2).repeat_interleave(2, 3) for name in PICTURES}}
    model = task(ALL, lambda motion: FaceVid2VidRenderer(motion, size=SIZE, output=2 * SIZE, width=0.0625, depth=4))
    model.training_step(large, 0).backward()
    assert model(large["source"], large["driving"]).image.shape == (2, 3, 2 * SIZE, 2 * SIZE)
    assert all(torch.isfinite(value) for value in logged.values())
