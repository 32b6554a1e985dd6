"""How synthetic people are filmed: how near, and how lively."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from talkingface.core.errors import ConfigError


@dataclass(frozen=True)
class Staging:
    """What is the same for all clips of a set, beside people, speech and moods.

    Within a clip a lively head turns by 8°, 4° and 4° (standard deviations of yaw, pitch and roll), and its nose goes
    0.19 of the face's length to the sides. In 191 real clips of talking heads these are 1.6°, 1.7°, 1.4° and 0.05
    (medians): a third of the liveliness.

    Args:
        framing: share of the frame that is shown, see :class:`~.framing.Framing`.
        liveliness: factor on how far heads turn, drift and come nearer; speech and face stay as they are.

    Raises:
        ConfigError: for a negative liveliness.
    """

    framing: float = 1.0
    liveliness: float = 1.0

    def __post_init__(self) -> None:
        if self.liveliness < 0:
            raise ConfigError(f"liveliness is a factor on the movement of heads, 0 or more: {self.liveliness}?")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Staging":
        """That of a data module's settings; where they do not say, the usual one."""
        return cls(**{field.name: float(settings[field.name]) for field in fields(cls) if field.name in settings})


USUAL = Staging()  # head and shoulders of a lively talker
