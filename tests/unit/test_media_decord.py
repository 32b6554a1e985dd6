"""decord beside PyAV: equal pixels on the files it is used for, and never used where it goes wrong."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from av.video.stream import VideoStream

from media_files import make_video, noise_pictures, numbered, numbers_of, remux
from talkingface.core.errors import MediaError
from talkingface.core.media import VideoReader, video_reader
from talkingface.core.media.decoder import PyAVDecoder
from talkingface.core.media.decord_decoder import DecordDecoder, DecordError
from talkingface.core.media.probe import index_video

decord = pytest.importorskip("decord")

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
COUNT = 40
MATRICES = ("smpte170m", "bt709")
X265 = "log-level=none"


def x264(text, **more):
    return {"codec": "libx264", "options": {"x264-params": text}, **more}


def x265(text, **more):
    return {"codec": "libx265", "options": {"x265-params": f"{X265}:{text}"}, **more}


def at_random(decoder, frames):
    """All frames, asked for one by one in a shuffled order."""
    read = {int(place): decoder.read([int(place)])[0] for place in np.random.default_rng(0).permutation(frames)}
    return np.stack([read[place] for place in range(frames)])


@pytest.fixture(scope="module")
def colours():
    return noise_pictures(COUNT)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plain.mp4", {}),
        ("plain.mov", {}),
        ("short_groups.mp4", {"options": {"g": "7"}}),
        ("mpeg4.mp4", {"codec": "mpeg4"}),
        ("hevc.mp4", x265("keyint=7:open-gop=0")),
        ("bt601.mp4", x264("colormatrix=smpte170m")),
        ("pal.mp4", x264("colormatrix=bt470bg")),
        ("bt709.mp4", x264("colormatrix=bt709")),
        ("bt2020.mp4", x264("colormatrix=bt2020nc")),
        ("full_bt709.mp4", x264("colormatrix=bt709:fullrange=on")),
        ("full.mp4", {"pixels": "yuvj420p"}),
        ("fragments.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("uneven.mp4", {"seconds": (np.arange(COUNT) ** 1.5 / 10 + 0.5).tolist()}),
    ],
)
def test_both_give_equal_pixels_on_plain_files(tmp_path, colours, name, how):
    index = index_video(make_video(tmp_path / name, colours, **how))
    assert index.plain
    with_decord = at_random(DecordDecoder(index), COUNT)
    assert np.array_equal(with_decord, at_random(PyAVDecoder(index), COUNT))  # no grey level apart
    assert len(np.unique(with_decord.reshape(COUNT, -1), axis=0)) == COUNT  # the control: frames differ


def test_the_matrix_of_a_file_counts(tmp_path, colours):
    """The control of the test above: the same samples tagged otherwise give other colours, with both decoders."""
    paths = [make_video(tmp_path / f"{name}.mp4", colours[:1], **x264(f"colormatrix={name}")) for name in MATRICES]
    for make in (DecordDecoder, PyAVDecoder):
        old, new = (make(index_video(path)).read([0])[0].astype(int) for path in paths)
        assert np.abs(old - new).max() > 10


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("hdr.mp4", x265("keyint=20", pixels="yuv420p10le")),
        ("open.mp4", x264("open-gop=1:keyint=7:min-keyint=7:bframes=3:scenecut=0")),
        ("open_hevc.mov", x265("open-gop=1:keyint=7:min-keyint=7:bframes=4")),
        ("h264.avi", {}),
        ("interlaced.mp4", x264("interlaced=1")),
    ],
)
def test_where_decord_goes_wrong_it_is_not_used(tmp_path, colours, name, how):
    index = index_video(make_video(tmp_path / name, colours, **how))
    assert not index.plain
    right = np.concatenate(list(VideoReader(index.info.path, fps=None).stream()))
    assert np.array_equal(VideoReader(index.info.path, fps=None).read(range(COUNT)), right)
    try:
        wrong = at_random(DecordDecoder(index), COUNT)
    except DecordError:  # it may also give up
        return
    assert not np.array_equal(wrong, right)  # the control: there is something to be kept from


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(partial(remux, hidden=13), id="edit list"),
        pytest.param(
            partial(remux, rotation=90),
            id="rotated",
            marks=pytest.mark.skipif(not hasattr(VideoStream, "set_display_rotation"), reason="PyAV cannot make it"),
        ),
    ],
)
def test_copies_that_hide_or_turn_frames_are_left_to_pyav(tmp_path, change):
    plain = make_video(tmp_path / "plain.mp4", numbered(range(COUNT)))
    assert index_video(plain).plain
    assert not index_video(change(plain, tmp_path / "changed.mp4")).plain
    assert index_video(remux(plain, tmp_path / "copy.mp4")).plain  # the control: copying alone changes nothing


def test_webm_av1_pixels_that_are_not_square_and_cut_files_are_left_to_pyav(tmp_path, colours):
    whole = make_video(tmp_path / "whole.mp4", colours, container_options={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    others = [
        cut,
        make_video(tmp_path / "a.webm", colours, codec="libvpx-vp9"),
        make_video(tmp_path / "av1.mp4", colours, codec="libsvtav1"),
        make_video(tmp_path / "dv.mp4", colours, **x264("sar=2/1")),
        make_video(tmp_path / "yuv444.mp4", colours, pixels="yuv444p"),
    ]
    assert [index_video(path).plain for path in (whole, *others)] == [True] + [False] * len(others)


def test_colours_that_nothing_reads_give_one_clear_line(tmp_path, colours):
    path = make_video(tmp_path / "odd.mp4", colours, **x264("colormatrix=YCgCo"))
    with pytest.raises(MediaError, match=r"odd\.mp4 stores colours in a way that cannot be read"):
        VideoReader(path).read([0])


def _forbidden(index):
    raise AssertionError("the other decoder was meant")


def test_random_frames_come_from_decord_and_frames_in_a_row_from_pyav(tmp_path, monkeypatch):
    path = make_video(tmp_path / "a.mp4", numbered(range(COUNT)))
    with monkeypatch.context() as patch:
        patch.setattr(video_reader, "PyAVDecoder", _forbidden)
        assert numbers_of(VideoReader(path).read([30, 2])) == [30, 2]
        with pytest.raises(AssertionError):
            next(VideoReader(path).stream())
    monkeypatch.setattr(video_reader, "DecordDecoder", _forbidden)
    assert numbers_of(next(VideoReader(path).stream(5))) == [0, 1, 2, 3, 4]


def test_pyav_takes_over_for_good_where_decord_stumbles(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (50, 64, 112, 3), dtype=np.uint8)
    path = make_video(tmp_path / "hurt.mp4", noise, options={"g": "10"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8000] = bytes(8000)
    path.write_bytes(content)
    tries = []
    monkeypatch.setattr(video_reader, "DecordDecoder", lambda index: tries.append(index) or DecordDecoder(index))
    reader = VideoReader(path)
    right = np.concatenate(list(reader.stream()))
    for _ in range(3):
        assert np.array_equal(reader.read(range(50)), right)
        reader.close()
    assert len(tries) == 1


def test_a_bridge_that_a_script_has_set_does_no_harm(tmp_path):
    reader = VideoReader(make_video(tmp_path / "a.mp4", numbered(range(9))))
    with decord.bridge.use_torch():
        frames = reader.read([3, 8])
    assert type(frames) is np.ndarray
    assert numbers_of(frames) == [3, 8]


FORK = """
import os, signal, sys
os.register_at_fork(after_in_child=lambda: signal.alarm(30))  # ends a child that hangs
from talkingface.core.media import VideoReader

reader = VideoReader(sys.argv[1])
before = reader.read([2, 5])
child = os.fork()
if child:
    after = os.waitpid(child, 0)[1]
else:
    after = int((reader.read([2, 5]) != before).any())
# Not os._exit: what was inherited is freed as in any process, where a decord reader would wait for ever.
sys.exit(after)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing forks there")
def test_a_forked_process_reads_and_ends_without_waiting_for_threads_left_behind(tmp_path):
    path = make_video(tmp_path / "a.mp4", numbered(range(9)))
    assert index_video(path).plain
    subprocess.run([sys.executable, "-c", FORK, str(path)], check=True, timeout=90)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs ../shared/data/clips")
def test_both_give_equal_pixels_on_real_clips():
    indices = [index_video(path) for path in sorted(CLIPS.glob("*.mp4"))[::30]]
    assert sum(index.plain for index in indices) >= 5
    rng = np.random.default_rng(0)
    for index in indices:
        places = sorted(rng.choice(index.info.frames, 3, replace=False).tolist())
        if index.plain:
            assert np.array_equal(DecordDecoder(index).read(places), PyAVDecoder(index).read(places)), index.info.path
