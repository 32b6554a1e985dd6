"""Readers of pose, place and size: the rule, label files, landmarks, MediaPipe."""

import csv
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from media_files import make_video, noise_pictures
from talkingface.controls import LabelControls, LandmarkControls, MediaPipeControls, PictureControls, controls_from
from talkingface.controls.pictures import SHAPES
from talkingface.core.component import build
from talkingface.core.errors import ConfigError, MediaError, ShapeError, WeightsError
from talkingface.core.geometry import geodesic_angle, rotation
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import render_clip
from talkingface.metrics import LandmarkPose, Track, read_labels

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real clips in {REAL}")
MODEL = REAL / "weights" / "face_landmarker.task"
INSTALLED = importlib.util.find_spec("mediapipe") is not None


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("identity", [0, 3])
def test_the_rule_gives_what_is_true_of_a_synthetic_clip(identity):
    clip = render_clip(identity, seed=7, frames=20, size=32, audio=False)
    found = controls_from(torch.from_numpy(clip.landmarks), rotation(torch.from_numpy(clip.pose)))
    assert np.abs(found["pose"].numpy() - clip.pose).max() < 1e-3  # degrees
    assert np.array_equal(found["location"].numpy(), clip.location)
    assert np.abs(found["scale"].numpy() - clip.scale).max() < 1e-6
    assert {name: values.dtype for name, values in found.items()} == dict.fromkeys(found, torch.float32)


def test_what_is_unknown_stays_unknown():
    landmarks, turns = torch.rand(3, 68, 2), torch.eye(3).expand(3, 3, 3).clone()
    landmarks[1], turns[1] = torch.nan, torch.nan
    found = controls_from(landmarks, turns)
    for values in found.values():
        assert values[1].isnan().all()
        assert values[[0, 2]].isfinite().all()


def test_size_is_measured_against_the_height_of_a_frame_of_any_shape():
    pixels = torch.rand(4, 68, 2) * 100
    turns = torch.eye(3).expand(4, 3, 3)
    square, wide = (controls_from(pixels / torch.tensor([w, 100.0]), turns, w / 100) for w in (100, 200))
    assert torch.allclose(square["scale"], wide["scale"])
    assert torch.allclose(square["location"], 2 * wide["location"])


def test_other_points_are_refused():
    with pytest.raises(ShapeError, match="landmarks"):
        controls_from(torch.rand(3, 478, 2), torch.eye(3).expand(3, 3, 3))


@pytest.fixture
def clip(tmp_path):
    return make_video(tmp_path / "one.mp4", noise_pictures(6, 64, 64))


def label(folder: Path, frames: int, valid: np.ndarray | None = None) -> Path:
    random = np.random.default_rng(0)
    flip = np.diag([1.0, -1.0, -1.0])  # MediaPipe: y up, z toward the camera
    turn = flip @ rotation(torch.tensor([10.0, -5.0, 3.0])).numpy() @ flip
    pose = np.concatenate((1.2 * np.tile(turn, (frames, 1, 1)), np.zeros((frames, 3, 1))), 2)
    content = {"landmarks": random.random((frames, 68, 2)), "blendshapes": random.random((frames, 52)), "pose": pose}
    np.savez(folder / "one.npz", valid=np.ones(frames, bool) if valid is None else valid, **content)
    return folder / "one.npz"


def test_labels_are_read_from_the_file_of_the_clips_name(tmp_path, clip):
    path = label(tmp_path, 6, valid=np.array([True] * 5 + [False]))
    found = LabelControls(folder=str(tmp_path)).read(clip)
    landmarks = np.load(path)["landmarks"]
    assert found["pose"][0].tolist() == pytest.approx([10, -5, 3], abs=1e-3)
    assert found["location"][:5].numpy() == pytest.approx(landmarks[:5, 30, 0])
    assert all(values[5].isnan().all() for values in found.values())


def test_labels_that_are_not_one_for_each_frame_are_refused(tmp_path, clip):
    label(tmp_path, 5)
    reader = LabelControls(folder=str(tmp_path))
    with pytest.raises(MediaError, match=r"one\.npz labels 5 frames, but .*one\.mp4 has 6 at 25 a second"):
        reader.read(clip)
    assert len(reader.read(clip, frames=noise_pictures(5, 64, 64))["pose"]) == 5


def test_a_clip_without_labels_is_an_error_that_names_the_file(tmp_path, clip):
    with pytest.raises(MediaError, match=r"one\.npz"):
        LabelControls(folder=str(tmp_path)).read(clip)


def test_a_reader_is_configured_in_json(tmp_path):
    reader = build({"class_path": "talkingface.controls.LabelControls", "init_args": {"folder": str(tmp_path)}})
    assert reader.config["init_args"] == {"folder": str(tmp_path)}


class Bright(PictureControls):
    """Finds a face at the mean brightness; ``rule`` is its network."""

    def __init__(self, *, rule: str = "mean") -> None:
        super().__init__()
        self.rule = rule
        self.batches: list[int] = []

    def fingerprint(self):
        return self.rule

    def see(self, batches):
        for frames in batches:
            self.batches.append(len(frames))
            brightness = torch.from_numpy(frames.mean((1, 2, 3)) / 255).float()
            yield brightness[:, None, None].expand(-1, 68, 2), torch.eye(3).expand(len(frames), 3, 3)


def test_pictures_are_looked_at_a_few_at_a_time_and_once(tmp_path):
    clip = make_video(tmp_path / "one.mp4", noise_pictures(20, 64, 64))
    first, second = Bright(), Bright()
    before, after = first.read(clip), second.read(clip)
    assert (first.batches, second.batches) == ([16, 4], [])
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert torch.equal(values, after[name])
    assert {name: values.shape[1:] for name, values in after.items()} == SHAPES
    assert {len(values) for values in after.values()} == {20}


class Smiling(Bright):
    """Measures three coefficients as well."""

    coefficients = 3

    def see(self, batches):
        for landmarks, turns in super().see(batches):
            yield landmarks, turns, landmarks[:, :3, 0]


def test_coefficients_are_kept_with_the_tracks(clip):
    first, second = Smiling(), Smiling()
    Bright().read(clip)  # the same rule without coefficients was kept before
    before, after = first.read(clip), second.read(clip)
    assert (first.batches, second.batches) == ([6], [])
    assert before["expression"].shape == (6, 3)
    assert torch.equal(before["expression"], after["expression"])
    assert torch.equal(after["expression"][:, 0], after["location"])
    assert "expression" not in Bright(rule="median").read(clip)


def test_another_network_or_clip_never_meets_old_tracks(clip):
    Bright().read(clip)
    other = Bright(rule="median")
    other.read(clip)
    assert other.batches == [6]
    make_video(clip, noise_pictures(7, 64, 64))
    again = Bright()
    assert len(again.read(clip)["location"]) == 7


def test_pictures_that_are_given_are_looked_at_themselves(clip):
    reader = Bright()
    reader.read(clip)
    dark = reader.read(clip, frames=np.zeros((4, 64, 64, 3), np.uint8))
    assert dark["location"].tolist() == [0, 0, 0, 0]


def test_without_the_landmark_network_the_error_names_the_command(clip, monkeypatch, tmp_path):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="fan"):
        LandmarkControls().read(clip)


def test_controls_of_landmarks_are_those_of_the_extractors(clip, monkeypatch):
    """With the face of a synthetic person in place of the networks: the wiring, not the networks."""
    person = render_clip(0, seed=1, frames=6, size=64, audio=False)
    reader = LandmarkControls()
    points = torch.from_numpy(person.landmarks) * 64

    class Known:
        def __init__(self):
            self.first = 0

        def extract(self, track):
            found = points[self.first : self.first + len(track)]
            self.first += len(track)
            return found

        def describe(self):
            return {"convention": "known"}

    monkeypatch.setattr(LandmarkControls, "extractors", {"landmarks": Known(), "pose": LandmarkPose()})
    found = reader.read(clip)
    assert np.abs(found["location"].numpy() - person.location).max() < 1e-6
    assert np.abs(found["scale"].numpy() - person.scale).max() < 1e-6
    assert geodesic_angle(rotation(found["pose"]), rotation(torch.from_numpy(person.pose))).max() < 10


def test_what_mediapipe_sees_becomes_tracks_and_coefficients(clip, monkeypatch, tmp_path):
    """With a stand-in for the package: the wiring, not the network."""
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"")
    asked = {}
    mesh = [SimpleNamespace(x=0.25, y=0.5)] * 478
    shapes = [SimpleNamespace(score=score) for score in (9.0, *np.linspace(0, 1, 51))]  # the first is _neutral

    class Landmarker:
        def __enter__(self):
            self.seen = 0
            return self

        def __exit__(self, *error):
            return None

        def detect_for_video(self, image, time):
            self.seen += 1
            if self.seen == 3:
                return SimpleNamespace(face_landmarks=[])
            found = {"face_landmarks": [mesh], "face_blendshapes": [shapes]}
            return SimpleNamespace(**found, facial_transformation_matrixes=[np.eye(4)])

    vision = SimpleNamespace(
        FaceLandmarkerOptions=lambda **options: asked.update(options),
        FaceLandmarker=SimpleNamespace(create_from_options=lambda options: Landmarker()),
        RunningMode=SimpleNamespace(VIDEO="video"),
    )
    package = SimpleNamespace(
        __version__="0",
        tasks=SimpleNamespace(vision=vision, BaseOptions=lambda **options: options),
        Image=lambda **options: options,
        ImageFormat=SimpleNamespace(SRGB="srgb"),
    )
    monkeypatch.setitem(__import__("sys").modules, "mediapipe", package)
    found = MediaPipeControls(model=str(model)).read(clip)
    assert asked["output_face_blendshapes"]
    assert found["expression"].shape == (6, 51)
    assert found["expression"][0].tolist() == pytest.approx(np.linspace(0, 1, 51).tolist())
    assert found["landmarks"][0, 0].tolist() == [0.25, 0.5]
    assert found["pose"][0].tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert all(track[2].isnan().all() for track in found.values())


def test_without_mediapipe_the_error_names_the_extra(clip, monkeypatch, tmp_path):
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "mediapipe", None)
    with pytest.raises(ConfigError, match=r"talkingface\[mediapipe\]"):
        MediaPipeControls(model=str(model)).read(clip)


def test_a_missing_model_of_mediapipe_is_named(clip):
    with pytest.raises(WeightsError, match=r"absent\.task does not exist"):
        MediaPipeControls(model="absent.task").read(clip)


@needs_real
@pytest.mark.skipif(not INSTALLED, reason="mediapipe is not installed (an optional extra)")
def test_mediapipe_finds_what_the_labels_of_a_real_clip_say():
    clip = REAL / "clips" / "id002_Deep-Learning-Based-Li_video-20251208-032953-826b5db2_e931f4.mp4"
    ours = MediaPipeControls(model=str(MODEL)).read(clip)
    theirs = LabelControls(folder=str(REAL / "labels")).read(clip)
    assert (ours["pose"] - theirs["pose"]).abs().max() < 0.5  # degrees; another decoder made the pictures
    assert (ours["location"] - theirs["location"]).abs().max() < 0.005
    assert (ours["scale"] - theirs["scale"]).abs().max() < 0.005
    assert (ours["landmarks"] - theirs["landmarks"]).abs().max() < 0.01
    assert (ours["expression"] - theirs["expression"]).abs().max() < 0.01
    assert theirs["scale"].std() > 0  # the control: the clip moves


@needs_real
def test_labels_of_every_real_clip_lie_on_its_grid():
    reader = LabelControls(folder=str(REAL / "labels"))
    with (REAL / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "clip"]
    for row in rows[::6]:
        clip = REAL / row["path"]
        found = reader.read(clip)
        assert len(found["pose"]) == len(VideoReader(clip)) == int(row["frames"])
        assert 0.2 < found["location"].nanmedian() < 0.8
        assert 0.1 < found["scale"].nanmedian() < 0.9


@needs_real
def test_pose_from_landmarks_follows_the_labels_of_real_clips():
    """Difference of the two poses about its own mean, a constant of each face, in degrees."""
    errors, moves, sizes = [], [], (256, 256)
    for path in sorted((REAL / "labels").glob("*.npz"))[::8]:
        labels = read_labels(path, sizes)
        track = Track(torch.zeros(len(labels["pose"]), 3, 1, 1, dtype=torch.uint8), {}, labels)
        ours = controls_from(labels["landmarks"] / 256, LandmarkPose().extract(track))["pose"]
        theirs = controls_from(labels["landmarks"] / 256, labels["pose"])["pose"]
        seen = ~(ours - theirs).isnan().any(1)
        difference = (ours - theirs)[seen]
        errors.append((difference - difference.mean(0)).abs())
        moves.append((theirs[seen] - theirs[seen].mean(0)).abs())
    error, move = torch.cat(errors).median(0).values, torch.cat(moves).median(0).values
    print("median difference, yaw pitch roll:", error.tolist(), "of movement", move.tolist())
    assert (error < torch.tensor([1.5, 1.5, 0.7])).all()
    assert (move > error).all()  # the control: a pose that never moves
