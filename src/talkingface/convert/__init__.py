"""Published checkpoints → our model folders."""

from talkingface.convert.convert import FAMILIES, ConversionReport, convert_checkpoint, parts_from_checkpoint

__all__ = ["FAMILIES", "ConversionReport", "convert_checkpoint", "parts_from_checkpoint"]
