"""The Inception network of FID: the TensorFlow graph of 2015-12-05, under the names of pytorch-fid's file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.component import load_exactly
from talkingface.core.tensors import read_tensors

SIDE = 299  # pixels, what the graph was trained at
EPSILON = 1e-3  # of its batch normalisations

Shape = tuple[int, tuple[int, int]]  # channels out, kernel
Stage = tuple[Shape, ...]  # convolutions side by side, concatenated
ONE, THREE, FIVE, WIDE, TALL = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


class ConvReLU(nn.Module):
    """Convolution and ReLU; the batch normalisation between them is folded into the convolution on loading."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, pad: bool = True) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if pad else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` → ``(B, outputs, H', W')``."""
        return functional.relu(self.conv(hidden), inplace=True)


class Mixed(nn.Module):
    """Chains of convolutions beside a pooled branch, concatenated.

    Args:
        inputs: channels in.
        chains: name → stages one after another.
        pool: channels of the pooled branch; 0 for a block that halves the size, whose pooled branch is the maximum as
            it is.
        pooling: how the other blocks pool. The average is over pixels that exist; that the last block takes the maximum
            is an oddity of the graph.
    """

    def __init__(
        self,
        inputs: int,
        chains: Mapping[str, tuple[Stage, ...]],
        pool: int = 0,
        pooling: Literal["average", "maximum"] = "average",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.halves = pool == 0
        self.chains: list[list[list[str]]] = []
        self.outputs = pool or inputs
        for name, stages in chains.items():
            width, names = inputs, []
            for index, stage in enumerate(stages):
                last = self.halves and index == len(stages) - 1
                step = f"{name}_{index + 1}" if len(stages) > 1 else name
                names.append([step] if len(stage) == 1 else [step + letter for letter in "ab"])
                for convolution, (outputs, kernel) in zip(names[-1], stage, strict=True):
                    self.add_module(convolution, ConvReLU(width, outputs, kernel, 2 if last else 1, pad=not last))
                width = sum(outputs for outputs, _ in stage)
            self.chains.append(names)
            self.outputs += width
        if pool:
            self.branch_pool = ConvReLU(inputs, pool, ONE)

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` → ``(B, outputs, H', W')``."""
        branches = []
        for stages in self.chains:
            branch = hidden
            for names in stages:
                branch = torch.cat([self.get_submodule(name)(branch) for name in names], dim=1)
            branches.append(branch)
        return torch.cat([*branches, self._pooled(hidden)], dim=1)

    def _pooled(self, hidden: Tensor) -> Tensor:
        if self.halves:
            return functional.max_pool2d(hidden, 3, 2)
        if self.pooling == "maximum":
            pooled = functional.max_pool2d(hidden, 3, 1, 1)
        else:
            pooled = functional.avg_pool2d(hidden, 3, 1, 1, count_include_pad=False)
        found: Tensor = self.branch_pool(pooled)
        return found


class FIDInception(nn.Module):
    """Pixels → the 2048 features before the classifier (``pool3``)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvReLU(3, 32, THREE, stride=2, pad=False)
        self.Conv2d_2a_3x3 = ConvReLU(32, 32, THREE, pad=False)
        self.Conv2d_2b_3x3 = ConvReLU(32, 64, THREE)
        self.Conv2d_3b_1x1 = ConvReLU(64, 80, ONE)
        self.Conv2d_4a_3x3 = ConvReLU(80, 192, THREE, pad=False)
        width = 192
        for name, chains, pool in _blocks():
            block = Mixed(width, chains, pool, "maximum" if name == "Mixed_7c" else "average")
            self.add_module(name, block)
            width = block.outputs

    def forward(self, images: Tensor) -> Tensor:
        """RGB ``(B, 3, H, W)`` in ``[0, 1]`` → ``(B, 2048)``; resized to 299 px bilinearly, without anti-aliasing."""
        hidden = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1
        for name, layer in self.named_children():
            hidden = layer(hidden)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                hidden = functional.max_pool2d(hidden, 3, 2)
        return hidden.mean(dim=(2, 3))


def load_inception(path: str | Path) -> FIDInception:
    """The network with published weights, its batch normalisations folded into the convolutions.

    Args:
        path: pytorch-fid's file, as PyTorch or safetensors; its classifier and counters of batches are not read.

    Raises:
        WeightsError: tensors missing or of another shape, each named.
    """
    tensors = read_tensors(path)
    folded = {}
    for key, kernel in tensors.items():
        layer, _, rest = key.rpartition(".conv.weight")
        parts = [tensors.get(f"{layer}.bn.{name}") for name in ("weight", "bias", "running_mean", "running_var")]
        if rest or not layer or any(part is None for part in parts):
            continue  # a layer without its normalisation is reported as missing below
        gain, bias, mean, variance = (part.double() for part in parts if part is not None)
        scale = gain / torch.sqrt(variance + EPSILON)
        folded[key] = (kernel.double() * scale[:, None, None, None]).float()
        folded[f"{layer}.conv.bias"] = (bias - mean * scale).float()
    with torch.device("meta"):  # no time spent on random weights that are replaced at once
        network = FIDInception()
    network.to_empty(device="cpu")
    load_exactly(network, folded, str(path))
    return network.to(memory_format=torch.channels_last)


def _blocks() -> list[tuple[str, dict[str, tuple[Stage, ...]], int]]:
    """Name, chains and pooled channels of each block."""

    def fine(pool: int) -> tuple[dict[str, tuple[Stage, ...]], int]:  # 35 px
        return {
            "branch1x1": (((64, ONE),),),
            "branch5x5": (((48, ONE),), ((64, FIVE),)),
            "branch3x3dbl": (((64, ONE),), ((96, THREE),), ((96, THREE),)),
        }, pool

    def middle(width: int) -> tuple[dict[str, tuple[Stage, ...]], int]:  # 17 px, 7×7 as a row and a column
        return {
            "branch1x1": (((192, ONE),),),
            "branch7x7": (((width, ONE),), ((width, WIDE),), ((192, TALL),)),
            "branch7x7dbl": (((width, ONE),), ((width, TALL),), ((width, WIDE),), ((width, TALL),), ((192, WIDE),)),
        }, 192

    cross: Stage = ((384, (1, 3)), (384, (3, 1)))
    coarse: dict[str, tuple[Stage, ...]] = {  # 8 px
        "branch1x1": (((320, ONE),),),
        "branch3x3": (((384, ONE),), cross),
        "branch3x3dbl": (((448, ONE),), ((384, THREE),), cross),
    }
    first_half: dict[str, tuple[Stage, ...]] = {
        "branch3x3": (((384, THREE),),),
        "branch3x3dbl": (((64, ONE),), ((96, THREE),), ((96, THREE),)),
    }
    second_half: dict[str, tuple[Stage, ...]] = {
        "branch3x3": (((192, ONE),), ((320, THREE),)),
        "branch7x7x3": (((192, ONE),), ((192, WIDE),), ((192, TALL),), ((192, THREE),)),
    }
    return [
        ("Mixed_5b", *fine(32)),
        ("Mixed_5c", *fine(64)),
        ("Mixed_5d", *fine(64)),
        ("Mixed_6a", first_half, 0),
        ("Mixed_6b", *middle(128)),
        ("Mixed_6c", *middle(160)),
        ("Mixed_6d", *middle(160)),
        ("Mixed_6e", *middle(192)),
        ("Mixed_7a", second_half, 0),
        ("Mixed_7b", coarse, 192),
        ("Mixed_7c", coarse, 192),
    ]
