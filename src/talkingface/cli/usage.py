"""What the verbs share: wrong usage, parsers with an example, output for people and for programs."""

import argparse
import json
import sys
from typing import Any, TextIO

from talkingface.core.errors import ConfigError


class UsageError(ConfigError):
    """The command line is wrong; the exit code is 2."""


def parser(verb: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with examples.

    Args:
        verb: the command.
        about: one sentence.
        examples: command lines without the program's name.
    """
    return argparse.ArgumentParser(
        prog=f"talkingface {verb}",
        description=about,
        epilog="example:\n" + "\n".join(f"  talkingface {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_json(arguments: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    arguments.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def write(text: str, stream: TextIO | None = None) -> None:
    """Write a line; what the terminal's encoding lacks is escaped."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def write_json(value: Any) -> None:
    """Write JSON for a program."""
    write(json.dumps(value, indent=2))
