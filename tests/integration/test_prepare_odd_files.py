"""What people really film and download: each kind of odd file gives clips, or one clear reason."""

import re

import av
import numpy as np
import pytest
import torch
from av.video.stream import VideoStream
from PIL import Image

from media_files import make_video, remux, tone
from talkingface.core.media import VideoReader
from talkingface.data.synthetic import Staging, render_clip
from talkingface.metrics.networks.facenet import MTCNN
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings

SMALL = {"size": 64, "min_face": 48, "min_blur": 1.0}
CLIPS = {
    "steady/variable.mp4": 60,
    "steady/phone.mp4": 60,
    "steady/deep.mp4": 60,
    "Анна/видео №1.mp4": 60,
    "王/視頻 (1).mp4": 60,
}


@pytest.fixture(scope="module")
def head():
    return render_clip(3, 0, 60, 96, audio=False, staging=Staging(0.8)).frames


def on_a_wall(head, lefts, width=224):
    """The head on a grey wall, with its left edge there in each frame; what lies beyond the wall is not seen."""
    frames = np.full((len(lefts), 96, width, 3), 128, np.uint8)
    for frame, picture, left in zip(frames, head, lefts, strict=True):
        seen = picture[:, : max(0, width - left)]
        frame[:, left : left + seen.shape[1]] = seen
    return frames


@pytest.fixture(scope="module")
def raw(tmp_path_factory, head):
    root = tmp_path_factory.mktemp("raw")
    for folder in ("steady", "Анна", "王"):
        (root / folder).mkdir()
    irregular = np.cumsum([0, *np.tile([0.02, 0.06, 0.04], 20)])[:60]
    make_video(root / "steady" / "variable.mp4", head, seconds=irregular.tolist())
    lying = make_video(root.parent / "lying.mp4", np.rot90(head, 1, axes=(1, 2)))
    if hasattr(VideoStream, "set_display_rotation"):
        remux(lying, root / "steady" / "phone.mp4", rotation=270)
    make_video(root / "steady" / "deep.mp4", head, codec="libx265", pixels="yuv420p10le")
    make_video(root / "steady" / "slow.mp4", head[::3], fps=8)
    options = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    make_video(root / "steady" / "television.mp4", head, options=options)
    make_video(root / "steady" / "leaving.mp4", on_a_wall(head, np.linspace(0, 200, 60).astype(int).tolist()))
    make_video(root / "Анна" / "видео №1.mp4", head[::-1].copy(), sound=tone(2.4))
    make_video(root / "王" / "視頻 (1).mp4", head[:, :, ::-1].copy())
    make_video(root / "steady" / "cut.mp4", np.concatenate([head[:55], 255 - head[:40]]))
    return root


@pytest.fixture(scope="module")
def made(raw, tmp_path_factory):
    dst = tmp_path_factory.mktemp("made") / "set"
    prepare("folder", raw, dst, Settings(**SMALL))
    return dst


@pytest.mark.parametrize("name", CLIPS)
def test_what_phones_and_cameras_write_becomes_a_clip(made, name):
    if name.endswith("phone.mp4") and not hasattr(VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot make a turned video")
    (row,) = [row for row in read_rows(made / "manifest.parquet") if row["source"] == name]
    assert abs(row["frames"] - CLIPS[name]) <= 1
    frames = VideoReader(made / row["path"]).read([10])
    assert frames.shape == (1, 64, 64, 3)
    boxes, _ = MTCNN().detect(torch.from_numpy(frames).movedim(-1, 1), 20)[0]
    assert len(boxes) == 1  # upright, for a face that lies is not found
    assert row["identity"] == name.split("/")[0]


def test_the_set_with_names_of_all_alphabets_is_whole(made):
    clips, wrong = check(made)
    assert wrong == []
    assert clips >= len(CLIPS) - 1


@pytest.mark.parametrize(
    ("name", "stage", "reason"),
    [
        ("steady/slow.mp4", "probe", "fewer than 20 frames a second"),
        ("steady/television.mp4", "probe", "interlaced: .* bwdif"),
        ("steady/leaving.mp4", "crop", "the face leaves the crop"),
    ],
)
def test_what_cannot_be_used_has_its_reason(made, name, stage, reason):
    (row,) = [row for row in read_rows(made / "dropped.parquet") if row["source"] == name]
    assert row["stage"] == stage
    assert re.search(reason, row["reason"])


def test_a_face_that_stays_on_the_same_wall_is_a_clip(head, tmp_path):
    """The control of the one that leaves."""
    (tmp_path / "raw").mkdir()
    make_video(tmp_path / "raw" / "staying.mp4", on_a_wall(head, [60] * 60))
    prepare("folder", tmp_path / "raw", tmp_path / "set", Settings(**SMALL))
    assert [row["frames"] for row in read_rows(tmp_path / "set" / "manifest.parquet")] == [60]


def test_a_cut_in_the_middle_ends_the_clip(made):
    rows = [row for row in read_rows(made / "manifest.parquet") if row["source"] == "steady/cut.mp4"]
    assert [row["frames"] for row in rows][:1] == [55]


def test_interlacing_is_seen_in_a_file(raw):
    assert VideoReader(raw / "steady" / "television.mp4").info.interlaced
    assert not VideoReader(raw / "steady" / "deep.mp4").info.interlaced


def test_four_thousand_pixels_are_cropped_from_the_original(head, tmp_path):
    (tmp_path / "raw").mkdir()
    picture = np.full((2160, 3840, 3), 128, np.uint8)
    picture[500:1652, 1500:2652] = np.asarray(Image.fromarray(head[0]).resize((1152, 1152)))
    frames = np.broadcast_to(picture, (50, *picture.shape))
    make_video(tmp_path / "raw" / "wide.mp4", frames, options={"preset": "ultrafast"})
    prepare("folder", tmp_path / "raw", tmp_path / "set", Settings(size=128, min_face=512, min_blur=0.0))
    (row,) = read_rows(tmp_path / "set" / "manifest.parquet")
    assert 512 <= row["face"] <= row["side"] <= 2160
    assert row["left"] > 1000  # of the source
    with av.open(str(tmp_path / "set" / row["path"])) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (128, 50)
