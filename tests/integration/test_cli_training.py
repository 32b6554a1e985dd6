"""``fit``, ``validate`` and ``export`` with the toy parts: names, resuming, warm starts, exports."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from talkingface import hub
from talkingface.cli.main import main
from talkingface.cli.recipes import find_config, recipes
from talkingface.cli.short_names import rewritten, written_out
from talkingface.cli.usage import UsageError
from talkingface.core.errors import ConfigError, WeightsError
from talkingface.pipelines.export import export_checkpoint

QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}


@pytest.fixture
def recipe(plugin, tmp_path, monkeypatch) -> Path:
    """A recipe in short names; its folder is the working directory."""
    monkeypatch.chdir(tmp_path)
    config = {
        "seed_everything": 0,
        "model": {"class_path": "toy", "init_args": {"motion_encoder": "colour", "renderer": {"class_path": "tint"}}},
        "data": "toy",
        "trainer": {"max_epochs": 2, **QUIET},
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "toy.yaml"


def fit(*arguments: str) -> int:
    return main(["fit", "-c", "toy.yaml", *arguments])


def checkpoint(folder: str = "runs/toy") -> Path:
    return max(Path(folder).rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)


def saved() -> dict:
    return yaml.safe_load(Path("runs/toy/config.yaml").read_text())


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Ours is the last line on stderr; Lightning's own messages come before it."""
    return capsys.readouterr().err.strip().splitlines()[-1]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_recipe_in_short_names_trains_and_says_where_the_checkpoint_is(recipe, capsys):
    assert fit() == 0
    assert f"talkingface export {checkpoint()}" in capsys.readouterr().out


def test_the_saved_configuration_names_public_paths(recipe):
    assert fit("--model.renderer.size", "16") == 0
    arguments = saved()["model"]["init_args"]
    assert saved()["model"]["class_path"] == "toy_plugin.training.ToyTask"
    assert arguments["motion_encoder"] == {"class_path": "toy_plugin.ColourMotion", "init_args": {"gain": 1.0}}
    assert arguments["renderer"] == {"class_path": "toy_plugin.TintRenderer", "init_args": {"size": 16}}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--model.motion_encoder", "latent", "--model.motion_encoder.size", "64"], "talkingface.motion.LatentMotion"),
        (["--model.init_args.motion_encoder=latent"], "talkingface.motion.LatentMotion"),
        (["--model.motion_encoder", "{class_path: latent, init_args: {dim: 10}}"], "talkingface.motion.LatentMotion"),
    ],
)
def test_a_part_is_swapped_by_one_option(recipe, capsys, arguments, part):
    assert fit(*arguments, "--print_config") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["model"]["init_args"]["motion_encoder"]["class_path"] == part
    assert config["model"]["init_args"]["renderer"]["class_path"] == "toy_plugin.TintRenderer"  # the rest stays


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model.renderer", "tnit"], "there is no renderer 'tnit'; known: tint, lia"),
        (["--model", "reconstructoin"], "known: reconstruction"),
        (["--data=fodler"], "known: folder"),
        (["--model.renderer.siz", "3"], "Option 'siz' is not accepted"),
        (["--model.motion_encoder.gain", "much"], "much"),
        (["--trainer.max_epochs", "many"], "many"),
        (["--ckpt_path", "nothing.ckpt"], "no such file"),
        (["--weights", "m", "--ckpt_path", "last"], "one of them"),
        (["--weights_only", "false"], "weights_only"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(recipe, capsys, arguments, complaint):
    assert fit(*arguments) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert err.strip().count("\n") == 0


def test_an_unknown_name_in_a_recipe_is_wrong_usage(recipe, capsys):
    recipe.write_text(recipe.read_text().replace("tint", "tnit"))
    assert fit() == 2
    assert "known: tint, lia" in capsys.readouterr().err


def test_an_unknown_recipe_lists_the_known_ones(recipe, capsys):
    assert main(["fit", "-c", "anitalker-tniy-stage1"]) == 2
    assert "recipes: anitalker-tiny-stage1" in capsys.readouterr().err


def test_fit_without_a_recipe_asks_for_one(capsys):
    assert main(["fit"]) == 2
    assert "anitalker-tiny-stage1" in capsys.readouterr().err


def test_a_bare_name_finds_the_recipe_from_anywhere(tmp_path, monkeypatch):
    wanted = recipes()["anitalker-tiny-stage1"]
    monkeypatch.chdir(tmp_path)
    assert find_config("anitalker-tiny-stage1") == wanted
    assert find_config("configs/recipes/anitalker-tiny-stage1.yaml") == wanted


def test_a_file_of_ones_own_goes_before_a_recipe_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("anitalker-tiny-stage1").write_text("{}")
    assert find_config("anitalker-tiny-stage1") == Path("anitalker-tiny-stage1")


def test_training_is_the_same_from_the_same_seed(recipe):
    assert fit("--trainer.default_root_dir", "a") == 0
    assert fit("--trainer.default_root_dir", "b") == 0
    assert fit("--trainer.default_root_dir", "c", "--model.loss_weights.l1", "2") == 0
    assert equal(weights(checkpoint("a")), weights(checkpoint("b")))
    assert not equal(weights(checkpoint("a")), weights(checkpoint("c")))  # the control


def test_resuming_from_the_last_checkpoint_equals_not_having_stopped(recipe):
    assert fit("--trainer.max_epochs", "4", "--trainer.default_root_dir", "whole") == 0
    assert fit() == 0
    assert fit("--ckpt_path", "last", "--trainer.max_epochs", "4") == 0
    assert equal(weights(checkpoint("whole")), weights(checkpoint()))


def test_resuming_without_a_checkpoint_is_an_error_not_a_new_run(recipe, capsys):
    assert fit("--ckpt_path", "last") == 1
    assert "no checkpoint under runs/toy" in capsys.readouterr().err


def test_a_checkpoint_is_exported_to_a_model_folder_that_holds_its_weights(recipe, capsys):
    assert fit() == 0
    assert main(["export", str(checkpoint()), "model"]) == 0
    parts = hub.load_model("model")
    assert torch.equal(parts["motion_encoder"].gain, weights(checkpoint())["motion_encoder.gain"])
    assert not torch.equal(parts["motion_encoder"].gain, torch.ones(3))  # the control: it did learn
    assert "ToyTask" in Path("model/README.md").read_text()


def test_averaged_weights_are_exported_where_there_are_any(recipe):
    config = yaml.safe_load(recipe.read_text())
    ema = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.5}}
    config["trainer"]["callbacks"] = [ema]
    recipe.write_text(yaml.safe_dump(config))
    assert fit() == 0
    content = torch.load(checkpoint(), weights_only=True)
    assert main(["export", str(checkpoint()), "model"]) == 0
    gain = hub.load_model("model")["motion_encoder"].gain
    assert torch.equal(gain, content["state_dict"]["motion_encoder.gain"])
    assert not torch.equal(gain, content["current_model_state"]["motion_encoder.gain"])  # the control
    assert "EMA" in Path("model/README.md").read_text()


def test_a_run_starts_warm_from_a_model_folder(recipe):
    assert fit() == 0
    assert main(["export", str(checkpoint()), "model"]) == 0
    assert fit("--weights", "model", "--trainer.max_epochs", "0", "--trainer.default_root_dir", "warm") == 0
    assert main(["validate", "-c", "toy.yaml", "--weights", "model"]) == 0


def test_a_warm_start_from_another_architecture_names_the_tensors(recipe, capsys):
    from talkingface.renderers import LIADiscriminator

    hub.save_model("other", {"renderer": LIADiscriminator(size=64, width=0.125)}, {})
    assert fit("--weights", "other") == 1
    assert "missing: bias; unknown: conv.bias" in last_line(capsys)


def test_resuming_from_another_architecture_names_the_tensors(recipe, capsys):
    assert fit() == 0
    content = torch.load(checkpoint(), weights_only=True)
    content["state_dict"]["renderer.colour"] = content["state_dict"].pop("renderer.bias")
    torch.save(content, "other.ckpt")
    assert fit("--ckpt_path", "other.ckpt", "--trainer.max_epochs", "3") == 1
    line = last_line(capsys)
    assert line.startswith("talkingface: other.ckpt is of another architecture")
    assert "renderer.bias" in line
    assert "renderer.colour" in line


class _RunsCode:
    def __reduce__(self):
        return os.mkdir, ("made-by-attacker",)


def test_a_pickled_checkpoint_that_needs_code_is_refused_and_nothing_runs(recipe, capsys):
    torch.save({"state_dict": {}, "talkingface": _RunsCode()}, "evil.ckpt")
    assert fit("--ckpt_path", "evil.ckpt") == 1
    assert main(["export", "evil.ckpt", "model"]) == 1
    err = capsys.readouterr().err
    assert err.count("posix.mkdir); refused") == 2
    assert not Path("made-by-attacker").exists()
    assert not Path("model").exists()


def test_a_damaged_checkpoint_is_one_clear_line(recipe, capsys):
    assert fit() == 0
    path = checkpoint()
    path.write_bytes(path.read_bytes()[:500])
    assert fit("--ckpt_path", str(path)) == 1
    assert "is damaged" in last_line(capsys)


def test_a_checkpoint_of_somebody_else_is_not_exported(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "x.ckpt")
    with pytest.raises(WeightsError, match="talkingface convert"):
        export_checkpoint(tmp_path / "x.ckpt", tmp_path / "m")


def test_a_checkpoint_that_names_a_foreign_class_is_refused(tmp_path):
    parts = {"renderer": {"class_path": "subprocess.Popen", "init_args": {"args": "true"}}}
    torch.save({"state_dict": {}, "talkingface": {"format": 1, "parts": parts}}, tmp_path / "x.ckpt")
    with pytest.raises(ConfigError, match="refused"):
        export_checkpoint(tmp_path / "x.ckpt", tmp_path / "m")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told(recipe, capsys):
    assert fit("--trainer.accelerator", "gpu") == 1
    assert "--trainer.accelerator cpu" in last_line(capsys)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_is_no_success_and_can_be_resumed(recipe, sent, code):
    command = [sys.executable, "-m", "talkingface", "fit", "-c", "toy.yaml", "--trainer.max_epochs", "1000000"]
    heard = functools.partial(signal.signal, sent, signal.SIG_DFL)  # a background job of a shell ignores Ctrl-C
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=heard, **streams) as running:
        try:
            deadline = time.monotonic() + 120
            while not list(Path("runs").rglob("*.ckpt")) and time.monotonic() < deadline:
                time.sleep(0.2)
            running.send_signal(sent)
            err = running.communicate(timeout=60)[1]
        finally:
            running.kill()
    assert running.returncode == code
    assert "Traceback" not in err
    epoch = torch.load(checkpoint(), weights_only=True)["epoch"]
    assert fit("--ckpt_path", "last", "--trainer.max_epochs", str(epoch + 2)) == 0
    assert torch.load(checkpoint(), weights_only=True)["epoch"] == epoch + 1


def test_two_processes_train_together(recipe):
    """The launcher starts the command line again, in which recipes and short names are written out by then."""
    command = [sys.executable, "-m", "talkingface", "fit", "-c", "toy.yaml", "--trainer.devices", "2"]
    done = subprocess.run([*command, "--trainer.strategy", "ddp"], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("export it:") == 1
    assert "MEMBER: 2/2" in done.stderr


def test_what_is_no_short_name_is_left_alone():
    arguments = ["--model.renderer", "my.package.Renderer", "--model.discriminator", "null", "--trainer.logger", "lia"]
    assert rewritten([*arguments, "--model.renderer.size=64", "--seed_everything", "-1"]) == [
        *arguments,
        "--model.renderer.size=64",
        "--seed_everything",
        "-1",
    ]


def test_short_names_are_written_out_only_where_parts_are_expected():
    config = {"model": {"class_path": "reconstruction", "init_args": {"discriminator": None, "loss": {"lia": 1}}}}
    config["trainer"] = {"renderer": "lia"}
    result = written_out(config)
    assert result["model"]["class_path"] == "talkingface.tasks.Reconstruction"
    assert result["model"]["init_args"] == {"discriminator": None, "loss": {"lia": 1}}
    assert result["trainer"] == {"renderer": "lia"}
    assert written_out(result) == result


def test_yaml_on_the_command_line_that_is_crooked_is_wrong_usage():
    with pytest.raises(UsageError, match="not valid YAML"):
        rewritten(["--model.renderer", "{class_path: [lia"])


def test_the_checkpoint_holds_plain_data_only(recipe):
    assert fit() == 0
    about = torch.load(checkpoint(), weights_only=True)["talkingface"]
    assert json.loads(json.dumps(about)) == about


def test_a_recipe_that_needs_a_network_stops_with_the_command_that_gets_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "-c", "lia", "--trainer.accelerator", "cpu", "--trainer.devices", "1"]) == 1
    assert "talkingface doctor --fetch vgg19" in last_line(capsys)
