"""Small raw videos for preparing, and what a run leaves on disk."""

from pathlib import Path

import numpy as np

from media_files import make_video, tone
from talkingface.data.synthetic import Staging, render_clip
from talkingface.prepare.settings import Settings
from talkingface.weights import sha256

SMALL = Settings(size=64, min_face=48, min_blur=1.0)
OPTIONS = ["--size", "64", "--min-face", "48", "--min-blur", "1"]


def make_raw(root: Path) -> None:
    """Three people who can be used, and files that cannot."""
    near = Staging(0.8)
    heads = {
        name: render_clip(number, 0, 60, 96, audio=False, staging=near).frames for number, name in enumerate("abc", 3)
    }
    for name, frames in heads.items():
        (root / name).mkdir()
        make_video(root / name / "take one.mp4", frames, sound=tone(2.4))
    make_video(root / "a" / "short.mp4", heads["a"][:20])
    make_video(root / "b" / "two.mp4", np.concatenate([heads["b"], heads["c"]], axis=2))
    (root / "b" / "two copies.mp4").write_bytes((root / "b" / "take one.mp4").read_bytes())
    make_video(root / "c" / "grey.mp4", np.full((60, 96, 96, 3), 128, np.uint8))
    (root / "c" / "empty.mp4").write_bytes(b"")
    (root / "c" / "text.mp4").write_text("no video")


def hashes(root: Path) -> dict[str, str]:
    """Everything that a run makes, but for the lock."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): sha256(path) for path in files}
