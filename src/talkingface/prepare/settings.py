"""What a prepared set is made by: every threshold in one record, which is kept with the set."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from talkingface.core.errors import ConfigError

FORMAT = 2  # of a prepared set; raised when the same settings would give other clips


def _setting(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """Thresholds of the stages; the defaults are those of AniTalker's supplement, section 1, and its published code.

    Raises:
        ConfigError: for a value that no clip could meet.
    """

    size: int = _setting(256, "side of the clips, in pixels")
    min_face: int = _setting(256, "longer side of the face box in the source, in pixels")
    max_yaw: float = _setting(60.0, "how far a head may turn to the side, in degrees, in any looked-at frame")
    min_blur: float = _setting(20.0, "variance of the Laplacian of the middle of the face, median over the clip")
    margin: float = _setting(1.6, "side of the crop over the face box's longer side")
    min_seconds: float = _setting(2.0, "shortest clip")
    max_seconds: float = _setting(30.0, "longest clip (Takin-ADA); longer ones are split evenly")
    min_fps: float = _setting(20.0, "frames a second that a source must have")
    stride: int = _setting(5, "faces are looked for in every n-th frame at 25 a second")
    need_sound: bool = _setting(False, "leave out clips without sound, or with silence")
    clips_per_identity: int = _setting(0, "keep so many clips of a person, drawn at random; 0 keeps all")
    identity: str = _setting("", "network that tells people apart, so that a clip shows one person: facenet")
    min_likeness: float = _setting(0.5, "with it, the least cosine of two faces of one person")
    sync: bool = _setting(False, "leave out clips whose lips and sound are not in sync, by SyncNet; silent ones stay")
    max_offset: int = _setting(1, "with it, the most frames between lips and sound")
    min_confidence: float = _setting(3.0, "with it, the least confidence that they belong together (LSE-C)")
    controls: str = _setting("", "reader of landmarks, pose, place and size of every frame: landmarks, mediapipe, …")
    seed: int = _setting(0, "of that draw, and of the split of people where the layout has none")

    def __post_init__(self) -> None:
        for name in ("size", "min_face", "margin", "max_seconds", "stride"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, it must be more than 0.")
        if not 0 < self.min_seconds <= self.max_seconds / 2:  # half, since a longer span is split evenly
            raise ConfigError(
                f"min_seconds is {self.min_seconds} and max_seconds {self.max_seconds}; the first must be more than 0 "
                "and at most half the second."
            )

    def fingerprint(self) -> str:
        """Short hash of everything that clips depend on beside their source."""
        return hashlib.sha256(json.dumps([FORMAT, asdict(self)]).encode()).hexdigest()[:16]
