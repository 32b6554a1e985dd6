"""LIA's formulas written down one by one, as published code computes them: the yardstick of ``benchmarks/lia.py``.

Per-sample weights and grouped convolutions, a QR decomposition for every frame, 64 channels warped at the finest level.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.convert import lia as names

Weights = dict[str, Tensor]  # under published names, from "enc." and "dec." on
KERNEL = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def published_weights(motion_encoder: nn.Module, renderer: nn.Module, size: int) -> Weights:
    """Weights of our parts under published names, with the published axes of length 1."""
    weights = {}
    pairs = (
        (names.encoder_names(size, 0, hal=False, decouple=False), motion_encoder),
        (names.renderer_names(size), renderer),
    )
    for theirs, part in pairs:
        state = part.state_dict()
        for name, ours in theirs.items():
            tensor = state[ours].contiguous()
            if name.startswith("dec.to_flows.") and name.endswith(".conv.weight"):
                tensor = tensor[None, :, :, None, None]
            elif name.startswith("dec.conv") and name.endswith(".conv.weight"):
                tensor = tensor[None]
            elif name.endswith(".bias") and not (".modulation." in name or name.startswith("enc.fc.")):
                tensor = tensor[None, :, None, None]
            weights[name] = tensor
    return weights


def encode(w: Weights, image: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Picture → code, motion, feature pyramid (coarse first)."""
    stages = 1 + max(int(name.split(".")[3]) for name in w if name.startswith("enc.net_app.convs."))
    maps = [activate(convolve(image, w["enc.net_app.convs.0.0.weight"]), w["enc.net_app.convs.0.1.bias"])]
    for stage in range(1, stages - 1):
        p = f"enc.net_app.convs.{stage}."
        deep = activate(convolve(maps[-1], w[p + "conv1.0.weight"], padding=1), w[p + "conv1.1.bias"])
        deep = convolve(filtered(deep, (2, 2)), w[p + "conv2.1.weight"], stride=2)
        skip = convolve(filtered(maps[-1], (1, 1)), w[p + "skip.1.weight"], stride=2)
        maps.append((activate(deep, w[p + "conv2.2.bias"]) + skip) / math.sqrt(2))
    code = convolve(maps[-1], w[f"enc.net_app.convs.{stages - 1}.weight"]).flatten(1)
    motion = code
    for layer in range(5):
        motion = linear(motion, w[f"enc.fc.{layer}.weight"], w[f"enc.fc.{layer}.bias"])
    return code, motion, maps[-2::-1]


def render(w: Weights, code: Tensor, pyramid: list[Tensor], motion: Tensor) -> Tensor:
    """Code and pyramid of the portrait, and motion ``(B, D)`` → picture."""
    basis = torch.linalg.qr(w["dec.direction.weight"] + 1e-8)[0]
    latent = code + motion @ basis.T
    batch = latent.shape[0]
    x = styled(w, "dec.conv1", w["dec.input.input"].repeat(batch, 1, 1, 1), latent)
    flow = rgb = None
    for level, features in enumerate(pyramid):
        x = styled(w, f"dec.convs.{2 * level}", x, latent, up=True)
        x = styled(w, f"dec.convs.{2 * level + 1}", x, latent)
        step = modulated(w, f"dec.to_flows.{level}.conv", x, latent, demodulate=False)
        step = step + w[f"dec.to_flows.{level}.bias"]
        flow = step if flow is None else step + doubled(flow)
        side = torch.linspace(-1, 1, x.shape[-1])
        base = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1)
        grid = base + torch.tanh(flow[:, :2]).permute(0, 2, 3, 1)
        mask = torch.sigmoid(flow[:, 2:])
        warped = functional.grid_sample(features.expand(batch, -1, -1, -1), grid, align_corners=False) * mask
        p = f"dec.to_rgbs.{level}."
        share = activate(convolve(warped, w[p + "conv.0.weight"]), w[p + "conv.1.bias"]) + w[p + "bias"]
        rgb = share if rgb is None else share + doubled(rgb)
        x = warped + x * (1 - mask)
    assert rgb is not None
    return rgb


def styled(w: Weights, p: str, x: Tensor, latent: Tensor, up: bool = False) -> Tensor:
    return activate(modulated(w, p + ".conv", x, latent, up=up), w[p + ".activate.bias"])


def modulated(w: Weights, p: str, x: Tensor, latent: Tensor, demodulate: bool = True, up: bool = False) -> Tensor:
    """A weight for every sample, run as one grouped convolution."""
    weight = w[p + ".weight"]
    _, out, channels, size, _ = weight.shape
    style = linear(latent, w[p + ".modulation.weight"], w[p + ".modulation.bias"])
    weight = weight / math.sqrt(channels * size**2) * style[:, None, :, None, None]
    if demodulate:
        weight = weight * torch.rsqrt(weight.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
    batch, _, height, width = x.shape
    x = x.reshape(1, batch * channels, height, width)
    if up:
        weight = weight.transpose(1, 2).reshape(batch * channels, out, size, size)
        x = functional.conv_transpose2d(x, weight, stride=2, groups=batch)
        return filtered(x.view(batch, out, *x.shape[2:]), (1, 1), gain=4)
    x = functional.conv2d(x, weight.view(batch * out, channels, size, size), padding=size // 2, groups=batch)
    return x.view(batch, out, height, width)


def convolve(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    scale = 1 / math.sqrt(weight.shape[1] * weight.shape[2] ** 2)
    return functional.conv2d(x, weight * scale, stride=stride, padding=padding)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.linear(x, weight / math.sqrt(weight.shape[1]), bias)


def activate(x: Tensor, bias: Tensor) -> Tensor:
    return math.sqrt(2) * functional.leaky_relu(x + bias, 0.2)


def filtered(x: Tensor, padding: tuple[int, int], gain: float = 1.0) -> Tensor:
    before, after = padding
    channels = x.shape[1]
    padded = functional.pad(x, (before, after, before, after))
    return functional.conv2d(padded, (KERNEL * gain).to(x.dtype).expand(channels, 1, 4, 4), groups=channels)


def doubled(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    zeros = x.new_zeros(batch, channels, height, 2, width, 2)
    zeros[:, :, :, 0, :, 0] = x
    return filtered(zeros.view(batch, channels, 2 * height, 2 * width), (2, 1), gain=4)
