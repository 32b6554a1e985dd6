"""Training an editor of expressions by pictures: who learns, what is judged where, and rendering done twice."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from talkingface import hub
from talkingface.audio import MelSpeech
from talkingface.core.errors import ConfigError
from talkingface.core.sync_window import SAMPLES
from talkingface.data.edits import EditClip, EditDataset
from talkingface.data.synthetic import render_clip
from talkingface.generators import Audio2Exp
from talkingface.losses import LipSyncLoss, SyncExpert, mouth_mask
from talkingface.motion import FaceVid2VidMotion
from talkingface.renderers import FaceVid2VidRenderer
from talkingface.tasks import Editing

SIZE, MARGIN = 32, 2
CLIP = render_clip(0, 1, 40, SIZE)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A stage 1 whose renderer shows its motion, and an expert."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    motion = FaceVid2VidMotion(size=SIZE, width=0.0625, depth=2)
    parts = {"motion_encoder": motion, "renderer": FaceVid2VidRenderer(motion, size=SIZE, width=0.0625, depth=2)}
    hub.save_model(folder / "stage1", parts, {})
    hub.save_model(folder / "alone", {"motion_encoder": motion}, {})
    hub.save_model(folder / "expert", {"sync_expert": SyncExpert(width=0.0625)}, {})
    return folder


def make(folders, learned=False, **settings):
    torch.manual_seed(1)
    expert = LipSyncLoss(expert=str(folders / "expert"))
    given = {"sync": expert, "loss_weights": {"pyramid": 1.0, "sync": 0.3}} | settings
    task = Editing(str(folders / "stage1"), MelSpeech(dim=8, blocks=0), Audio2Exp, **given)
    if learned:
        nn.init.normal_(task.motion_generator.zero.weight, std=0.3)
    task.log_dict = lambda *args, **kwargs: None
    task.trainer = SimpleNamespace(current_epoch=0, global_step=500, global_rank=0)
    return task


@pytest.fixture(scope="module")
def batch():
    """Frames of one person beside a sound."""
    torch.manual_seed(2)
    frames = torch.from_numpy(CLIP.frames[:10]).permute(0, 3, 1, 2).float() / 127.5 - 1
    return {
        "frames": frames.unflatten(0, (2, 5)),
        "landmarks": torch.from_numpy(CLIP.landmarks[:10]).float().unflatten(0, (2, 5)),
        "features": torch.randn(2, 1, (5 + 2 * MARGIN) * 4, 80),
        "sound": 0.1 * torch.randn(2, SAMPLES),
        "clip_id": ["a", "b"],
    }


def gradients(task, batch):
    task.train()
    task.training_step(batch, 0).backward()
    return {name: p.grad for name, p in task.named_parameters()}


def test_before_training_frames_are_rendered_as_they_are(folders, batch):
    task = make(folders).eval()
    renderer = task.renderer
    flat = batch["frames"].flatten(0, 1)
    with torch.no_grad():
        wanted = renderer(renderer.appearance(flat), task.motion_encoder(flat)).image
        assert torch.allclose(task(batch).flatten(0, 1), wanted, atol=1e-6)
        assert not torch.allclose(make(folders, learned=True).eval()(batch).flatten(0, 1), wanted, atol=1e-4)


def test_editor_and_ears_learn_and_nothing_else(folders, batch):
    task = make(folders, learned=True)
    found = gradients(task, batch)
    assert {name.split(".")[0] for name in found} == {"audio_encoder", "motion_generator"}
    assert all(gradient is not None and gradient.any() for gradient in found.values())
    frozen = (task.renderer, task.motion_encoder, task.sync.expert.network)
    assert all(p.grad is None for part in frozen for p in part.parameters())


@pytest.mark.parametrize("recompute", [1, 3, 10])
def test_rendering_again_on_the_way_back_gives_the_same_gradients(folders, batch, recompute):
    remembered = gradients(make(folders, learned=True, recompute=0), batch)
    again = gradients(make(folders, learned=True, recompute=recompute), batch)
    for name, wanted in remembered.items():  # a batch of another size rounds otherwise, and L1 has kinks
        assert (again[name] - wanted).norm() < 0.01 * wanted.norm(), name


def test_alpha_rises_from_nothing_to_all(folders):
    task = make(folders, rise=1000)
    for step, alpha in ((0, 0.0), (500, 0.5), (1000, 1.0), (5000, 1.0)):
        task.trainer.global_step = step
        assert task.alpha == alpha


def test_each_loss_looks_where_it_should(folders, batch):
    """Outside of the mouth's box changes cost picture loss, inside they cost synchrony, and not the other way round."""
    task = make(folders).eval()
    frames = batch["frames"]
    mouth = mouth_mask(batch["landmarks"].flatten(0, 1), SIZE).unflatten(0, (2, 5))
    assert 0.03 < mouth.float().mean() < 0.5
    with torch.no_grad():
        same = task._terms(frames, batch)
        inside = task._terms(torch.where(mouth, -frames, frames), batch)
        outside = task._terms(torch.where(mouth, frames, -frames), batch)
    assert same["pyramid"] == inside["pyramid"] == 0 < outside["pyramid"]
    assert same["sync"] == outside["sync"] != inside["sync"]


def test_the_face_can_be_cut_for_an_expert_that_wants_it(folders, batch):
    with torch.no_grad():
        frame, face = (
            make(folders, view=view).eval()._terms(batch["frames"], batch)["sync"] for view in ("frame", "face")
        )
    assert face.isfinite()
    assert face != frame


def test_what_is_missing_is_told(folders):
    with pytest.raises(ConfigError, match="no loss 'syn'; known: sync"):
        make(folders, loss_weights={"syn": 1.0})
    with pytest.raises(ConfigError, match="no 'perceptual'"):
        make(folders, loss_weights={"perceptual": 1.0})
    with pytest.raises(ConfigError, match="has no renderer"):
        Editing(str(folders / "alone"), MelSpeech(dim=8, blocks=0), Audio2Exp)


class Tracks:
    """Features that name their frame."""

    frames = 40

    def features(self, first, last):
        return torch.arange(first, last)[None, :, None].float()


def dataset(**settings):
    clip = SimpleNamespace(clip_id="a", read=lambda window: CLIP.frames[list(window)])
    landmarks = torch.from_numpy(CLIP.landmarks[:40]).float()
    edit = EditClip(clip, Tracks(), landmarks, tuple(range(MARGIN, 33)))
    return EditDataset([edit], SIZE, MARGIN, **{"swapped": 0.5, "windows_per_clip": 200} | settings)


@pytest.fixture(autouse=True)
def sound(monkeypatch):
    monkeypatch.setattr("talkingface.data.edits.wave_of", lambda clip: CLIP.audio)


def spoken(item):
    """Whether the speech of a window is that of its frames."""
    first = int(item["features"][0, MARGIN, 0])
    return torch.equal(item["landmarks"], torch.from_numpy(CLIP.landmarks[first : first + 5]).float())


@pytest.mark.parametrize(("swapped", "low", "high"), [(0.0, 1.0, 1.0), (0.5, 0.35, 0.7), (1.0, 0.0, 0.15)])
def test_speech_is_that_of_another_time_as_often_as_is_asked(swapped, low, high):
    windows = dataset(swapped=swapped)
    found = sum(spoken(windows[index]) for index in range(100)) / 100
    assert low <= found <= high


def test_what_is_judged_never_has_its_own_speech():
    windows = dataset(fixed=True, windows_per_clip=8)
    assert not any(spoken(windows[index]) for index in range(8))


def test_a_window_has_the_shapes_of_an_edit_batch():
    item = dataset()[0]
    assert item["frames"].shape == (5, 3, SIZE, SIZE)
    assert item["features"].shape == (1, 5 + 2 * MARGIN, 1)
    assert item["sound"].shape == (SAMPLES,)
