"""Multi-scale VGG perceptual loss, as LIA and the face-vid2vid line train with it.

Images are compared by the mean absolute difference of five VGG feature maps at four scales of a Gaussian pyramid; each
feature map weighs 10 (so AniTalker's 0.1 × this loss is weight 1 per map).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.checks import check_shape
from talkingface.core.component import Component, load_exactly
from talkingface.core.frozen import Frozen
from talkingface.core.pyramid import gaussian_downsample
from talkingface.core.tensors import read_tensors
from talkingface.losses.pyramid import SCALES
from talkingface.weights import find_weights

WEIGHT_PER_MAP = 10.0
SMALLEST_SIDE = 16  # VGG halves four times before its last map; a smaller picture has no map left


class VGGFeatures(nn.Module):
    """The ReLU maps of a VGG that a perceptual loss looks at.

    Args:
        layers: torchvision's ``features``, up to the last map.
        taps: indices of the layers whose output is a map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, taps: Sequence[int]) -> None:
        super().__init__()
        self.features = layers
        self.taps = tuple(taps)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` in ``[-1, 1]`` (clamped) → maps, fine first."""
        hidden = ((image.clamp(-1, 1) + 1) / 2 - self.mean) / self.std
        maps = []
        for index, layer in enumerate(self.features):
            hidden = layer(hidden)
            if index in self.taps:
                maps.append(hidden)
        return maps


class PerceptualLoss(Component):
    """Pyramid of VGG differences (LIA training code; see the module's docstring).

    Args:
        features: what is compared.
        scales: of the pyramid, in ``(0, 1]``.
    """

    def __init__(self, features: VGGFeatures, /, *, scales: Sequence[float] = SCALES) -> None:
        super().__init__()
        self.features = Frozen(features)
        self.scales = tuple(scales)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Compare rendered images with what they should be.

        Scales at which a picture would be smaller than 16 px are left out (below 128 px).

        Args:
            image, target: ``(B, 3, H, W)`` in ``[-1, 1]``; no gradient flows to the target.

        Returns:
            Scalar, at least 0.
        """
        check_shape(target, image.shape, "target")
        total = image.new_zeros(())
        for scale in self.scales:
            if math.ceil(min(image.shape[-2:]) * scale) < SMALLEST_SIDE:
                continue
            with torch.no_grad():
                wanted = self.features(gaussian_downsample(target, scale))
            for have, want in zip(self.features(gaussian_downsample(image, scale)), wanted, strict=True):
                total = total + WEIGHT_PER_MAP * functional.l1_loss(have, want)
        return total


class VGG19Perceptual(PerceptualLoss):
    """Perceptual loss by torchvision's VGG19 (maps relu1_1, 2_1, 3_1, 4_1, 5_1), as published.

    Args:
        weights: torchvision's ``vgg19-dcbb9e9d.pth`` or its ``features.*`` as safetensors; by default it is looked for
            where torchvision keeps it.
        scales: of the pyramid, in ``(0, 1]``.

    Raises:
        WeightsError: naming the command that gets the file when it is not there.
    """

    def __init__(self, *, weights: str | None = None, scales: Sequence[float] = SCALES) -> None:
        super().__init__(_load(torchvision.models.vgg19, "vgg19", weights, (1, 6, 11, 20, 29)), scales=scales)


class VGG16Perceptual(PerceptualLoss):
    """The same loss by the smaller VGG16.

    Args:
        weights: torchvision's ``vgg16-397923af.pth`` or its ``features.*`` as safetensors; by default it is looked for
            where torchvision keeps it.
        scales: of the pyramid, in ``(0, 1]``.

    Raises:
        WeightsError: naming the command that gets the file when it is not there.
    """

    def __init__(self, *, weights: str | None = None, scales: Sequence[float] = SCALES) -> None:
        super().__init__(_load(torchvision.models.vgg16, "vgg16", weights, (1, 6, 11, 18, 25)), scales=scales)


def _load(network: Callable[..., Any], name: str, weights: str | None, taps: Sequence[int]) -> VGGFeatures:
    path = find_weights(name, weights)
    with torch.device("meta"):  # no time spent on random weights that are replaced at once
        layers = network(weights=None).features[: max(taps) + 1]
    features = VGGFeatures(layers.to_empty(device="cpu"), taps)
    wanted = features.state_dict()
    tensors = {key: value.float() for key, value in read_tensors(path).items() if key in wanted}
    load_exactly(features, tensors, str(path))
    return features
