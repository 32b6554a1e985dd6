"""What is seen of a driving video or picture, and by which rule a portrait follows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from talkingface.core.errors import ConfigError, MediaError
from talkingface.core.media import VideoWriter, write_picture
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.data.synthetic import render_clip
from talkingface.motion import driving
from talkingface.pipelines.driven import DrivenMotion, following

FRAMES = 12


def random_motion(spec: MotionSpec, count: int, seed: int) -> Tensor:
    motion = 0.1 * torch.randn(count, spec.dim, generator=torch.Generator().manual_seed(seed))
    if "scale" in spec.slices:
        motion[:, spec.slice("scale")] += 1.4
    return motion


def case(spec: MotionSpec) -> tuple[Source, Tensor, Tensor]:
    """A portrait, driving frames, and the first of them."""
    canonical = None
    if spec.num_keypoints:
        canonical = 0.3 * torch.randn(1, spec.num_keypoints, 3, generator=torch.Generator().manual_seed(9))
    frames = random_motion(spec, 4, 1)
    return Source((), torch.zeros(1, 1), random_motion(spec, 1, 0), canonical), frames, frames[:1]


LIVE = MotionSpec.of_keypoints("liveportrait", 21)
OPEN = MotionSpec.of_keypoints("facevid2vid", 15)
LATENT = MotionSpec("vector", {"latent": 20})


def followed(
    spec: MotionSpec, relative: bool | None = None, region: driving.Region = "all", still: bool = False
) -> Tensor:
    seen, now, start = case(spec)
    return following(spec, seen, relative=relative, region=region, still=still)(now, start)


@pytest.mark.parametrize("region", ["all", "lips"])
def test_liveportrait_drives_relatively_unless_told_otherwise(region):
    seen, now, start = case(LIVE)
    assert torch.equal(followed(LIVE, region=region), driving.relative(seen.motion, now, start, region))
    assert torch.equal(followed(LIVE, False, region), driving.absolute(seen.motion, now, region))
    assert not torch.equal(followed(LIVE, region=region), followed(LIVE, False, region))  # the control


def test_a_single_picture_drives_by_its_own_rule():
    seen, now, _ = case(LIVE)
    assert torch.equal(followed(LIVE, still=True), driving.by_picture(seen.motion, now))
    assert torch.equal(followed(LIVE, False, still=True), driving.absolute(seen.motion, now))


def test_facevid2vid_drives_by_its_keypoints():
    seen, now, start = case(OPEN)
    wanted = driving.keypoint_relative(seen.motion, now, start, seen.canonical, "all", OPEN)
    assert torch.equal(followed(OPEN), wanted)
    assert torch.equal(followed(OPEN, False), now)
    assert torch.equal(followed(OPEN, still=True), now)  # a picture has no first frame to start from


def test_latent_motion_is_taken_over_unless_told_otherwise():
    seen, now, start = case(LATENT)
    assert torch.equal(followed(LATENT), now)
    assert torch.equal(followed(LATENT, True), now - start + seen.motion)


@pytest.mark.parametrize(
    ("spec", "asked", "complaint"),
    [
        (LATENT, {"region": "lips"}, "moves whole"),
        (LATENT, {"relative": True, "still": True}, "single picture"),
        (OPEN, {"relative": True, "still": True}, "single picture"),
        (OPEN, {"region": "eyes"}, "15 keypoints"),
        (LIVE, {"region": "mouth"}, "no region 'mouth'"),
    ],
)
def test_what_a_motion_cannot_do_is_refused_before_anything_is_rendered(spec, asked, complaint):
    with pytest.raises(ConfigError, match=complaint):
        followed(spec, **asked)


CLIP = render_clip(5, 0, FRAMES, 160, audio=False)
PAGE = np.full((200, 300, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """A head of 160 px whose upper left corner walks from (100, 20) to (122, 20), at 2 px a frame."""
    path = tmp_path_factory.mktemp("driving") / "clip.mp4"
    with VideoWriter(path, crf=0) as writer:
        for number, frame in enumerate(CLIP.frames):
            page = PAGE.copy()
            page[20:180, 100 + 2 * number : 260 + 2 * number] = frame
            writer.write(page[None])
    return path


def sizes(path: Path, crop: str | None = None, landmarks=None) -> tuple[DrivenMotion, list[tuple[int, ...]]]:
    """A motion that notes what it is shown."""
    shown: list[tuple[int, ...]] = []

    def motion_of(frames: np.ndarray) -> Tensor:
        shown.append(frames.shape)
        return torch.zeros(len(frames), 1)

    driven = DrivenMotion(path, motion_of, lambda now, start: now)
    if crop is not None:
        driven.crop(crop, landmarks)
    list(driven.stream(8))
    return driven, shown


def test_a_driving_video_is_seen_whole(video):
    driven, shown = sizes(video)
    assert shown == [(8, 200, 300, 3), (4, 200, 300, 3)]
    assert driven.files == {"driving video": video}


def test_a_driving_video_is_cut_round_the_face_by_one_square(video):
    driven, shown = sizes(video, "auto")
    left, _, side = driven.box
    assert shown == [(8, side, side, 3), (4, side, side, 3)]
    nose = 100 + 2 * 5 + CLIP.landmarks[[0, 5, 10], 30, 0].mean() * 160  # of the frames that are looked at
    assert abs(left + side / 2 - nose) < 10
    assert 100 < side < 200


def test_a_driving_video_is_cut_by_the_mean_of_its_landmarks(video):
    """Boxes 50 wide and 60 high that walk by 10 px from one look to the next: frames 0, 5 and 10."""
    looks = []

    def landmarks(frames: np.ndarray) -> Tensor:
        points = torch.full((1, 68, 2), 100.0) + 10 * len(looks)
        points[:, 1] += torch.tensor([50.0, 60.0])
        looks.append(len(frames))
        return points

    driven, _ = sizes(video, "landmarks", landmarks)
    assert looks == [1, 1, 1]
    side = round(2.2 * 60)
    centre = 110 + 25, 110 + 30 - 0.1 * 2.2 * 60  # of the box, moved up
    assert driven.box == (round(centre[0] - side / 2), round(centre[1] - side / 2), side)


def test_a_driving_video_without_a_face_is_told(tmp_path):
    with VideoWriter(tmp_path / "wall.mp4") as writer:
        writer.write(PAGE[None].repeat(3, 0))
    with pytest.raises(MediaError, match=r"no face found in .*wall\.mp4.*--crop-driving"):
        sizes(tmp_path / "wall.mp4", "auto")


def test_a_picture_is_a_clip_of_one_silent_frame(tmp_path):
    write_picture(tmp_path / "face.png", PAGE)
    driven, shown = sizes(tmp_path / "face.png")
    assert (len(driven), driven.sound, shown) == (1, None, [(1, 200, 300, 3)])
    assert driven.files == {"driving picture": tmp_path / "face.png"}
