"""What the aggregation layer looks at: its softmax weights as a bar chart (AniTalker, Figure 6)."""

import json
from collections.abc import Mapping
from pathlib import Path

import lightning as L
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from talkingface.core.files import write_text
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.media import write_picture
from talkingface.motion import LIAEncoder
from talkingface.tasks.reconstruction import Reconstruction

BAR, GAP, HEIGHT, MARGIN = 64, 16, 240, 32  # pixels
INK, FILL = (40, 40, 40), (70, 110, 180)


def hal_weights(motion_encoder: MotionEncoder) -> dict[str, float]:
    """How much each stage of the image encoder counts in the code.

    Args:
        motion_encoder: whose image encoder aggregates its stages.

    Returns:
        Side of the stage's map → weight, in the encoder's order, adding up to 1; empty without an aggregation layer.

    >>> from talkingface.motion import LatentMotion
    >>> {name: round(weight, 2) for name, weight in hal_weights(LatentMotion(size=64, width=0.0625, dim=4)).items()}
    {'64 px': 0.08, '32 px': 0.08, '16 px': 0.08, '8 px': 0.08, '4 px': 0.08, '1 px': 0.6}
    """
    encoder = motion_encoder.image_encoder
    if not isinstance(encoder, LIAEncoder) or encoder.hal is None:
        return {}
    weights = encoder.hal.weights.detach().float().softmax(0).tolist()
    sides = [encoder.size >> stage for stage in range(len(weights) - 1)] + [1]
    return {f"{side} px": weight for side, weight in zip(sides, weights, strict=True)}


def bar_chart(values: Mapping[str, float]) -> NDArray[np.uint8]:
    """Bars from 0 to the largest value, with names below and numbers above them.

    Args:
        values: name → value, at least 0.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    chart = Image.new("RGB", (2 * MARGIN + len(values) * (BAR + GAP) - GAP, HEIGHT + 2 * MARGIN), "white")
    draw, font = ImageDraw.Draw(chart), ImageFont.load_default(14)
    floor, largest = MARGIN + HEIGHT, max(values.values()) or 1.0
    for place, (name, value) in enumerate(values.items()):
        left, top = MARGIN + place * (BAR + GAP), floor - round(HEIGHT * value / largest)
        draw.rectangle((left, top, left + BAR, floor), fill=FILL)
        draw.text((left + BAR / 2, top - 4), f"{value:.3f}", INK, font, anchor="mb")
        draw.text((left + BAR / 2, floor + 6), name, INK, font, anchor="mt")
    draw.line((MARGIN // 2, floor, chart.width - MARGIN // 2, floor), INK)
    return np.asarray(chart)


class HALWeights(L.Callback):
    """Write ``hal_weights.png`` and ``hal_weights.json`` into the log folder when training ends."""

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Nothing is written for an encoder without an aggregation layer."""
        if not (trainer.is_global_zero and isinstance(module, Reconstruction)):
            return
        if weights := hal_weights(module.motion_encoder):
            folder = Path(trainer.log_dir or trainer.default_root_dir)
            write_picture(folder / "hal_weights.png", bar_chart(weights))
            write_text(folder / "hal_weights.json", json.dumps(weights, indent=2) + "\n")
