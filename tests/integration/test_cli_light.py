"""The verbs that read and show: help, list, show, doctor, and what every verb does with errors."""

import json
import subprocess
import sys

import pytest

from talkingface import hub, weights
from talkingface.cli.main import VERBS, main
from talkingface.cli.recipes import recipes
from talkingface.cli.static import read_class


def answer(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_help_names_every_verb_with_an_example(capsys):
    code, out, _ = answer(capsys, "--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)
    assert "talkingface animate --source" in out


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example(capsys, verb):
    code, out, _ = answer(capsys, verb, "--help")
    assert code == 0
    assert f"example:\n  talkingface {verb}" in out


def test_the_version_is_that_of_the_package(capsys):
    import talkingface

    assert answer(capsys, "--version")[1].split() == ["talkingface", talkingface.__version__]


def test_no_verb_is_wrong_usage(capsys):
    code, out, err = answer(capsys)
    assert (code, out) == (2, "")
    assert "usage" in err


def test_an_unknown_verb_lists_the_known_ones_nearest_first(capsys):
    code, _, err = answer(capsys, "animat")
    assert code == 2
    assert err.startswith("talkingface: there is no command 'animat'; known: animate, ")


@pytest.mark.parametrize("arguments", [["animate"], ["convert", "lia"], ["show"], ["list", "--jsn"], ["--nothing"]])
def test_a_wrong_command_line_is_wrong_usage(capsys, arguments):
    assert answer(capsys, *arguments)[0] == 2


def test_an_error_is_one_line_without_a_traceback(capsys):
    code, out, err = answer(capsys, "export", "nothing.ckpt", "out")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("talkingface: nothing.ckpt does not exist")


def test_debug_shows_the_traceback(capsys):
    code, _, err = answer(capsys, "--debug", "export", "nothing.ckpt", "out")
    assert code == 1
    assert "Traceback" in err
    assert answer(capsys, "export", "nothing.ckpt", "out", "--debug")[2].count("Traceback") >= 1


def test_ctrl_c_is_exit_code_130(capsys, monkeypatch):
    def stop(verb: str, arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("talkingface.cli.parts.run", stop)
    code, _, err = answer(capsys, "list")
    assert (code, err) == (130, "talkingface: stopped.\n")


def test_a_bug_is_not_hidden(monkeypatch):
    def bug(verb: str, arguments: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("talkingface.cli.parts.run", bug)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_python_dash_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "talkingface", "animat"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "animate" in done.stderr


def test_list_names_parts_recipes_and_networks(capsys):
    out = answer(capsys, "list")[1]
    assert all(
        word in out for word in ("renderer", "lia", "reconstruction", "synthetic", "vgg19", "anitalker-tiny-stage1")
    )


def test_list_as_json_is_complete(capsys):
    listed = json.loads(answer(capsys, "list", "--json")[1])
    assert ("renderer", "lia") in {(part["kind"], part["name"]) for part in listed["parts"]}
    assert {network["name"] for network in listed["networks"]} == set(weights.manifest())
    assert {recipe["name"] for recipe in listed["recipes"]} == set(recipes())


def test_a_broken_plugin_does_not_break_list(capsys, plugin):
    code, out, _ = answer(capsys, "list")
    assert code == 0
    assert "tint" in out
    assert "package_that_is_not_there" in out


def test_a_name_with_several_meanings_shows_them_all(capsys):
    found = json.loads(answer(capsys, "show", "lia", "--json")[1])["found"]
    assert {("part", "renderer"), ("part", "discriminator")} <= {(item["type"], item.get("kind")) for item in found}


def test_a_part_shows_its_arguments_and_what_is_wired_in(capsys):
    found = json.loads(answer(capsys, "show", "renderer.lia", "--json")[1])["found"]
    assert len(found) == 1
    arguments = {argument["name"]: argument for argument in found[0]["arguments"]}
    assert arguments["motion_encoder"]["wired"]
    assert (arguments["size"]["type"], arguments["size"]["default"]) == ("int", "256")
    assert "arguments:" in answer(capsys, "show", "renderer.lia")[1]


def test_a_metric_shows_its_convention_and_what_it_inherits(capsys):
    text = answer(capsys, "show", "metric.ssim")[1]
    assert "convention: ssim/wang2004: RGB uint8" in text
    assert "higher_is_better: True" in text
    assert "needs: ('video', 'target')" in text  # of its parent


def test_a_recipe_shows_its_yaml(capsys):
    assert "class_path" in answer(capsys, "show", "anitalker-tiny-stage1")[1]


def test_a_network_shows_its_licence(capsys):
    assert "BSD-3-Clause" in answer(capsys, "show", "vgg19")[1]


def test_a_model_folder_shows_its_parts(capsys, plugin, tmp_path):
    from toy_plugin import ColourMotion

    hub.save_model(tmp_path / "m", {"motion_encoder": ColourMotion(gain=0.5)}, {})
    found = json.loads(answer(capsys, "show", str(tmp_path / "m"), "--json")[1])["found"]
    assert found[0]["parts"]["motion_encoder"]["init_args"] == {"gain": 0.5}


def test_an_unknown_name_lists_the_nearest_first(capsys):
    code, _, err = answer(capsys, "show", "vgg91")
    assert code == 2
    assert "known: vgg1" in err


def test_what_the_source_says_is_what_python_says():
    import inspect

    from talkingface import registry

    for part in registry.parts():
        text = read_class(part.target)
        assert text is not None, part
        real = list(inspect.signature(registry.load(part.kind, part.name)).parameters.values())
        named = [p.name for p in real if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        assert [argument.name for argument in text.arguments] == named, part
        assert [a.wired for a in text.arguments] == [p.kind is p.POSITIONAL_ONLY for p in real if p.name in named]


def test_a_class_without_source_is_shown_without_arguments():
    assert read_class("sys:flags") is None
    assert read_class("package_that_is_not_there:X") is None


def test_doctor_names_what_is_missing_and_how_to_get_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    code, out, _ = answer(capsys, "doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert "doctor --fetch vgg19" in report["networks of others"]["vgg19"]
    assert report["packages"]["torch"][0].isdigit()
    assert report["parts that cannot be used"] == {}


def test_doctor_finds_a_network_that_is_there(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    (tmp_path / "vgg19.safetensors").write_bytes(b"x")
    assert str(tmp_path / "vgg19.safetensors") in answer(capsys, "doctor")[1]


def test_doctor_fetch_of_an_unknown_network_lists_the_known(capsys):
    code, _, err = answer(capsys, "doctor", "--fetch", "vgg20")
    assert code == 1
    assert "known: vgg" in err


def test_a_checkpoint_that_cannot_be_converted_is_one_line_and_no_folder(capsys, tmp_path):
    import torch

    torch.save({"gen": {"a": torch.zeros(1)}}, tmp_path / "x.pt")
    code, _, err = answer(capsys, "convert", "lia", str(tmp_path / "x.pt"), str(tmp_path / "m"))
    assert code == 1
    assert "x.pt" in err
    code, _, err = answer(capsys, "convert", "lai", str(tmp_path / "x.pt"), str(tmp_path / "m"))
    assert code == 1
    assert "lia" in err
    assert not (tmp_path / "m").exists()
