"""Harness of the parity tests: oracle numbers, and the rule that makes weights and inputs from hashes of names.

Numbers come from the folder named by ``TALKINGFACE_REFERENCE`` (default: ``../shared/reference``), or, where that has
none, from the small copies beside this file. A file ``salt.txt`` in the folder goes in front of every hashed string, so
that the same tests run against a second set of numbers.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

SHIPPED = Path(__file__).parent / "data"
DEFAULT = Path(__file__).parents[3] / "shared" / "reference"
REFERENCE = Path(os.environ.get("TALKINGFACE_REFERENCE", DEFAULT))
FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
IMAGE_TOLERANCE = {"mean": 1e-5, "max": 1e-3}
CODE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Oracle:
    """Published outputs of one model, and what made them.

    Args:
        numbers: name → array.
        folder: where keys and further files lie.
        salt: in front of every hashed string.
    """

    numbers: dict[str, NDArray[np.float32]]
    folder: Path
    salt: str

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.numbers[name])

    def json(self, name: str) -> Any:
        """A JSON file that lies with the numbers, or with the keys; the test skips where it is absent."""
        for path in (self.folder / "oracles" / name, self.folder / name):
            if path.is_file():
                return json.loads(path.read_text(encoding="utf-8"))
        pytest.skip(f"no {name} in {self.folder}")

    def random(self, key: str) -> np.random.Generator:
        seed = int.from_bytes(hashlib.sha256((self.salt + key).encode()).digest()[:8], "little")
        return np.random.Generator(np.random.PCG64(seed))

    def image(self, name: str, size: int = 256) -> Tensor:
        """Input picture: coarse blocks and fine noise, ``(1, 3, size, size)``."""
        random = self.random(f"input/{name}")
        blocks, noise = random.standard_normal((3, 16, 16)), random.standard_normal((3, size, size))
        coarse = blocks.repeat(size // 16, axis=1).repeat(size // 16, axis=2)
        return torch.from_numpy(np.clip(0.45 * coarse + 0.05 * noise, -1, 1).astype(np.float32))[None]

    def tensor(self, name: str, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
        """Input tensor: scaled normal draws."""
        return torch.from_numpy((scale * self.random(f"input/{name}").standard_normal(shape)).astype(np.float32))

    def equalised(self, keys: str) -> dict[str, Tensor]:
        """Weights of a network with equalised learning rate (rule ``eq``) under its published names."""
        return {name: self._weight(name, tuple(shape)) for name, shape in self.json(keys).items()}

    def stage2(self, keys: str) -> dict[str, Tensor]:
        """A checkpoint of AniTalker's stage 2 (rule ``plain``) as it is published.

        The weights of the last step, which nobody should read, are twice their averages.
        """
        shapes = {name: tuple(shape) for name, shape in self.json(keys).items()}
        start = "ema_model."
        averages = {name: self._plain(name.removeprefix(start), shapes[name]) for name in shapes if start in name}
        last = {name.removeprefix("ema_"): 2 * tensor for name, tensor in averages.items()}
        return {"x_T": torch.zeros(shapes["x_T"]), **last, **averages}

    def _plain(self, name: str, shape: tuple[int, ...]) -> Tensor:
        parent, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            return torch.zeros(shape, dtype=torch.int64)
        draws = self.random(name).standard_normal(shape)
        if last == "running_var":
            draws = 1 + 0.2 * abs(draws)
        elif last == "running_mean" or "bias" in last:
            draws = 0.1 * draws
        elif parent.rpartition(".")[2].startswith("norm") and last == "weight":
            draws = 1 + 0.1 * draws
        elif name == "t_encoder.0.weight":
            draws = 0.001 * draws
        elif name != "weights":
            draws = draws / np.sqrt(np.prod(shape[1:]))
        return torch.from_numpy(np.ascontiguousarray(draws, dtype=np.float32))

    def _weight(self, name: str, shape: tuple[int, ...]) -> Tensor:
        path = name.split(".")
        last, parent = path[-1], path[-2]
        if last == "kernel":  # as the published constructor leaves it: gain 4 where it follows zero insertion
            return 4 * FILTER if parent in ("blur", "upsample") else FILTER
        draws = self.random(name).standard_normal(shape)
        if "net_decouping" in path:
            draws = 0.1 * draws if last == "bias" else draws / np.sqrt(np.prod(shape[1:]))
        elif parent == "modulation" and last == "bias":
            draws = 1 + 0.1 * draws
        elif last == "bias" or parent == "noise" or ("to_flows" in path and name.endswith(".conv.weight")):
            draws = 0.1 * draws
        return torch.from_numpy(np.ascontiguousarray(draws, dtype=np.float32))


@pytest.fixture(scope="session")
def oracle() -> Callable[[str, str], Oracle]:
    """Finds an oracle: the reference's, else the shipped copy, else the test skips."""

    def find(section: str, name: str) -> Oracle:
        whole = REFERENCE / section / "oracles" / f"{name}.npz"
        shipped = SHIPPED / f"{name}.npz"
        path = whole if whole.is_file() else shipped
        if not path.is_file():
            pytest.skip(f"no {name}.npz in {whole.parent}; set TALKINGFACE_REFERENCE to the reference folder")
        salt = REFERENCE / "salt.txt"
        salted = path is whole and salt.is_file()
        with np.load(path, allow_pickle=False) as arrays:
            numbers = {key: arrays[key] for key in arrays.files}
        folder = REFERENCE / section if path is whole else SHIPPED
        return Oracle(numbers, folder, salt.read_text(encoding="utf-8").strip() if salted else "")

    return find


@dataclass
class Measured:
    """Compares with the oracle inside the published tolerances, and remembers the largest differences."""

    record: Callable[[str, object], None]

    def image(self, ours: Tensor, theirs: Tensor) -> None:
        """Mean absolute difference below 1e-5 and largest below 1e-3; shipped pictures hold every n-th pixel."""
        stride = ours.shape[-1] // theirs.shape[-1]
        difference = (ours[..., ::stride, ::stride] - theirs).abs()
        self._note("image", difference.max().item(), difference.mean().item())
        assert difference.mean() < IMAGE_TOLERANCE["mean"]
        assert difference.max() < IMAGE_TOLERANCE["max"]

    def code(self, ours: Tensor, theirs: Tensor) -> None:
        """Largest difference below 1e-4, or 1e-5 of the value where that is above 10."""
        assert ours.shape == theirs.shape
        difference = (ours - theirs).abs()
        self._note("code", difference.max().item(), difference.mean().item())
        assert (difference < torch.where(theirs.abs() > 10, 1e-5 * theirs.abs(), CODE_TOLERANCE)).all()

    def _note(self, kind: str, largest: float, mean: float) -> None:
        self.record(f"{kind}_max", largest)
        print(f"{kind}: max {largest:.1e}, mean {mean:.1e}")


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    return Measured(record_property)
