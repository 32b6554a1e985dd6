"""Speed of LivePortrait's networks, plain and fused, at the published sizes: ``python benchmarks/facevid2vid.py``.

One frame is motion extractor, warping and SPADE decoder, 256 to 512 px, batch 1. All variants take turns within one
run, and a figure is the smallest of several rounds. Processor seconds are those of all threads together: on a busy
machine they are steadier than the clock, and ratios of them are what to compare. Weights are random: speed does not
depend on them; how far half precision departs should be looked at again with trained ones.
"""

import argparse

import numpy as np
import torch
from torch import Tensor, nn
from turns import Run, Variant, measure, table

import talkingface
from talkingface.core.nn.volume import DeepConv3d
from talkingface.core.records import Source
from talkingface.motion import LivePortraitMotion
from talkingface.renderers import FaceVid2VidRenderer

GROUPS = ("mask, trained", "portrait, once", "warping", "decoder", "frame", "animator")


def variants(compiled: bool) -> list[Variant]:
    """Everything that is measured."""
    torch.manual_seed(0)
    encoder = LivePortraitMotion().eval()
    plain = FaceVid2VidRenderer(encoder, output=512).eval()
    forms: dict[str, FaceVid2VidRenderer] = {
        "plain, float32": plain,
        "fused, float32": plain.fused(),
        "fused, bfloat16": plain.fused(torch.bfloat16),
    }
    portrait, frame = torch.rand(1, 3, 256, 256) * 2 - 1, torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.inference_mode():
        source = plain.appearance(portrait)
        points = plain.keypoints(source, source.motion)
        target = points + 0.05 * torch.randn(points.shape)
        motion = encoder.spec.with_keypoints(source.motion, source.canonical, target)
        guide = plain.warping(*source.features, points, target).features
    measured = []
    for name, form in forms.items():
        half = "bfloat16" in name
        warping: list[tuple[str, nn.Module]] = [(name, form.warping)]
        decoder: list[tuple[str, nn.Module]] = [(name, form.decoder)]
        if compiled and form is not plain:
            warping.append((f"{name}, compiled", torch.compile(form.warping)))
            decoder.append((f"{name}, compiled", torch.compile(form.decoder)))
        measured += [Variant("warping", how, warp_by(net, source, points, target)) for how, net in warping]
        measured += [
            Variant("decoder", how, decode_by(net, guide.bfloat16() if half else guide)) for how, net in decoder
        ]
        measured.append(Variant("frame", name, frame_by(encoder, form, source, frame, motion, half)))
        if not half:
            measured.append(Variant("animator", name, animator_by(encoder, plain, form)))
    measured.append(Variant("portrait, once", "plain, float32", lambda: plain.appearance(portrait).identity))
    measured += [Variant("mask, trained", name, learn_by(conv)) for name, conv in masks().items()]
    return sorted(measured, key=lambda variant: GROUPS.index(variant.group))


def masks() -> dict[str, nn.Conv3d]:
    """The widest convolution of the recipe takin-ada-tiny-stage1, as any other and as it is."""
    plain, deep = nn.Conv3d(112, 22, 7, padding=3), DeepConv3d(112, 22, 7)
    deep.load_state_dict(plain.state_dict())
    return {"as a volume": plain, "depth as channels": deep}


def learn_by(conv: nn.Conv3d) -> Run:
    """Its part of a training step."""
    volume = torch.linspace(0, 9, 8 * 112 * 4 * 16 * 16).sin().view(8, 112, 4, 16, 16).requires_grad_()

    def run() -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            made: Tensor = conv(volume)
            made.square().mean().backward()
        return made.detach()

    return run


def warp_by(warping: nn.Module, source: Source, points: Tensor, target: Tensor) -> Run:
    """Dense motion, warping and flattening."""
    return lambda: warping(*source.features, points, target).features


def decode_by(decoder: nn.Module, guide: Tensor) -> Run:
    """Painting, in [0, 1]."""
    return lambda: decoder(guide)


def frame_by(
    encoder: LivePortraitMotion,
    renderer: FaceVid2VidRenderer,
    source: Source,
    frame: Tensor,
    motion: Tensor,
    half: bool,
) -> Run:
    """Everything that one driving frame costs; a fixed motion is drawn, so that pictures can be compared."""

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            encoder(frame)
        return renderer(source, motion).image / 2 + 0.5

    return run


def animator_by(encoder: LivePortraitMotion, plain: FaceVid2VidRenderer, form: FaceVid2VidRenderer) -> Run:
    """A frame as ``talkingface animate`` makes it, from 8-bit pixels to 8-bit pixels, drawn by one of the forms."""
    animator = talkingface.Animator(encoder, plain, device="cpu")
    animator.drawing = form
    frame = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), dtype=np.uint8)
    with torch.inference_mode():
        seen = animator.appearance(frame[0])
    return lambda: torch.from_numpy(animator.render(seen, animator.motion(frame))) / 255


def figures(variant: Variant, yardstick: Variant, difference: Tensor) -> str:
    """Seconds, times faster than the yardstick, and the largest difference from its result; PSNR of pictures."""
    ratio = min(yardstick.processor) / min(variant.processor)
    line = f"{min(variant.processor):8.3f}{min(variant.clock):9.3f}{ratio:8.2f}x{difference.abs().max():17.1e}"
    if variant is yardstick or variant.group in ("warping", "mask, trained"):
        return f"{line}{'':9}"
    return f"{line}{-10 * difference.square().mean().log10():6.1f} dB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which the fastest counts")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too, which takes minutes")
    parser.add_argument("--only", choices=GROUPS, help="measure one group")
    arguments = parser.parse_args()
    measured = [variant for variant in variants(arguments.compile) if arguments.only in (None, variant.group)]
    measure(measured, arguments.rounds)
    print(
        f"256 to 512 px, batch 1, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"smallest of {arguments.rounds} rounds; PSNR of values in [0, 1]"
    )
    heading = f"{'CPU s':>8}{'clock s':>9}{'faster':>9}{'max difference':>17}{'PSNR':>9}"
    print(table(measured, (16, 28), heading, figures))


if __name__ == "__main__":
    main()
