"""Re-encode clips into the mess that phones and folders hold, prepare it, and compare what became of each file.

    python benchmarks/phone_videos.py CLIPS FOLDER

CLIPS is a folder of 256 px clips of one face each, of two people at least, the first with sound. FOLDER then holds
``raw`` and ``set`` with the report ``set/index.html``; exit 1 when a file met another fate than it must.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from talkingface.core.media import VideoReader, VideoWriter
from talkingface.prepare.manifest import check, read_rows
from talkingface.prepare.run import prepare
from talkingface.prepare.settings import Settings

SETTINGS = Settings(min_face=96)
SECONDS = 2.4
FATES = {  # file → the stage that drops it; empty for a clip
    "anna/upright.mp4": "",
    "anna/turned by the phone.mov": "",
    "anna/sixty a second.mp4": "",
    "anna/no sound.mp4": "",
    "anna/upright_copy.mp4": "duplicate",
    "Анна/видео 1.mp4": "",
    "安娜/视频.mp4": "",
    "ben/far away in 1080p.mp4": "faces",
    "ben/small in 1080p.mp4": "face size",
    "ben/two people.mp4": "one face",
    "ben/4K.mp4": "",
    "ben/eight a second.mp4": "probe",
    "ben/a second.mp4": "length",
    "ben/cut off.mp4": "length",
    "ben/cut off early.mp4": "probe",
    "ben/damaged.mp4": "",
    "ben/empty.mp4": "probe",
    "ben/text.mp4": "probe",
}


def write(path: Path, frames: NDArray[np.uint8], fps: int = 25, sound: Path | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, audio=sound) as writer:
        writer.write(frames)


def scaled(frames: NDArray[np.uint8], side: int) -> Iterator[NDArray[np.uint8]]:
    for frame in frames:
        yield np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.LANCZOS))


def placed(frames: NDArray[np.uint8], side: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """A clip of so many pixels in the middle of a large grey frame."""
    for frame in scaled(frames, side):
        page = np.full((height, width, 3), 96, np.uint8)
        top, left = (height - side) // 2, (width - side) // 2
        page[top : top + side, left : left + side] = frame
        yield page


def turned(source: Path, path: Path) -> None:
    """Stored on its side, with the note of the phone that says so."""
    with VideoReader(source) as reader:
        frames = np.ascontiguousarray(np.rot90(reader.read(range(len(reader))), 1, (1, 2)))
    aside = path.with_suffix(".aside.mp4")
    write(aside, frames)
    with av.open(str(aside)) as stored, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(stored.streams.video[0])
        stream.set_display_rotation(270)
        for packet in stored.demux(stored.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    aside.unlink()


def make(clips: list[Path], raw: Path) -> None:
    faces = []
    for path in clips:
        with VideoReader(path) as reader:
            faces.append(reader.read(range(min(len(reader), round(SECONDS * 25)))))
    one, other = faces
    count = min(map(len, faces))
    upright = raw / "anna" / "upright.mp4"
    write(upright, one, sound=clips[0])
    turned(upright, raw / "anna" / "turned by the phone.mov")
    write(raw / "anna" / "sixty a second.mp4", np.repeat(one, 3, 0)[: round(SECONDS * 60)], fps=60)
    write(raw / "anna" / "no sound.mp4", one[1:])
    (raw / "anna" / "upright_copy.mp4").write_bytes(upright.read_bytes())
    write(raw / "Анна" / "видео 1.mp4", one[2:])
    write(raw / "安娜" / "视频.mp4", other[2:])
    write(raw / "ben" / "far away in 1080p.mp4", np.stack(list(placed(other, 24, 1920, 1080))))
    write(raw / "ben" / "small in 1080p.mp4", np.stack(list(placed(other, 80, 1920, 1080))))
    write(raw / "ben" / "two people.mp4", np.concatenate([one[:count], other[:count]], 2))
    write(raw / "ben" / "4K.mp4", np.stack(list(placed(other, 1600, 3840, 2160))))
    write(raw / "ben" / "eight a second.mp4", other[::3], fps=8)
    write(raw / "ben" / "a second.mp4", other[:25])
    whole = raw / "ben" / "damaged.mp4"
    write(whole, other[1:])
    content = bytearray(whole.read_bytes())
    (raw / "ben" / "cut off.mp4").write_bytes(content[: len(content) // 2])  # 1.2 s are left
    (raw / "ben" / "cut off early.mp4").write_bytes(content[:500])  # in its index
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    whole.write_bytes(content)
    (raw / "ben" / "empty.mp4").write_bytes(b"")
    (raw / "ben" / "text.mp4").write_text("no video")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    raw, dst = options.folder / "raw", options.folder / "set"
    if not raw.exists():
        first, *_, last = sorted(options.clips.glob("*.mp4"))
        make([first, last], raw)
    prepare("folder", raw, dst, SETTINGS)
    fates = {row["source"]: "" for row in read_rows(dst / "manifest.parquet")}
    reasons = {}
    for row in read_rows(dst / "dropped.parquet"):
        fates.setdefault(row["source"], row["stage"])
        reasons[row["source"]] = row["reason"]
    wrong = 0
    for name, must in FATES.items():
        met = fates.get(name, "not looked at")
        wrong += met != must
        print(f"{'  ' if met == must else '! '}{name:32} {met or 'a clip':12} {reasons.get(name, '')}")
    print(f"{wrong} of {len(FATES)} files met another fate than they must; check of the set: {check(dst)}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
