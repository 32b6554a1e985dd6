"""Learned perceptual distance of frames (LPIPS v0.1) through three backbones."""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from talkingface.core.component import load_exactly
from talkingface.core.errors import UnscorableError
from talkingface.core.frozen import Frozen
from talkingface.core.tensors import read_tensors
from talkingface.metrics.functional.pixels import check_frames
from talkingface.metrics.image import FrameMetric
from talkingface.weights import find_weights


class LPIPS(FrameMetric):
    """Learned perceptual image patch similarity by AlexNet, the authors' default and that of LIA's line of papers.

    The linear layers come with the package ``lpips``; the backbone is torchvision's, trained on ImageNet.

    Args:
        device: where the network computes.
        weights: name in the weights manifest → local file.
        kwargs: of torchmetrics.

    Attributes:
        backbone: its name in the package ``lpips``.
        smallest: side of the smallest frames that the backbone takes, in pixels.
        batch: frames at once; more is no faster, and VGG16 takes 120 MB for each frame of 256 px.

    Raises:
        WeightsError: naming the command that fetches the backbone when it is missing; it is never random.
    """

    unit = ""
    higher_is_better = False
    range = (0.0, math.inf)
    networks = ("alexnet",)
    convention = (
        "lpips/alex: v0.1 linear layers on torchvision AlexNet, RGB uint8 as [-1, 1] at its own size, float32, spatial "
        "mean, mean over frames"
    )
    citation = "Zhang et al. 2018, equation 1"
    backbone: ClassVar[str] = "alex"
    smallest: ClassVar[int] = 31
    batch: ClassVar[int] = 8

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        (name,) = self.networks
        path = find_weights(name, (weights or {}).get(name))
        self.network = Frozen(load_lpips(self.backbone, path)).to(device)

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """uint8 ``(T, 3, H, W)`` twice → distances ``(T,)``, 0 for identical frames.

        Raises:
            ShapeError: another type or shape.
            UnscorableError: frames too small for the backbone.
        """
        check_frames(prediction, target)
        height, width = target.shape[-2:]
        if min(height, width) < self.smallest:
            raise UnscorableError(f"LPIPS needs frames of at least {self.smallest} pixels a side, got {height}×{width}")
        pairs = zip(prediction.split(self.batch), target.split(self.batch), strict=True)
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            distances = [self.network(self._scale(ours), self._scale(theirs)) for ours, theirs in pairs]
        return torch.cat(distances).flatten().double().cpu()

    def _scale(self, frames: Tensor) -> Tensor:
        device = next(self.network.network.parameters()).device
        frames = frames.to(device, memory_format=torch.channels_last)  # on a CPU 1.6 times as fast
        return frames.float().div_(127.5).sub_(1.0)


class LPIPSVGG(LPIPS):
    """LPIPS by VGG16, typically larger than by AlexNet; what most papers train with rather than report."""

    networks = ("vgg16",)
    convention = LPIPS.convention.replace("lpips/alex", "lpips/vgg").replace("AlexNet", "VGG16")
    backbone = "vgg"
    smallest = 16
    batch = 2


class LPIPSSqueeze(LPIPS):
    """LPIPS by SqueezeNet 1.1."""

    networks = ("squeezenet",)
    convention = LPIPS.convention.replace("lpips/alex", "lpips/squeeze").replace("AlexNet", "SqueezeNet 1.1")
    backbone = "squeeze"
    smallest = 17


def load_lpips(backbone: str, path: str | Path) -> nn.Module:
    """The network of LPIPS v0.1, in the layout of the package ``lpips``.

    Args:
        backbone: ``"alex"``, ``"vgg"`` or ``"squeeze"``.
        path: torchvision's ``features.*``, float16 or float32; other tensors in the file are not read.

    Raises:
        WeightsError: tensors missing or of another shape, each named.
    """
    import lpips  # 0.4 s, and only this metric needs it

    # On "meta" no time is spent on random weights that are replaced at once. The warnings are about how the package
    # asks torchvision for its layers.
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision.models._utils")
        network: nn.Module = lpips.LPIPS(net=backbone, pretrained=False, pnet_rand=True, verbose=False)
    network.to_empty(device="cpu")
    network.scaling_layer = lpips.ScalingLayer()
    linear = read_tensors(Path(lpips.__file__).parent / "weights" / "v0.1" / f"{backbone}.pth")
    features = read_tensors(path)
    tensors = {}
    for key, value in network.state_dict().items():
        if key.startswith("net."):  # net.slice2.3.weight is torchvision's features.3.weight
            origin = "features." + key.split(".", 2)[2]
            if origin in features:
                tensors[key] = features[origin].float()
        elif key.startswith("lin"):  # every layer is listed twice, as lin0 and lins.0
            tensors[key] = linear[key.replace("lins.", "lin")]
        else:
            tensors[key] = value
    load_exactly(network, tensors, str(path))
    return network.to(memory_format=torch.channels_last)
