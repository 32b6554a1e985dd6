"""``fit``, ``validate``, ``test``, ``predict``: help and checks that need no Lightning, then over to it."""

import itertools
from pathlib import Path

from talkingface.cli import usage
from talkingface.cli.recipes import recipes
from talkingface.cli.short_names import rewritten
from talkingface.cli.usage import UsageError

VERBS = {
    "fit": (
        "Train a recipe; checkpoints and logs go to runs/RECIPE.",
        "fit -c anitalker-tiny-stage1 --model.renderer lia --trainer.max_epochs 2",
        "fit -c anitalker-tiny-stage1 --ckpt_path last          (resume)",
        "fit -c anitalker-tiny-stage1 --weights DIR             (start from a model folder)",
    ),
    "validate": ("Judge a checkpoint on the validation set.", "validate -c anitalker-tiny-stage1 --ckpt_path last"),
    "test": ("Judge a checkpoint on the test set.", "test -c anitalker-tiny-stage1 --weights DIR"),
    "predict": ("Render the frames of a data set.", "predict -c anitalker-tiny-stage1 --ckpt_path last"),
}
OPTIONS = {
    "-c NAME|FILE": "recipe of 'talkingface list', or YAML; several are laid over each other (also --config)",
    "--weights DIR|NAME": "start from a model folder, or owner/name on the Hub",
    "--ckpt_path FILE|last": "checkpoint to resume or to judge",
    "--seed_everything N": "seed of everything that is drawn",
    "--model.ARG VALUE": "argument of the task; a part by its short name, a part's by --model.PART.ARG",
    "--data.ARG VALUE": "argument of the data module",
    "--trainer.ARG VALUE": "argument of lightning.Trainer",
    "--print_config": "print the whole configuration, with every argument there is, and stop",
}


def run(verb: str, arguments: list[str]) -> int:
    """Run a verb of the trainer."""
    if "-h" in arguments or "--help" in arguments:
        return _help(verb)
    if not arguments:
        raise UsageError(f"give a recipe: talkingface {verb} -c NAME with NAME of: {', '.join(recipes())}.")
    arguments = rewritten(arguments)
    checkpoint = _checked(arguments)

    from talkingface.cli.trainer import train

    train([verb, *arguments], run_folder(arguments), checkpoint)
    return 0


def cache_features(arguments: list[str]) -> None:
    """Make what training by a recipe reads from the cache, ahead of it.

    Args:
        arguments: as those of ``fit``, behind the verb.
    """
    if not arguments:
        raise UsageError("give the recipe that will be trained: talkingface prepare --features -c NAME [option …].")
    arguments = rewritten(arguments)
    if any(argument.partition("=")[0] == "--ckpt_path" for argument in arguments):
        raise UsageError("--features caches by what is frozen, which no checkpoint changes; leave --ckpt_path out.")

    from talkingface.cli.trainer import cache

    cache(arguments, run_folder(arguments))


def run_folder(arguments: list[str]) -> Path:
    """Where a run logs unless its configuration says otherwise.

    >>> run_folder(["-c", "configs/recipes/lia.yaml"]).as_posix()
    'runs/lia'
    """
    for option, value in itertools.pairwise([part for argument in arguments for part in argument.split("=", 1)]):
        if option in ("-c", "--config"):
            return Path("runs") / Path(value).stem
    return Path("runs") / "unnamed"


def _help(verb: str) -> int:
    about, *examples = VERBS[verb]
    parser = usage.parser(verb, about, *examples)
    parser.usage = f"talkingface {verb} -c NAME [option …]"
    width = max(map(len, OPTIONS))
    rows = "\n".join(f"  {option:{width}}  {text}" for option, text in OPTIONS.items())
    parser.description = f"{about}\n\n{rows}"
    usage.write(parser.format_help())
    return 0


def _checked(arguments: list[str]) -> str | None:
    """Refuse what Lightning would stumble over late; gives the checkpoint's path."""
    options = dict(zip(arguments, [*arguments[1:], ""], strict=True))
    options |= {a.partition("=")[0]: a.partition("=")[2] for a in arguments if "=" in a}
    checkpoint = options.get("--ckpt_path")
    if "--weights" in options and checkpoint:
        raise UsageError("--weights starts a new run and --ckpt_path resumes one; give one of them.")
    if options.get("--weights_only", "true").lower() != "true":
        raise UsageError("checkpoints are only ever read with weights_only; leave --weights_only out.")
    if checkpoint and checkpoint not in ("last", "best", "hpc", "null") and not Path(checkpoint).is_file():
        raise UsageError(f"--ckpt_path {checkpoint}: there is no such file.")
    return checkpoint
