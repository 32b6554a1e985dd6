"""Entry point: finds the verb, hands over, and turns errors into one line and an exit code."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from talkingface._version import __version__
from talkingface.cli.usage import UsageError, write
from talkingface.core.errors import TalkingFaceError, did_you_mean

DONE, FAILED, MISUSED, STOPPED = 0, 1, 2, 130

# verb → (module with ``run(verb, arguments) -> int``, what it does)
VERBS = {
    "fit": ("talkingface.cli.training", "train a recipe"),
    "validate": ("talkingface.cli.training", "judge a checkpoint on the validation set"),
    "test": ("talkingface.cli.training", "judge a checkpoint on the test set"),
    "predict": ("talkingface.cli.training", "render the frames of a data set"),
    "animate": ("talkingface.cli.animate", "portrait + driving video → video"),
    "stream": ("talkingface.cli.stream", "portrait + speech as it is spoken → pictures"),
    "bench": ("talkingface.cli.bench", "variants of a recipe × seeds → one table"),
    "evaluate": ("talkingface.cli.evaluate", "score clips beside their targets and controls"),
    "prepare": ("talkingface.cli.prepare", "raw videos → training set"),
    "pack": ("talkingface.cli.pack", "training set → tar files to read in a row"),
    "convert": ("talkingface.cli.convert", "a published checkpoint → model folder"),
    "export": ("talkingface.cli.export", "a training checkpoint → model folder"),
    "list": ("talkingface.cli.parts", "parts, recipes and networks"),
    "show": ("talkingface.cli.parts", "one part, recipe, network or model folder"),
    "doctor": ("talkingface.cli.doctor", "check this machine; fetch networks of others"),
    "demo": ("talkingface.cli.demo", "data, training, evaluation and animation on one page"),
}

EPILOG = """examples:
  talkingface list
  talkingface fit -c anitalker-tiny-stage1
  talkingface animate --source face.jpg --driving clip.mp4 --model DIR -o out.mp4
  talkingface VERB --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; by default those of the process.

    Returns:
        0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _dispatch(arguments)
    except SystemExit as exit_:  # argparse, and Lightning after Ctrl-C
        if isinstance(exit_.__context__, KeyboardInterrupt):
            return STOPPED
        return exit_.code if isinstance(exit_.code, int) else DONE if exit_.code is None else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("talkingface: stopped.\n")
        return STOPPED
    except TalkingFaceError as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"talkingface: {' '.join(str(error).split())}\n")
        return MISUSED if isinstance(error, UsageError) else FAILED


def _dispatch(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        verb = arguments[0]
        if verb not in VERBS:
            raise UsageError(f"there is no command '{verb}'; known: {did_you_mean(verb, VERBS)}.")
        code: int = import_module(VERBS[verb][0]).run(verb, arguments[1:])
        return code
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {about}" for verb, (_, about) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="talkingface",
        usage="talkingface [--help] [--version] [--debug] VERB …",
        description=f"A model zoo for talking faces.\n\nverbs:\n{verbs}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"talkingface {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (with any verb)")
    parser.parse_args(arguments)
    write(parser.format_help(), sys.stderr)
    return MISUSED
