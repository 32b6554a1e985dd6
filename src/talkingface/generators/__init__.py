"""Motion generators: speech → motion."""

from talkingface.generators.conformer_diffusion import ConformerDiffusion
from talkingface.generators.normalisation import MotionRange
from talkingface.generators.regression import Regression
from talkingface.generators.variance import ATTRIBUTES, Attribute, VarianceAdapter, check_controls

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "ConformerDiffusion",
    "MotionRange",
    "Regression",
    "VarianceAdapter",
    "check_controls",
]
