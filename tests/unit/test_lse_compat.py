import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch import Tensor

from lip_sync_toys import SAMPLES, ToySyncNet, bright_frames, loud_sound, pattern
from talkingface.core.errors import UnscorableError, WeightsError
from talkingface.metrics import (
    ClipScore,
    CompatLSEC,
    CompatLSED,
    CompatSyncOffset,
    Extractor,
    ScoredClip,
    SyncOffset,
    Track,
)
from talkingface.metrics.compat import OfficialSync, ffmpeg
from talkingface.metrics.compat.chain import official_sync
from talkingface.metrics.compat.shots import ShotFinder, hsv
from talkingface.metrics.functional.tracking import face_tracks
from talkingface.metrics.sync import embed_lips, embed_speech

FRAMES = 112
BOX = [35.0, 20.0, 141.0, 126.0]  # its crop lies within frames of 176 pixels

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not on this machine")


class OneFace:
    """Finds the same face in every frame, but for some."""

    def __init__(self, boxes: list[list[float]] | None = None, blind: range = range(0)) -> None:
        self.boxes, self.blind, self.seen = boxes or [BOX], blind, 0
        self.asked: set[tuple[float, float]] = set()

    def detect(self, frames: Tensor, scale: float, threshold: float) -> list[Tensor]:
        assert frames.dtype == torch.uint8
        self.asked.add((scale, threshold))
        found = []
        for _ in frames:
            boxes = [] if self.seen in self.blind else self.boxes
            found.append(torch.tensor([[*box, 0.99] for box in boxes]).reshape(-1, 5))
            self.seen += 1
        return found


def write_clip(path: Path, video: Tensor, wave: Tensor | None, rate: int = 16000) -> Path:
    """Lossless video and PCM sound in a Matroska file."""
    height, width = video.shape[-2:]
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", "25", "-i", "-"]
    if wave is not None:
        soundfile.write(path.with_suffix(".wav"), wave.numpy(), 16000)
        command += ["-i", str(path.with_suffix(".wav")), "-ar", str(rate), "-c:a", "pcm_s16le"]
    pixels = video.movedim(1, -1).contiguous().numpy().tobytes()
    subprocess.run([*command, "-c:v", "ffv1", "-pix_fmt", "bgr0", str(path)], input=pixels, check=True)
    return path


@pytest.fixture(scope="module")
def levels() -> np.ndarray[Any, np.dtype[np.float64]]:
    return pattern(FRAMES)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory, levels: Any) -> Path:
    """112 frames whose brightness follows their sound exactly."""
    return write_clip(tmp_path_factory.mktemp("clip") / "talking.mkv", bright_frames(levels), loud_sound(levels))


def toy_chain(path: Path, detector: OneFace | None = None) -> list[Any]:
    return official_sync(path, ToySyncNet(), detector or OneFace())


class ToyOfficialSync(OfficialSync):
    """The extractor with stand-ins for both networks."""

    networks = ()

    def __init__(self, detector: OneFace | None = None) -> None:
        Extractor.__init__(self)
        self.network = ToySyncNet()
        self.detector = detector or OneFace()
        self.rates = set()
        self.looks = 0

    def extract(self, track: Track) -> Tensor:
        self.looks += 1
        return super().extract(track)


def scored(path: Path | None, finder: Extractor) -> ScoredClip:
    return ScoredClip("clip", Track(torch.zeros(9, 3, 8, 8).byte(), {"sync-compat": finder}), path=path)


def toy_offset(video: Tensor, wave: Tensor) -> float:
    """Offset by the toy network of frames and sound in memory."""
    network, count = ToySyncNet(), len(video) - 5
    lips = embed_lips(network, lambda first, last: video[first:last], count)
    speech = embed_speech(network, (wave.double() * 32768).round(), count)
    return SyncOffset()(speech, lips).item()


@needs_ffmpeg
@pytest.mark.parametrize(("rate", "late"), [(16000, 2), (48000, 1)])
def test_mp3_delays_the_pictures_of_the_avi_too(tmp_path: Path, levels: Any, rate: int, late: int) -> None:
    video, wave = bright_frames(levels, size=64), loud_sound(levels)
    ffmpeg.to_avi(write_clip(tmp_path / "clip.mkv", video, wave, rate), tmp_path / "video.avi")
    found = pictures(ffmpeg.to_pictures(tmp_path / "video.avi", tmp_path / "frames", quality=2))
    assert len(found) == FRAMES + late  # ffmpeg repeats early frames, to make room for the delay of its encoder
    expected = video[10:100, 0, 0, 0].float()
    shades = found.float().mean((1, 2, 3))
    assert (shades[10 + late : 100 + late] - expected).abs().max() < 3
    assert (shades[10:100] - expected).abs().mean() > 5  # the control


@needs_ffmpeg
@pytest.mark.parametrize(("rate", "offset"), [(16000, 0), (22050, 1)])
def test_what_is_in_sync_leaves_the_chain_with_an_offset_of_its_own(
    tmp_path: Path, levels: Any, rate: int, offset: int
) -> None:
    video, wave = bright_frames(levels), loud_sound(levels)
    assert toy_offset(video, wave) == 0
    (track,) = toy_chain(write_clip(tmp_path / "clip.mkv", video, wave, rate))
    # 16 kHz: pictures 80 ms late, sound 69 ms; 22.05 kHz: 80 ms and 50 ms
    assert track.offset == offset


@needs_ffmpeg
def test_late_sound_is_late_behind_the_chain(tmp_path: Path) -> None:
    levels = pattern(FRAMES + 4)
    path = write_clip(tmp_path / "late.mkv", bright_frames(levels[4:]), loud_sound(levels)[: FRAMES * SAMPLES])
    (track,) = toy_chain(path)
    assert track.offset == -4


@needs_ffmpeg
def test_three_metrics_share_one_run_of_the_chain(talking: Path) -> None:
    finder = ToyOfficialSync()
    clip = scored(talking, finder)
    scores = [metric().update_clip(clip) for metric in (CompatLSED, CompatLSEC, CompatSyncOffset)]
    assert finder.looks == 1
    assert scores[0].value > 0
    assert scores[1].value > 0
    assert scores[2] == ClipScore(0.0, lost=0, total=1)
    assert finder.detector.asked == {(0.25, 0.9)}
    card = finder.describe()
    assert card["input sample rates"] == [16000]
    assert card["ffmpeg"] == ffmpeg.version()
    assert card["ffmpeg"][0].isdigit() or card["ffmpeg"].startswith("N")


@needs_ffmpeg
def test_every_face_is_a_row(talking: Path) -> None:
    other = [40.0, 25.0, 146.0, 131.0]
    clip = scored(talking, ToyOfficialSync(OneFace([BOX, other])))
    rows = clip["video.sync-compat"]
    assert rows.shape == (2, 3)
    score = CompatLSED().update_clip(clip)
    assert score.total == 2
    assert score.value == pytest.approx(rows[:, 0].mean().item(), rel=1e-6)


UNSEEN = {
    "small": OneFace([[0.0, 0.0, 100.0, 100.0]]),
    "gone": OneFace(blind=range(20, 200)),
    "none": OneFace(blind=range(200)),
}


@needs_ffmpeg
@pytest.mark.parametrize("face", UNSEEN)
def test_a_face_that_cannot_be_followed_is_unscorable(talking: Path, face: str) -> None:
    with pytest.raises(UnscorableError, match="could follow over more than 100 frames"):
        toy_chain(talking, UNSEEN[face])


@needs_ffmpeg
def test_silence_and_a_missing_sound_track_are_unscorable(tmp_path: Path, levels: Any) -> None:
    video = bright_frames(levels)
    silent = write_clip(tmp_path / "silent.mkv", video, torch.zeros(FRAMES * SAMPLES))
    with pytest.raises(UnscorableError, match="has silent audio"):
        toy_chain(silent)
    mute = write_clip(tmp_path / "mute.mkv", video, None)
    with pytest.raises(UnscorableError, match="has no sound track"):
        CompatLSED().update_clip(scored(mute, ToyOfficialSync()))


@needs_ffmpeg
def test_a_file_that_is_no_video_is_unscorable(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(UnscorableError, match="cannot be converted by ffmpeg"):
        toy_chain(path)


def test_without_a_file_there_is_nothing_to_replay() -> None:
    with pytest.raises(UnscorableError, match="needs the predicted file"):
        CompatLSED().update_clip(scored(None, ToyOfficialSync()))


def test_frames_put_in_place_of_the_prediction_have_no_file() -> None:
    clip = scored(Path("talking.mp4"), ToyOfficialSync())
    assert clip.video.path == Path("talking.mp4")
    frozen = clip.with_video(clip.video.select([0, 0]))
    with pytest.raises(UnscorableError, match="needs the predicted file"):
        CompatLSED().update_clip(frozen)


def test_without_ffmpeg_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnscorableError, match="apt install ffmpeg"):
        toy_chain(tmp_path / "clip.mp4")


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="--fetch syncnet"):
        OfficialSync()


def psnr(first: Tensor, second: Tensor) -> float:
    error = (first.double() - second.double()).square().mean()
    return float(10 * torch.log10(255**2 / error))


def pictures(paths: list[Path]) -> Tensor:
    return torch.from_numpy(np.stack([np.array(Image.open(path)) for path in paths])).movedim(-1, 1)


@needs_ffmpeg
def test_jpeg_at_ffmpegs_own_quality_costs_the_crops_decibels(tmp_path: Path) -> None:
    coarse = torch.rand(1, 3, 29, 29, generator=torch.Generator().manual_seed(0)) * 255
    spots = torch.nn.functional.interpolate(coarse, 232, mode="bicubic").clamp(0, 255).byte()[0]
    crops = torch.stack([spots[:, shift : shift + 224, :224] for shift in range(8)])
    ffmpeg.write_xvid(crops, 224, tmp_path / "crop.avi")
    fine = pictures(ffmpeg.to_pictures(tmp_path / "crop.avi", tmp_path / "fine", quality=2))
    coarse = pictures(ffmpeg.to_pictures(tmp_path / "crop.avi", tmp_path / "coarse"))
    assert fine.shape == coarse.shape == crops.shape
    assert psnr(fine, crops) > psnr(coarse, crops) + 1.5


@needs_ffmpeg
def test_the_last_part_of_a_clip_keeps_its_own_sound(tmp_path: Path) -> None:
    wave = np.arange(16000, dtype=np.int16)
    soundfile.write(tmp_path / "all.wav", wave, 16000)
    ffmpeg.cut_wav(tmp_path / "all.wav", 8 / 25, 20 / 25, tmp_path / "part.wav")
    part, _ = soundfile.read(tmp_path / "part.wav", dtype="int16")
    assert np.array_equal(part, wave[8 * 640 : 20 * 640])


def shots(change: Callable[[np.ndarray[Any, Any], int], None], frames: int = 60) -> list[tuple[int, int]]:
    finder = ShotFinder()
    for number in range(frames):
        frame = np.full((20, 30, 3), 40, np.uint8)
        change(frame, number)
        finder.add(frame)
    return finder.shots()


def test_a_cut_is_a_change_of_a_third_of_90_steps() -> None:
    def step(size: int) -> Callable[[np.ndarray[Any, Any], int], None]:
        def change(frame: np.ndarray[Any, Any], number: int) -> None:
            frame += np.uint8(size * (number >= 25))

        return change

    assert shots(step(90)) == [(0, 25), (25, 60)]
    assert shots(step(89)) == [(0, 60)]


def test_cuts_lie_fifteen_frames_apart() -> None:
    def flash(frame: np.ndarray[Any, Any], number: int) -> None:
        frame += np.uint8(100 * (number in (3, 30)))

    assert shots(flash) == [(0, 3), (3, 30), (30, 60)]  # 4 and 31 come too soon after a cut


def test_wide_frames_are_looked_at_coarsely() -> None:
    finder = ShotFinder()
    for shade in (0, 200):
        frame = np.zeros((4, 400, 3), np.uint8)
        frame[1::2] = frame[:, 1::2] = shade  # only pixels that every second one passes over
        finder.add(frame)
    assert finder.shots() == [(0, 2)]


def test_hue_goes_round() -> None:
    colours = np.array([[[255, 0, 1], [0, 255, 0], [0, 0, 255], [255, 255, 0]]], np.uint8)
    assert hsv(colours)[0, :, 0].tolist() == [0, 60, 120, 30]


def test_tracks_join_over_gaps_and_end_after_them() -> None:
    box = np.array([[0.0, 0.0, 120.0, 120.0]])
    none = np.zeros((0, 4))
    short = face_tracks([box] * 60 + [none] * 24 + [box] * 60)
    assert [(track.frames[0], track.frames[-1]) for track in short] == [(0, 143)]
    long = face_tracks([box] * 101 + [none] * 25 + [box] * 101, first=1000)
    assert [(track.frames[0], track.frames[-1]) for track in long] == [(1000, 1100), (1126, 1226)]


def test_tracks_need_more_than_100_boxes_and_more_than_100_pixels() -> None:
    def count(side: float, frames: int) -> int:
        return len(face_tracks([np.array([[0.0, 0.0, side, side]])] * frames))

    assert [count(101, 101), count(101, 100), count(100, 101)] == [1, 0, 0]


def test_gaps_are_filled_linearly() -> None:
    boxes = [np.array([[i, 0.0, i + 200.0, 200.0]]) for i in range(120)]
    boxes[50:60] = [np.zeros((0, 4))] * 10
    (track,) = face_tracks(boxes)
    assert track.boxes[:, 0].tolist() == pytest.approx(list(range(120)))
