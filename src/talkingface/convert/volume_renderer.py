"""Names and shapes of the renderer that LivePortrait and the unofficial face-vid2vid share."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from talkingface.core.errors import WeightsError

STEM = 64  # channels at width 1
DENSE = "dense_motion_network."
# Pattern in the names of FaceVid2VidRenderer → published.
RENDERER = (
    (r"^encoder\.lift", "second"),
    (r"^encoder\.down\.", "down_blocks."),
    (r"^encoder\.residual\.", "resblocks_3d.3dr"),
    (r"^encoder\.", ""),
    (r"^compress\.conv", f"{DENSE}compress"),
    (r"^compress\.norm", f"{DENSE}norm"),
    (r"^warping\.dense_motion\.", DENSE),
    (r"hourglass\.down", "hourglass.encoder.down_blocks"),
    (r"hourglass\.up", "hourglass.decoder.up_blocks"),
    (r"hourglass\.last", "hourglass.decoder"),
    (r"^warping\.flatten", "third"),
    (r"^warping\.mix", "fourth"),
)
SPECTRAL = ((r"\.left$", ".weight_u"), (r"\.right$", ".weight_v"))
SPADE = (
    *RENDERER,
    (r"^decoder\.first", "decoder.fc"),
    (r"^decoder\.middle\.", "decoder.G_middle_"),
    (r"^decoder\.up\.", "decoder.up_"),
    (r"\.shared\.", ".mlp_shared.0."),
    (r"\.(gamma|beta)\.", r".mlp_\1."),
    (r"(\.conv_[01s])\.weight$", r"\1.weight_orig"),
    (r"^decoder\.to_rgb", "decoder.conv_img"),
    *SPECTRAL,
)
PLAIN = (
    *RENDERER,
    (r"^decoder\.residual\.", "resblocks_2d.2dr"),
    (r"^decoder\.up", "up_blocks"),
    (r"^decoder\.to_rgb", "final"),
)


def renderer_settings(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read size, width and depth of the renderer off the shapes.

    Args:
        tensors: published name → tensor.

    Returns:
        Keyword arguments of :class:`~talkingface.renderers.FaceVid2VidRenderer`, without the decoder's.

    Raises:
        WeightsError: naming the tensors that tell them and are absent.
    """
    needed = ("first.conv.weight", "second.weight", f"{DENSE}compress.weight")
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise WeightsError(f"this is no renderer of face-vid2vid or LivePortrait: it lacks {', '.join(missing)}.")
    stem, lift, compress = (tensors[name] for name in needed)
    blocks = f"{DENSE}hourglass.encoder.down_blocks."
    levels = sum(name.startswith(blocks) and name.endswith(".conv.bias") for name in tensors)
    return {
        "size": 8 * 2**levels,  # the hourglass sees a quarter of it, and ends at 2 px
        "width": len(stem) / STEM,
        "depth": len(lift) // compress.shape[1],
    }


def check_keypoints(tensors: Mapping[str, Tensor], placed: int) -> None:
    """Refuse a renderer that moves another number of keypoints than its motion encoder places.

    Args:
        tensors: published name → tensor of the renderer.
        placed: what the motion encoder places.

    Raises:
        WeightsError: with both numbers.
    """
    mask = tensors.get(f"{DENSE}mask.bias")
    if mask is not None and len(mask) != placed + 1:  # one more for what does not move
        raise WeightsError(
            f"the checkpoint's motion network places {placed} keypoints and its renderer moves {len(mask) - 1}; "
            "take both from one model."
        )
