import argparse
import os
import pickle
import random

import pytest
import torch
from safetensors.torch import save_file

from talkingface.core.errors import WeightsError
from talkingface.core.tensors import flatten_tensors, read_tensors

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


class RunsCode:
    """Unpickling it makes a file, as an attacker would run a program."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def tensors():
    return {"a.weight": torch.rand(3, 4), "b": torch.arange(5)}


def test_safetensors_are_read(tmp_path, tensors):
    save_file(tensors, tmp_path / "x.safetensors")
    assert all(torch.equal(value, tensors[name]) for name, value in read_tensors(tmp_path / "x.safetensors").items())


@pytest.mark.parametrize("new", [True, False])
def test_a_pytorch_file_is_read_as_it_was_saved(tmp_path, tensors, new):
    torch.save({"gen": tensors, "epoch": 3}, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    content = read_tensors(tmp_path / "x.pt")
    assert content["epoch"] == 3
    assert torch.equal(content["gen"]["a.weight"], tensors["a.weight"])


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_needs_code_is_refused_and_nothing_runs(tmp_path, tensors, new):
    target = tmp_path / "made-by-attacker"
    torch.save({**tensors, "x": RunsCode(str(target))}, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"needs code to be read \(posix.mkdir\); refused"):
        read_tensors(tmp_path / "x.pt")
    assert not target.exists()
    torch.load(tmp_path / "x.pt", weights_only=False)  # the control: unpickling would have run it
    assert target.exists()


def test_a_plain_pickle_is_refused_and_nothing_runs(tmp_path):
    target = tmp_path / "made-by-attacker"
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"x": RunsCode(str(target))}))
    with pytest.raises(WeightsError, match="refused"):
        read_tensors(tmp_path / "x.pt")
    assert not target.exists()


def test_the_class_that_a_pickle_wants_is_named(tmp_path):
    torch.save({"args": argparse.Namespace(size=256)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"argparse\.Namespace"):
        read_tensors(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "empty"), (b"hello", "not a PyTorch"), (b"PK\x03\x04x", "damaged")]
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, content, complaint):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=complaint):
        read_tensors(tmp_path / "x.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        read_tensors(tmp_path / "x.pt")


def test_a_file_that_holds_a_list_is_refused(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="holds a list"):
        read_tensors(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt"])
def test_a_truncated_file_is_refused(tmp_path, tensors, name):
    path = tmp_path / name
    torch.save(tensors, path) if name == "x.pt" else save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError):
        read_tensors(path)


def test_any_damage_gives_our_error_or_is_harmless(tmp_path, tensors):
    """The old format has no checksum: altered bytes reach the unpickler."""
    path = tmp_path / "x.pt"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    whole, draw = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(min(400, len(damaged)))] = draw.randrange(256)
        path.write_bytes(bytes(damaged))
        try:
            read_tensors(path)
        except WeightsError:
            refused += 1
    assert refused > 50


def test_nested_tensors_get_dotted_names(tensors):
    flat = flatten_tensors({"gen": {"net": tensors, "step": 5}, "b": torch.zeros(1)})
    assert set(flat) == {"gen.net.a.weight", "gen.net.b", "b"}
