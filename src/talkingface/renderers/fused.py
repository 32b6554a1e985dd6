"""Face-vid2vid's networks for inference: the same pictures from fewer operations.

Batch norms, spectral norms and the 1x1 convolution of a shortcut's shift are folded into the convolutions before them,
enlargements into those behind them; modulations of one block share their first convolution; wide convolutions in
float32 become Winograd's.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from talkingface.core.nn.enlarged import EnlargedConv
from talkingface.core.nn.volume import ConvBlock, PreActivationBlock, UpBlock, enlarge
from talkingface.core.nn.winograd import WinogradConv
from talkingface.renderers.spade_decoder import SLOPE, Spade, SpadeBlock, SpadeDecoder

WINOGRAD_CHANNELS = 128  # fewer do not pay, measured on AVX-512


def fuse(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Fold a network in evaluation mode; it is changed in place, down to its blocks.

    Args:
        module: of the blocks of :mod:`talkingface.core.nn.volume` and a SPADE decoder; anything else stays.
        dtype: in which it will compute; in float32 on a CPU wide convolutions become Winograd's.

    Returns:
        What to put in its place.
    """
    match module:
        case UpBlock():
            conv = fuse_conv_bn_eval(module.conv, cast(nn.BatchNorm2d, module.norm))
            return nn.Sequential(EnlargedConv(conv, 2), nn.ReLU(inplace=True))
        case ConvBlock():
            module.conv = fuse_conv_bn_eval(module.conv, cast(nn.BatchNorm2d, module.norm))
            module.norm = nn.Identity()
        case PreActivationBlock():
            module.conv1 = fuse_conv_bn_eval(module.conv1, cast(nn.BatchNorm2d, module.norm2))
            module.norm2 = nn.Identity()
        case SpadeDecoder():
            return FusedSpadeDecoder(module, dtype)
        case _:
            for name, child in module.named_children():
                setattr(module, name, fuse(child, dtype))
    return module


class FusedSpadeBlock(nn.Module):
    """A :class:`~.spade_decoder.SpadeBlock` behind its enlargement.

    Args:
        block: what to fuse.
        factor: size of what it makes over that of the guide.
        dtype: in which it will compute.
    """

    def __init__(self, block: SpadeBlock, factor: int, dtype: torch.dtype) -> None:
        super().__init__()
        norms = [block.norm_0, block.norm_1] + ([] if block.norm_s is None else [block.norm_s])
        firsts = [norm.shared for norm in norms]
        shared = _conv(torch.cat([conv.weight for conv in firsts]), torch.cat([_bias(conv) for conv in firsts]))
        self.count = len(norms)
        self.shared = _quick(shared, dtype) if factor == 1 else EnlargedConv(shared, factor)
        modulations = [_modulation(norm, norm.beta.weight, _bias(norm.beta)) for norm in norms[:2]]
        self.conv_0, self.conv_1 = (
            _quick(_conv(conv.normalised_weight(), conv.bias), dtype) for conv in (block.conv_0, block.conv_1)
        )
        self.conv_s = None
        if block.norm_s is not None and block.conv_s is not None:
            mix = block.conv_s.normalised_weight()
            self.conv_s = _conv(mix, None)
            shift = torch.einsum("om,mikl->oikl", mix[..., 0, 0], block.norm_s.beta.weight)
            modulations.append(_modulation(block.norm_s, shift, mix[..., 0, 0] @ _bias(block.norm_s.beta)))
        self.modulations = nn.ModuleList(_quick(conv, dtype) for conv in modulations)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Features before their enlargement ``(B, in_channels, H, W)`` → ``(B, out_channels, H', W')``."""
        hidden = functional.relu(self.shared(guide), inplace=True).chunk(self.count, 1)
        factor = hidden[0].shape[-1] // features.shape[-1]
        still = enlarge(functional.instance_norm(features), factor)  # repeated pixels have the same mean and variance
        gamma, beta = self.modulations[0](hidden[0]).split(still.shape[1], 1)
        made = self.conv_0(functional.leaky_relu(torch.addcmul(beta, still, gamma), SLOPE, inplace=True))
        gamma, beta = self.modulations[1](hidden[1]).split(made.shape[1], 1)
        normal = functional.instance_norm(made)
        made = self.conv_1(functional.leaky_relu(torch.addcmul(beta, normal, gamma), SLOPE, inplace=True))
        if self.conv_s is None:
            return cast(Tensor, features + made)
        gamma, shift = self.modulations[2](hidden[2]).split((still.shape[1], made.shape[1]), 1)
        return cast(Tensor, self.conv_s(still * gamma) + shift + made)


class FusedSpadeDecoder(nn.Module):
    """A :class:`~.spade_decoder.SpadeDecoder` of fused blocks.

    Args:
        decoder: what to fuse.
        dtype: in which it will compute.
    """

    def __init__(self, decoder: SpadeDecoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.to_rgb, self.shuffle = _quick(decoder.first, dtype), decoder.to_rgb, decoder.shuffle
        factors = [1] * len(decoder.middle) + [2, 4]
        blocks = [cast(SpadeBlock, block) for block in (*decoder.middle, *decoder.up)]
        self.blocks = nn.ModuleList(
            FusedSpadeBlock(block, factor, dtype) for block, factor in zip(blocks, factors, strict=True)
        )

    def forward(self, guide: Tensor) -> Tensor:
        """``(B, channels, h, w)`` → ``(B, 3, 4h * shuffle, 4w * shuffle)`` in ``[0, 1]``."""
        features = self.first(guide)
        for block in self.blocks:
            features = block(features, guide)
        image = self.to_rgb(functional.leaky_relu(features, SLOPE))
        return functional.pixel_shuffle(image, self.shuffle).float().sigmoid()


def _quick(conv: nn.Conv2d, dtype: torch.dtype) -> nn.Module:
    """The form in which a convolution of width 3 takes the least time."""
    wide = min(conv.in_channels, conv.out_channels) >= WINOGRAD_CHANNELS
    return WinogradConv(conv) if wide and dtype is torch.float32 and conv.weight.device.type == "cpu" else conv


def _modulation(norm: Spade, shift: Tensor, shift_bias: Tensor) -> nn.Conv2d:
    """Scale and shift by one convolution; the scale's 1 is in its bias."""
    return _conv(torch.cat((norm.gamma.weight, shift)), torch.cat((_bias(norm.gamma) + 1, shift_bias)))


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _conv(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A convolution that keeps the size, of given weights."""
    out_channels, in_channels, kernel, _ = weight.shape
    conv = nn.utils.skip_init(nn.Conv2d, in_channels, out_channels, kernel, padding=kernel // 2, bias=bias is not None)
    conv.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return cast(nn.Conv2d, conv)
