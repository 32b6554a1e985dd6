"""Errors written for the user: what was wrong, where, and how to mend it.

The command line prints the message of a :class:`TalkingFaceError` as one line and exits with 1; anything else is a bug
and shows its traceback.
"""

import difflib
from collections.abc import Iterable, Sequence


class TalkingFaceError(Exception):
    """Base of every error that a user can mend."""


class ShapeError(TalkingFaceError, ValueError):
    """A tensor has another shape, type or range than the contract says."""


class MediaError(TalkingFaceError, OSError):
    """A file of pictures or sound cannot be read or written."""


class ConfigError(TalkingFaceError, ValueError):
    """A configuration asks for something that does not exist or does not fit together."""


class WeightsError(TalkingFaceError, RuntimeError):
    """Weights are missing, of another architecture, or unsafe to read."""


class DeviceError(TalkingFaceError, RuntimeError):
    """A device was asked for that this machine does not have."""


class UnscorableError(TalkingFaceError):
    """A clip lacks what a metric needs; the message is the reason, without the clip's name."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """List the known names for an error message, the nearest first.

    Args:
        name: what the user wrote.
        known: the names that exist.

    Returns:
        ``"a, b, c"`` with the likeliest meant names in front.

    >>> did_you_mean("rendrer", ["encoder", "renderer"])
    'renderer, encoder'
    """

    def similarity(candidate: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), candidate.lower()).ratio()

    return ", ".join(sorted(sorted(known), key=similarity, reverse=True))


def first_of(names: Sequence[str], limit: int = 6) -> str:
    """List the first names for an error message, and say how many there are when that is not all.

    Args:
        names: what to list.
        limit: how many are written out.

    >>> first_of(["a", "b", "c"], limit=2)
    'a, b, … (3 in all)'
    """
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
