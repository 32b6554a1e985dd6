"""Progress with Rich on a terminal, quiet otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def frames_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told the frames done and their total.

    Args:
        title: what is going on.
    """
    with _bar(title, "{task.completed:.0f}/{task.total:.0f} frames") as update:
        yield update


@contextmanager
def clips_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told the clips done and their total.

    Args:
        title: what is going on.
    """
    with _bar(title, "{task.completed:.0f}/{task.total:.0f} clips") as update:
        yield update


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar that is told the bytes done and their total, if that is known.

    Args:
        title: what is fetched.
    """
    with _bar(title, "{task.completed:,.0f} bytes") as update:
        yield update
