import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from talkingface.core.component import Component, build, load_exactly, part_class, public_path, wired_names
from talkingface.core.errors import ConfigError, WeightsError


class Inner(Component):
    def __init__(self, *, width: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)


class Outer(Component):
    def __init__(
        self, owner: nn.Module, /, inner: Inner, *, sizes: tuple[int, ...] = (1, 2), folder: Path | None = None
    ):
        super().__init__()
        self.owner = [owner]
        self.inner = inner


class Derived(Inner):
    def __init__(self, *, scale: float, width: int = 7) -> None:
        super().__init__(width=width + 1)
        self.scale = nn.Parameter(torch.tensor(scale))


class Inherits(Inner):
    pass


def test_the_configuration_is_the_keyword_arguments_with_defaults():
    assert Inner().config["init_args"] == {"width": 2}
    assert Inner(width=5).config["init_args"] == {"width": 5}


def test_arguments_given_by_position_are_recorded_under_their_names():
    assert Outer(nn.Identity(), Inner()).config["init_args"]["inner"]["init_args"] == {"width": 2}


def test_what_is_wired_in_is_no_configuration():
    assert set(Outer(nn.Identity(), Inner()).config["init_args"]) == {"inner", "sizes", "folder"}
    assert wired_names(Outer) == ("owner",)
    assert wired_names(Inner) == ()


def test_a_subclass_records_its_own_arguments_not_those_it_gives_its_parent():
    assert Derived(scale=0.5).config["init_args"] == {"scale": 0.5, "width": 7}


def test_a_subclass_without_a_constructor_records_too():
    assert Inherits(width=3).config["init_args"] == {"width": 3}


def test_the_configuration_is_plain_json():
    config = Outer(nn.Identity(), Inner(), folder=Path("a/b")).config
    assert json.loads(json.dumps(config)) == config
    assert config["init_args"]["sizes"] == [1, 2]
    assert config["init_args"]["folder"] == "a/b"


def test_a_value_that_is_no_json_is_refused_when_the_configuration_is_read():
    class Odd(Component):
        def __init__(self, *, value: object) -> None:
            super().__init__()

    with pytest.raises(ConfigError, match="plain values"):
        _ = Odd(value=object()).config


def test_the_class_is_named_as_users_import_it():
    assert public_path(_renderer()) == "talkingface.renderers.LIARenderer"


def test_a_class_that_its_package_does_not_export_is_named_in_full():
    assert public_path(Component) == "talkingface.core.component.Component"


@pytest.mark.parametrize("path", ["os.system", "torch.nn.Linear", "builtins.eval", "system", ""])
def test_a_class_outside_talkingface_is_refused(path):
    with pytest.raises(ConfigError, match="refused"):
        build({"class_path": path, "init_args": {}})


@pytest.mark.parametrize("path", ["talkingface.renderers.Nothing", "talkingface.nothing.At", "talkingface..x"])
def test_a_class_that_does_not_exist_is_named(path):
    with pytest.raises(ConfigError, match="there is no"):
        part_class(path)


def test_something_of_ours_that_is_no_part_is_refused():
    with pytest.raises(ConfigError, match="not a part"):
        build({"class_path": "talkingface.core.files.write_text", "init_args": {"path": "x", "text": "y"}})


def test_arguments_that_the_class_does_not_take_are_named():
    with pytest.raises(ConfigError, match="colour"):
        build({"class_path": "talkingface.renderers.LIADiscriminator", "init_args": {"colour": 1}})


def test_a_part_is_built_from_its_configuration(plugin):
    part = _colour(gain=0.25)
    assert build(part.config).config == part.config


def test_saving_and_loading_keeps_every_number(plugin, tmp_path):
    part = _colour(gain=0.25)
    part.gain.data[1] = 0.123456789
    part.save_pretrained(tmp_path)
    again = type(part).from_pretrained(tmp_path)
    assert torch.equal(again.gain, part.gain)
    assert not again.training


def test_a_folder_of_another_part_is_refused(plugin, tmp_path):
    _colour().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="holds a ColourMotion, not a LIARenderer"):
        _renderer().from_pretrained(tmp_path)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="not a saved part"):
        Component.from_pretrained(tmp_path)


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"class_path": ')
    with pytest.raises(WeightsError, match="not valid JSON"):
        Component.from_pretrained(tmp_path)


def test_missing_weights_are_refused_never_random(plugin, tmp_path):
    _colour().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        Component.from_pretrained(tmp_path)


def test_damaged_weights_are_refused(plugin, tmp_path):
    _colour().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        Component.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"linear.weight": torch.zeros(2, 2)}, "missing: linear.bias"),
        ({"linear.weight": torch.zeros(2, 2), "linear.bias": torch.zeros(2), "x": torch.zeros(1)}, "unknown: x"),
        (
            {"linear.weight": torch.zeros(3, 2), "linear.bias": torch.zeros(2)},
            r"of another shape: linear.weight is \(3, 2\) but the model wants \(2, 2\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, tensors, complaint):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=complaint):
        Inner().load_weights(tmp_path / "x.safetensors")


def test_a_long_list_of_tensors_is_cut_with_its_length():
    with pytest.raises(WeightsError, match=r"\(40 in all\)"):
        load_exactly(nn.Linear(1, 1), {**{f"t{i}": torch.zeros(1) for i in range(40)}}, "x")


def test_weights_that_share_memory_are_saved_apart(tmp_path):
    class Tied(Component):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.ones(2, 3))
            self.b = self.a

        def forward(self) -> Tensor:
            return self.a

    Tied().save_pretrained(tmp_path)
    Tied().load_weights(tmp_path / "model.safetensors")


def _colour(**arguments):
    from toy_plugin import ColourMotion

    return ColourMotion(**arguments)


def _renderer():
    from talkingface.renderers import LIARenderer

    return LIARenderer
