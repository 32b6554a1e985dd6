"""``fit``, ``validate``, ``test``, ``predict``: LightningCLI over the recipes, kept thin."""

import itertools
import pickle
import sys
from pathlib import Path
from typing import NoReturn

import jsonargparse
import lightning as L
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from talkingface import hub
from talkingface.cli.short_names import rewritten, written_out
from talkingface.cli.usage import UsageError, write
from talkingface.core.component import WEIGHTS_NAME, Component
from talkingface.core.errors import TalkingFaceError, WeightsError
from talkingface.core.tensors import read_tensors

EXAMPLES = {
    "fit": "talkingface fit -c anitalker-tiny --model.renderer lia --trainer.max_epochs 2\n"
    "  talkingface fit -c anitalker-tiny --ckpt_path last      (resume)\n"
    "  talkingface fit -c anitalker-tiny --weights DIR         (start from a model folder)",
    "validate": "talkingface validate -c anitalker-tiny --ckpt_path last",
    "test": "talkingface test -c anitalker-tiny --weights DIR",
    "predict": "talkingface predict -c anitalker-tiny --ckpt_path last",
}
# parts of jsonargparse's messages that say nothing to a user
NOISE = ("Does not validate against any of the Union", "Subtypes:", "Errors:", "Given value", "- Expected a <class")


class Parser(LightningArgumentParser):
    """Reports wrong usage as one line instead of after two pages of options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise :class:`UsageError`; parsers inside the parser, which try alternatives, keep their own error."""
        if not self.exit_on_error:
            super().error(message, ex)
        if isinstance(ex, UsageError):
            raise ex
        lines = [line.strip().lstrip("- ") for line in message.splitlines() if not line.strip().startswith(NOISE)]
        raise UsageError(f"{' '.join(lines)} See 'talkingface show' for a part's arguments.") from ex


class TrainingCLI(LightningCLI):
    """LightningCLI that knows short names, model folders and where it left off."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--weights``."""
        parser.add_argument(
            "--weights", type=str | None, default=None, help="Model folder (or owner/name on the Hub) to start from."
        )

    def after_instantiate_classes(self) -> None:
        """Load ``--weights``, find the last checkpoint, and see to it that nothing is unpickled."""
        options = self.config_init[self.subcommand]
        if options["weights"] is not None:
            load_weights(self.model, options["weights"])
        if options["ckpt_path"] == "last":
            options["ckpt_path"] = str(last_checkpoint(self.trainer))
        options["weights_only"] = True


def run(verb: str, arguments: list[str]) -> int:
    """Run a verb of the trainer."""
    arguments = [verb, *rewritten(arguments)]
    checkpoint = _check(arguments)
    loader = jsonargparse.get_loader("yaml")
    jsonargparse.set_loader("yaml", lambda text: written_out(loader(text)), (yaml.YAMLError,))
    argv = sys.argv
    sys.argv = [argv[0], *arguments]  # not an argument: the launcher of a distributed run starts sys.argv again
    try:
        cli = TrainingCLI(
            L.LightningModule,
            L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,  # tasks have their own
            load_from_checkpoint_support=False,  # checkpoints hold no pickled hyper-parameters
            save_config_kwargs={"overwrite": True},  # a resumed run writes its configuration again
            trainer_defaults={"default_root_dir": str(run_folder(arguments))},
            parser_class=Parser,
            parser_kwargs={name: {"epilog": f"example:\n  {text}"} for name, text in EXAMPLES.items()},
        )
    except pickle.UnpicklingError as error:
        _explain(checkpoint, error)
    except RuntimeError as error:
        if isinstance(error, TalkingFaceError):
            raise
        _explain(checkpoint, error)
    except MisconfigurationException as error:
        raise TalkingFaceError(str(error)) from error
    finally:
        sys.argv = argv
        jsonargparse.set_loader("yaml", loader, (yaml.YAMLError,))
    best = getattr(cli.trainer.checkpoint_callback, "best_model_path", "")
    if verb == "fit" and best and cli.trainer.is_global_zero:
        write(f"checkpoint: {best}\nexport it:  talkingface export {best} DIR")
    return 0


def run_folder(arguments: list[str]) -> Path:
    """Where a run logs unless its configuration says otherwise: ``runs/<name of the first configuration>``."""
    for option, value in itertools.pairwise(arguments):
        if option in ("-c", "--config"):
            return Path("runs") / Path(value).stem
    return Path("runs") / "unnamed"


def load_weights(task: L.LightningModule, model: str) -> None:
    """Fill a task's parts from a model folder; parts that the folder lacks stay as they are.

    Args:
        task: owner of the parts.
        model: folder, or repository on the Hub.

    Raises:
        WeightsError: when the model does not fit, tensor by tensor, or has no part of this task.
    """
    folder = hub.find_model(model)
    index = hub.read_index(folder)
    parts = {name: getattr(task, name, None) for name in index.parts}
    fitting = {name: part for name, part in parts.items() if isinstance(part, Component)}
    if not fitting:
        raise WeightsError(f"{model} has the parts {', '.join(parts)}, and {type(task).__name__} none of them.")
    for name, part in fitting.items():
        part.load_weights(folder / name / WEIGHTS_NAME)


def last_checkpoint(trainer: L.Trainer) -> Path:
    """The newest checkpoint of a run, to resume from.

    Lightning itself looks only into the folder of the present run, finds nothing there after a restart, and starts
    from scratch without an error.

    Raises:
        WeightsError: when there is none.
    """
    folders = [Path(trainer.default_root_dir)]
    folders += [Path(path) for c in trainer.checkpoint_callbacks if (path := getattr(c, "dirpath", None))]
    folders += [Path(logger.save_dir) for logger in trainer.loggers if logger.save_dir]
    found = {path for folder in folders for path in folder.rglob("*.ckpt")}
    if not found:
        raise WeightsError(f"there is no checkpoint under {folders[0]} to go on from; leave --ckpt_path out to begin.")
    return max(found, key=lambda path: path.stat().st_mtime)


def _check(arguments: list[str]) -> str | None:
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


def _explain(checkpoint: str | None, error: Exception) -> NoReturn:
    """Turn what torch says about a checkpoint into one line; any other error is raised as it is."""
    if checkpoint and Path(checkpoint).is_file():
        read_tensors(checkpoint)  # raises where the file is damaged or needs code
    if str(error).startswith("Error(s) in loading state_dict"):
        raise WeightsError(f"{checkpoint} is of another architecture. {error}") from error
    raise error
