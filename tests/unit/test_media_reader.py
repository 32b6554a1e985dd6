"""Video reading: every container, upright, on the time grid, at random as in a row; bad files give one clear line."""

import itertools
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image

from media_files import make_sound, make_video, numbered, numbers_of, remux, tone
from talkingface.core.errors import MediaError
from talkingface.core.media import VideoReader, is_picture, is_video, probe_video, write_audio, write_picture

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
ALL = list(range(50))


def streamed(reader, batch=16):
    return np.concatenate(list(reader.stream(batch)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """50 numbered frames at 25 fps, H.264."""
    return make_video(tmp_path_factory.mktemp("video") / "plain.mp4", numbered(ALL))


@pytest.fixture(scope="module")
def noise():
    """Frames that do not compress, so that half the file is half the frames."""
    return np.random.default_rng(0).integers(0, 255, (50, 64, 112, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("phone.mov", "libx265", "yuv420p"),
        ("phone_hdr.mov", "libx265", "yuv420p10le"),
        ("browser.webm", "libvpx", "yuv420p"),
        ("browser9.webm", "libvpx-vp9", "yuv420p"),
        ("av1.mp4", "libsvtav1", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("old.avi", "mpeg4", "yuv420p"),
        ("h264.avi", "libx264", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_every_container_gives_the_same_frames_in_a_row_and_at_random(tmp_path, name, codec, pixels):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    reader = VideoReader(make_video(tmp_path / name, numbered(ALL), codec=codec, pixels=pixels, options=options))
    assert len(reader) == 50
    frames = streamed(reader)
    assert numbers_of(frames) == ALL
    order = [40, 3, 17, 3, -1]
    assert np.array_equal(reader.read(order), frames[order])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.skipif(not hasattr(VideoStream, "set_display_rotation"), reason="this PyAV cannot make a turned video")
def test_a_turned_phone_video_comes_upright(plain, tmp_path, rotation):
    reader = VideoReader(remux(plain, tmp_path / "phone.mp4", rotation=rotation))
    assert reader.info.rotation == rotation
    assert (reader.info.height, reader.info.width) == ((112, 64) if rotation in (90, 270) else (64, 112))
    for frames in (reader.read([7, 30]), streamed(reader)[[7, 30]]):
        assert frames.shape[1:3] == (reader.info.height, reader.info.width)
        as_stored = np.rot90(frames, -rotation // 90, axes=(1, 2))
        assert numbers_of(as_stored) == [7, 30]
        if rotation == 180:  # the control: not turning it back shows other numbers
            assert numbers_of(frames) != [7, 30]


def test_uneven_time_stamps_are_put_on_the_grid(tmp_path):
    seconds = [0, 0.04, 0.08, 0.2, 0.28, 0.32, 0.33, 0.34, 0.36]  # a pause, then a burst
    reader = VideoReader(make_video(tmp_path / "vfr.mp4", numbered(range(9)), seconds=seconds))
    shown = [0, 1, 2, 2, 2, 3, 3, 4, 6, 8]
    expected = [max(n for n, t in enumerate(seconds) if t < (i + 0.5) / 25) for i in range(10)]
    assert expected == shown
    assert numbers_of(streamed(reader))[:10] == shown
    assert numbers_of(reader.read(range(10))) == shown
    assert numbers_of(streamed(VideoReader(reader.info.path, fps=None))) == list(range(9))  # the control


@pytest.mark.parametrize(("fps", "frames"), [(30, 60), (12, 24), (50, 100), (24, 48)])
def test_other_rates_keep_their_speed(tmp_path, fps, frames):
    reader = VideoReader(make_video(tmp_path / "a.mp4", numbered(range(frames)), fps=fps))
    assert len(reader) == 50  # two seconds
    shown = np.array(numbers_of(streamed(reader)))
    assert np.abs(shown / fps - np.arange(50) / 25).max() <= 0.5 / 25 + 1 / fps
    assert reader.info.fps == pytest.approx(fps)
    assert len(VideoReader(reader.info.path, fps=None)) == frames


def test_time_stamps_that_jitter_neither_double_nor_drop_frames(tmp_path):
    jitter = np.random.default_rng(0).uniform(-0.015, 0.015, 50)
    seconds = (np.arange(50) / 25 + 0.02 + jitter).tolist()
    reader = VideoReader(make_video(tmp_path / "a.mkv", numbered(ALL), seconds=seconds))
    shown = numbers_of(streamed(reader))
    assert [b - a for a, b in itertools.pairwise(shown)].count(1) >= 45


def test_a_span_is_cut_out(plain):
    reader = VideoReader(plain, start=0.4, seconds=0.8)
    assert len(reader) == 20
    assert numbers_of(streamed(reader, batch=7)) == list(range(10, 30))
    assert numbers_of(reader.read([0, 19])) == [10, 29]
    assert numbers_of(streamed(VideoReader(plain, fps=None, start=0.4, seconds=0.2))) == [10, 11, 12, 13, 14]
    with pytest.raises(MediaError, match=r"lasts 2\.00 s and has no frame from 5\.00 s on\. Choose another span"):
        VideoReader(plain, start=5)


def test_frames_that_an_edit_list_hides_are_not_shown(plain, tmp_path):
    reader = VideoReader(remux(plain, tmp_path / "trimmed.mp4", hidden=13))
    assert numbers_of(streamed(reader)) == list(range(13, 50))
    assert numbers_of(reader.read([0, 20])) == [13, 33]


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    path = make_video(tmp_path / "dv.mp4", numbered(ALL), options={"x264-params": "sar=2/1"})
    reader = VideoReader(path)
    assert (reader.info.width, reader.info.height) == (224, 64)
    assert numbers_of(reader.read([5])) == [5]


def test_a_transparent_gif_is_composed_over_white(tmp_path):
    pages = []
    for red in (100, 200):
        page = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
        page.paste((red, 0, 0, 255), (0, 0, 16, 32))
        pages.append(page)
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:], duration=40, disposal=2)
    frames = VideoReader(tmp_path / "a.gif", fps=None).read([0, 1])
    assert (frames[:, :, 24] == 255).all()
    assert frames[:, 16, 4, 0].tolist() == [100, 200]


def test_info_tells_size_rate_length_sound_and_codec(tmp_path):
    path = make_video(tmp_path / "a.mp4", numbered(range(30)), fps=30, sound=tone(1.0))
    info = probe_video(path)
    assert (info.frames, info.width, info.height, info.rotation) == (30, 112, 64, 0)
    assert (info.audio, info.codec) == (True, "h264")
    assert (info.fps, info.seconds) == (pytest.approx(30), pytest.approx(1.0))
    assert not probe_video(make_video(tmp_path / "silent.mp4", numbered(range(3)))).audio


def test_batches_are_full_but_the_last(plain):
    assert [len(frames) for frames in VideoReader(plain).stream(batch=20)] == [20, 20, 10]


def test_no_places_give_no_frames_and_a_place_beyond_the_end_is_an_error(plain):
    reader = VideoReader(plain)
    assert reader.read([]).shape == (0, 64, 112, 3)
    with pytest.raises(IndexError):
        reader.read([50])


def test_a_reader_in_use_can_be_pickled(plain):
    with VideoReader(plain) as reader:
        streamed(reader)
        reader.read([1, 30])
        copy = pickle.loads(pickle.dumps(reader))
    assert numbers_of(copy.read([2, 40])) == [2, 40]
    assert numbers_of(reader.read([2, 40])) == [2, 40]  # also after closing


def test_everything_is_read_without_decord(plain, monkeypatch):
    reader = VideoReader(plain)
    with_decord = reader.read([7, 30, 2])
    monkeypatch.setitem(sys.modules, "decord", None)  # an import fails
    assert np.array_equal(VideoReader(plain).read([7, 30, 2]), with_decord)
    reader.close()
    assert np.array_equal(reader.read([7, 30, 2]), with_decord)


def _read_in_child(reader, queue):
    queue.put(numbers_of(reader.read([2, 40])) + numbers_of(streamed(reader))[:3])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_in_use_goes_on_in_a_worker_process(plain, method):
    reader = VideoReader(plain)
    streamed(reader)  # opened before the fork, where a bare decord reader hangs
    reader.read([1, 30])
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=_read_in_child, args=(reader, queue))
    worker.start()
    try:
        assert queue.get(timeout=60) == [2, 40, 0, 1, 2]
    finally:
        worker.join(10)
    assert worker.exitcode == 0


def test_a_file_cut_off_behind_its_index_gives_what_is_there(tmp_path, noise):
    whole = make_video(tmp_path / "whole.mp4", noise, container_options={"movflags": "+faststart"})
    content = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 6 // 10])
    reader = VideoReader(cut)
    assert 20 <= len(reader) < 40
    frames = streamed(reader)
    assert len(frames) == len(reader)
    assert np.array_equal(frames[:20], streamed(VideoReader(whole))[:20])


def test_damage_in_the_middle_costs_only_the_frames_there(tmp_path, noise):
    whole = make_video(tmp_path / "whole.mp4", noise, options={"g": "10"})
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8000] = bytes(8000)
    (tmp_path / "hurt.mp4").write_bytes(content)
    reader = VideoReader(tmp_path / "hurt.mp4")
    frames, before = streamed(reader), streamed(VideoReader(whole))
    assert len(frames) == 50
    assert np.array_equal(frames[:15], before[:15])
    assert np.array_equal(frames[40:], before[40:])
    assert not np.array_equal(frames, before)


def _write(path, content):
    path.write_bytes(content)
    return path


def test_bad_files_give_one_clear_line_each(tmp_path, noise):
    whole = make_video(tmp_path / "whole.mp4", noise).read_bytes()
    data = whole.index(b"mdat") + 4
    cases = {
        tmp_path / "missing.mp4": r"missing\.mp4 does not exist\. Did you mean",
        tmp_path / "no" / "folder.mp4": r"folder\.mp4 does not exist\. Neither does its folder",
        tmp_path: "is a folder, a file was expected",
        _write(tmp_path / "empty.mp4", b""): r"empty\.mp4 is empty \(0 bytes\)",
        _write(tmp_path / "text.mp4", b"this is no video at all\n" * 50): r"text\.mp4 is not a video or sound file",
        _write(tmp_path / "noindex.mp4", whole[: len(whole) // 2]): r"noindex\.mp4 is not a video .* or is cut off",
        _write(tmp_path / "zeros.mp4", whole[:data] + bytes(len(whole) - data)): r"zeros\.mp4",
        make_sound(tmp_path / "sound.mp4", tone(1.0)): r"sound\.mp4 has sound but no video",
    }
    write_picture(tmp_path / "face.png", noise[0])
    cases[tmp_path / "face.png"] = r"face\.png is a picture, not a video"
    for path, reason in cases.items():
        with pytest.raises(MediaError, match=reason) as caught:
            VideoReader(path)
        assert "\n" not in str(caught.value)


def test_a_file_of_which_nothing_decodes_is_refused(tmp_path, noise):
    path = make_video(tmp_path / "a.mp4", noise, container_options={"movflags": "+faststart"})
    content = path.read_bytes()
    data = content.index(b"mdat") + 4
    path.write_bytes(content[:data] + bytes(len(content) - data))
    with pytest.raises(MediaError, match="not one frame can be decoded"):
        probe_video(path)


def test_zero_frames_are_refused(tmp_path, plain):
    path = make_video(tmp_path / "a.mp4", numbered(range(1)), container_options={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])  # the index promises a frame, no data follows
    with pytest.raises(MediaError, match="holds zero video frames"):
        VideoReader(path)


def test_videos_and_pictures_are_told_apart(tmp_path, plain):
    unnamed = tmp_path / "download"
    unnamed.write_bytes(plain.read_bytes())
    moving = make_video(tmp_path / "moving.gif", numbered(range(3)), codec="gif", pixels="rgb8")
    still = tmp_path / "still.gif"
    Image.new("RGB", (20, 20)).save(still)
    write_audio(tmp_path / "a.wav", tone(0.1))
    (tmp_path / "notes.txt").write_text("text")
    assert [is_video(path) for path in (unnamed, moving, "x.MOV")] == [True] * 3
    assert [is_picture(path) for path in (still, "x.PNG")] == [True] * 2
    assert not any(is_video(path) for path in (still, tmp_path / "a.wav", tmp_path / "notes.txt", tmp_path, "x.png"))
    assert not any(is_picture(path) for path in (unnamed, moving, tmp_path / "a.wav"))


def test_neither_opencv_nor_torch_nor_decord_is_imported_early():
    code = "import sys, talkingface.core.media; assert not {'cv2', 'torch', 'decord'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs ../shared/data/clips")
def test_real_clips_read_the_same_at_random_and_in_a_row():
    for path in sorted(CLIPS.glob("*.mp4"))[::40]:
        reader = VideoReader(path)
        places = np.linspace(0, len(reader) - 1, 5).astype(int)
        assert np.array_equal(reader.read(places), streamed(reader)[places]), path.name
