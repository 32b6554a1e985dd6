"""LightningCLI as this project uses it: short names, model folders, one-line errors; imports Lightning."""

import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
import lightning as L
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException

from talkingface import hub
from talkingface.cli.short_names import written_out
from talkingface.cli.usage import UsageError, write
from talkingface.core.component import WEIGHTS_NAME, Component
from talkingface.core.errors import TalkingFaceError, WeightsError
from talkingface.core.tensors import read_tensors
from talkingface.tasks import Adam

TERMINATED = 143  # exit code of a process that ended on SIGTERM

KINDS = (L.LightningModule, L.LightningDataModule)  # what --model and --data choose from

# parts of jsonargparse's messages that say nothing to a user
NOISE = ("Does not validate against any of the Union", "Subtypes:", "Errors:", "- Expected a <class 'NoneType'>")
CALLABLE = re.compile(r"Type collections\.abc\.Callable\[.*?\] expects a function or a callable class: ")


class Parser(LightningArgumentParser):
    """Reports wrong usage as one line instead of after two pages of options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise :class:`UsageError`; parsers inside the parser, which try alternatives, keep their own error."""
        if not self.exit_on_error:
            super().error(message, ex)
        if isinstance(ex, UsageError):
            raise ex
        lines = [line.strip().lstrip("- ") for line in message.splitlines() if not line.strip().startswith(NOISE)]
        lines = [line for line in lines if not re.match(r"Given value( type|: NestedArg|: \{)", line)]
        text = CALLABLE.sub("", " ".join(lines)).partition(" Got value:")[0].rstrip(".")
        given = re.search(r"NestedArg\(key='(.*?)', val='(.*?)'\)", message)
        got = f"; got '{given[2]}' for {given[1]}" if given else ""
        raise UsageError(f"{text}{got}. See 'talkingface show NAME' for a part's arguments.") from ex


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


class CachingCLI(TrainingCLI):
    """The same parts, data and trainer, of which only what training reads from the cache is made."""

    def after_instantiate_classes(self) -> None:
        """Load ``--weights``, and cache."""
        if self.config_init["weights"] is not None:
            load_weights(self.model, self.config_init["weights"])
        self.trainer.strategy.connect(self.model)  # data modules ask the trainer for the task and its device
        self.datamodule.trainer = self.trainer
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")  # finds what was made, and says so


def train(arguments: list[str], run_folder: Path, checkpoint: str | None) -> None:
    """Run a verb of the trainer.

    Args:
        arguments: the verb and its options, recipes and short names written out.
        run_folder: where the run logs unless its configuration says otherwise.
        checkpoint: value of ``--ckpt_path``, for messages.

    Raises:
        UsageError: for options that jsonargparse refuses.
        TalkingFaceError: for whatever else the user can mend.
    """
    with _command_line(arguments, checkpoint):
        cli = TrainingCLI(*KINDS, **_options(run_folder))
    best = getattr(cli.trainer.checkpoint_callback, "best_model_path", "")
    if arguments[0] == "fit" and best and cli.trainer.is_global_zero:
        write(f"checkpoint: {best}\nexport it:  talkingface export {best} DIR")


def cache(arguments: list[str], run_folder: Path) -> None:
    """Make what a run of the trainer would read from the cache, and no more: tracks, speech features, labels.

    Args:
        arguments: options, recipes and short names written out.
        run_folder: as for :func:`train`; nothing is written there.

    Raises:
        UsageError: for options that jsonargparse refuses.
        TalkingFaceError: for whatever else the user can mend.
    """
    with _command_line(arguments, None):
        CachingCLI(*KINDS, **_options(run_folder), run=False, save_config_callback=None)


def _options(run_folder: Path) -> dict[str, Any]:
    return {
        "subclass_mode_model": True,
        "subclass_mode_data": True,
        "auto_configure_optimizers": False,  # tasks have their own
        "load_from_checkpoint_support": False,  # checkpoints hold no pickled hyper-parameters
        "save_config_kwargs": {"overwrite": True},  # a resumed run writes its configuration again
        "trainer_defaults": {"default_root_dir": str(run_folder)},
        "parser_class": Parser,
    }


@contextmanager
def _command_line(arguments: list[str], checkpoint: str | None) -> Iterator[None]:
    """Let jsonargparse read these arguments and short names, and turn what goes wrong into one line."""
    jsonargparse.set_parsing_settings(subclasses_enabled=[Adam])  # Muon may take its place
    loader = jsonargparse.get_loader("yaml")
    jsonargparse.set_loader("yaml", lambda text: written_out(loader(text)), (yaml.YAMLError,))
    argv = sys.argv
    sys.argv = [argv[0], *arguments]  # not an argument: the launcher of a distributed run starts sys.argv again
    try:
        yield
    except (pickle.UnpicklingError, RuntimeError, ValueError) as error:
        ours = _first_of_ours(error)
        if ours is not None:
            raise ours from error
        _explain(checkpoint, error)
    except SIGTERMException:  # a SystemExit without a code, which a scheduler would take for success
        sys.exit(TERMINATED)
    except MisconfigurationException as error:
        mend = " Use --trainer.accelerator cpu or auto." if "gpu" in str(error) else ""
        raise TalkingFaceError(f"{error}{mend}") from error
    finally:
        sys.argv = argv
        jsonargparse.set_loader("yaml", loader, (yaml.YAMLError,))


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


def _first_of_ours(error: BaseException | None) -> TalkingFaceError | None:
    """What a part said when it was built; jsonargparse wraps it in lists of everything that it tried."""
    while error is not None and not isinstance(error, TalkingFaceError):
        error = error.__cause__ or error.__context__
    return error


def _explain(checkpoint: str | None, error: Exception) -> NoReturn:
    """Turn what torch says about a checkpoint into one line; any other error is raised as it is."""
    if checkpoint and Path(checkpoint).is_file():
        read_tensors(checkpoint)  # raises where the file is damaged or needs code
    if str(error).startswith("Error(s) in loading state_dict"):
        raise WeightsError(f"{checkpoint} is of another architecture. {error}") from error
    raise error
