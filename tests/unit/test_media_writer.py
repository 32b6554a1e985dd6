"""Video writing: what was written comes back, sound in time with it, and nothing half-made is ever left behind."""

import subprocess
import sys

import av
import numpy as np
import pytest

from media_files import make_sound, make_video, numbered, numbers_of, tone
from talkingface.core.errors import MediaError, ShapeError
from talkingface.core.media import VideoReader, VideoWriter, probe_video, read_audio, write_audio
from talkingface.data.synthetic import Staging, render_clip


def write(path, frames, **options):
    with VideoWriter(path, **options) as writer:
        writer.write(frames)
    return path


def only_file(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_come_back_in_order(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", numbered(range(60)))
    reader = VideoReader(path)
    assert numbers_of(np.concatenate(list(reader.stream()))) == list(range(60))
    assert (reader.info.codec, reader.info.fps) == ("h264", pytest.approx(25))


def test_batches_and_single_frames_add_up(tmp_path):
    frames = numbered(range(7))
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(frames[:4])
        writer.write(frames[4])
        writer.write(frames[5:])
        assert writer.frames_written == 7
    assert numbers_of(VideoReader(tmp_path / "a.mp4").read(range(7))) == list(range(7))


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 150, 120), (0, 0, 0), (255, 255, 255)])
def test_colours_survive(tmp_path, colour):
    path = write(tmp_path / "a.mp4", np.full((5, 32, 32, 3), colour, np.uint8))
    assert np.abs(VideoReader(path).read([2])[0, 16, 16].astype(int) - colour).max() <= 4


def test_the_colour_matrix_is_said_aloud(tmp_path):
    with av.open(str(write(tmp_path / "a.mp4", numbered(range(3))))) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.pix_fmt == "yuv420p"


@pytest.mark.parametrize("fps", [24.0, 29.97, 50.0])
def test_other_rates_are_kept(tmp_path, fps):
    path = write(tmp_path / "a.mp4", numbered(range(48)), fps=fps)
    assert probe_video(path).fps == pytest.approx(fps, rel=1e-3)


def test_odd_sizes_are_made_even_by_repeating_the_border(tmp_path):
    frames = np.random.default_rng(0).integers(90, 160, (3, 1, 1, 3), dtype=np.uint8).repeat(33, 1).repeat(47, 2)
    frame = VideoReader(write(tmp_path / "a.mp4", frames)).read([0])[0]
    assert frame.shape == (34, 48, 3)
    assert np.abs(frame[33, 47].astype(int) - frames[0, 32, 46]).max() <= 4


def test_key_frames_are_at_most_a_second_apart(tmp_path):
    with av.open(str(write(tmp_path / "a.mp4", numbered(range(100))))) as container:
        keys = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.is_keyframe]
    assert np.diff([*keys, 4.0]).max() <= 1.0


def test_a_lower_crf_is_closer_to_the_original(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), dtype=np.uint8)

    def error(crf):
        path = write(tmp_path / f"{crf}.mp4", noise, crf=crf)
        return np.abs(VideoReader(path).read(range(10)).astype(int) - noise).mean()

    assert error(5) < error(40)


def test_the_same_frames_give_the_same_file(tmp_path):
    frames = render_clip(4, 0, 60, 112, audio=False, staging=Staging(0.8)).frames
    files = {write(tmp_path / "a.mp4", frames).read_bytes() for _ in range(8)}
    assert len(files) == 1


def test_sound_is_in_time_with_the_picture(tmp_path):
    wave = tone(2.0)
    wave[:16000] = 0  # the tone starts with frame 25
    path = write(tmp_path / "a.mp4", numbered(range(50)), audio=wave)
    read = read_audio(path)
    start = int(np.argmax(np.abs(read) > 0.1))
    assert abs(start - 16000) < 160  # a quarter of a frame
    assert np.abs(read[17000:31000] - wave[17000:31000]).max() < 0.05


@pytest.mark.parametrize(("seconds", "what"), [(0.5, "padded"), (5.0, "cut")])
def test_sound_is_padded_or_cut_to_the_video(tmp_path, seconds, what):
    read = read_audio(write(tmp_path / "a.mp4", numbered(range(50)), audio=tone(seconds)))
    assert abs(len(read) - 32000) <= 1024  # one AAC frame
    end = np.abs(read[20000:31000]).max()
    assert end < 0.01 if what == "padded" else end > 0.4


def test_sound_and_picture_interleave(tmp_path):
    path = write(tmp_path / "a.mkv", numbered(range(100)), audio=tone(4.0))
    with av.open(str(path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    runs = "".join(kind[0] for kind in kinds).replace("a", " ").split()
    assert max(map(len, runs)) < 50  # the picture never runs two seconds ahead


def test_sound_may_be_a_file_or_the_track_of_a_video(tmp_path):
    write_audio(tmp_path / "a.wav", tone(1.0, rate=44100), 44100)
    clip = make_video(tmp_path / "clip.mp4", numbered(range(25)), sound=tone(1.0))
    for source in (tmp_path / "a.wav", make_sound(tmp_path / "a.m4a", tone(1.0)), clip):
        path = write(tmp_path / "out.mp4", numbered(range(25)), audio=source)
        assert np.abs(read_audio(path)[2000:14000] - tone(1.0)[2000:14000]).max() < 0.05
    assert not probe_video(write(tmp_path / "silent.mp4", numbered(range(3)))).audio


def test_unreadable_sound_is_found_out_before_rendering(tmp_path):
    silent = make_video(tmp_path / "silent.mp4", numbered(range(3)))
    with pytest.raises(MediaError, match=r"silent\.mp4 has no sound track"):
        VideoWriter(tmp_path / "out.mp4", audio=silent)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, MediaError])
def test_an_interrupted_video_leaves_the_old_one_and_no_part(tmp_path, failure):
    path = write(tmp_path / "a.mp4", numbered(range(5)))
    before = path.read_bytes()

    def interrupted():
        with VideoWriter(path) as writer:
            writer.write(numbered(range(30)))
            raise failure("stop")

    with pytest.raises(failure, match="stop"):
        interrupted()
    assert path.read_bytes() == before
    assert only_file(tmp_path) == ["a.mp4"]


def test_an_interrupted_first_video_leaves_nothing(tmp_path):
    def interrupted():
        with VideoWriter(tmp_path / "a.mp4", audio=tone(1.0)) as writer:
            writer.write(numbered(range(30)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert only_file(tmp_path) == []


@pytest.mark.parametrize("moment", ["mux", "close"])
def test_a_full_disk_leaves_the_old_video_and_says_so(tmp_path, monkeypatch, moment):
    path = write(tmp_path / "a.mp4", numbered(range(5)))
    before = path.read_bytes()
    writer = VideoWriter(path)
    writer.__enter__()
    full = _FullDisk(writer._container, moment)
    monkeypatch.setattr(writer, "_container", full)

    def fill():
        try:
            writer.write(numbered(range(60)))
        except MediaError as error:
            writer.__exit__(type(error), error, None)
            raise
        writer.__exit__(None, None, None)

    with pytest.raises(MediaError, match=r"a\.mp4 could not be written: No space left on device\. Free some space"):
        fill()
    assert path.read_bytes() == before
    assert only_file(tmp_path) == ["a.mp4"]


REFUSED = """
import resource, sys
import numpy as np
from talkingface.core.media import VideoWriter

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)  # the system refuses to write more, as a full disk
noise = np.random.default_rng(0).integers(0, 255, (30, 128, 128, 3), dtype=np.uint8)
with VideoWriter(sys.argv[1], audio=np.zeros(16000, np.float32)) as writer:
    writer.write(noise)
"""


@pytest.mark.parametrize("limit", [100, 20_000, 300_000, 100_000_000])
def test_a_system_that_refuses_to_write_leaves_the_old_video(tmp_path, limit):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    run = subprocess.run([sys.executable, "-c", REFUSED, str(path), str(limit)], capture_output=True, text=True)
    assert only_file(tmp_path) == ["a.mp4"]
    if limit == 100_000_000:  # the control: with room enough, the new video takes its place
        assert run.returncode == 0
        assert probe_video(path).frames == 30
    else:
        assert "MediaError" in run.stderr
        assert "a.mp4 could not be written: File too large" in run.stderr
        assert path.read_bytes() == b"old"


class _FullDisk:
    """A container whose file system fills up when packets are written, or at the last moment."""

    def __init__(self, container, moment):
        self.container, self.moment = container, moment

    def add_stream(self, *args, **kwargs):
        return self.container.add_stream(*args, **kwargs)

    def mux(self, packets):
        if self.moment == "mux" and packets:
            raise av.error.OSError(28, "No space left on device")
        self.container.mux(packets)

    def close(self):
        self.container.close()
        if self.moment == "close":
            raise av.error.OSError(28, "No space left on device")


def test_zero_frames_make_no_video(tmp_path):
    with pytest.raises(MediaError, match="zero frames were written"), VideoWriter(tmp_path / "a.mp4"):
        pass
    assert only_file(tmp_path) == []


def test_another_size_on_the_way_is_refused_with_its_number(tmp_path):
    def change():
        with VideoWriter(tmp_path / "a.mp4") as writer:
            writer.write(numbered(range(3)))
            writer.write(numbered(range(2), height=32, width=70))

    with pytest.raises(ShapeError, match=r"a\.mp4: frame 3 is 70×32, the ones before it are 112×64"):
        change()
    assert only_file(tmp_path) == []


@pytest.mark.parametrize("bad", [np.zeros((4, 32, 32, 3), np.float32), np.zeros((32, 32), np.uint8)])
def test_other_arrays_are_refused(tmp_path, bad):
    with pytest.raises(ShapeError, match="expected uint8"):
        write(tmp_path / "a.mp4", bad)


def test_unknown_suffix_is_refused_before_rendering(tmp_path):
    with pytest.raises(MediaError, match=r"Use one of: \.mp4"):
        VideoWriter(tmp_path / "a.gif")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match="could not be written"):
        write(tmp_path / "file" / "a.mp4", numbered(range(3)))


def test_folders_on_the_way_are_made(tmp_path):
    assert probe_video(write(tmp_path / "new" / "deep" / "a.mp4", numbered(range(3)))).frames == 3
