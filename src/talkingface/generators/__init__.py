"""Motion generators: speech → motion."""

from talkingface.generators.audio2exp import MOUTH, Audio2Exp
from talkingface.generators.conformer_diffusion import ConformerDiffusion
from talkingface.generators.emotion import EMOTION, NEUTRAL, EmotionCondition, over_window
from talkingface.generators.normalisation import MotionRange, check_made_for
from talkingface.generators.regression import Regression
from talkingface.generators.variance import ATTRIBUTES, Attribute, VarianceAdapter, check_controls

__all__ = [
    "ATTRIBUTES",
    "EMOTION",
    "MOUTH",
    "NEUTRAL",
    "Attribute",
    "Audio2Exp",
    "ConformerDiffusion",
    "EmotionCondition",
    "MotionRange",
    "Regression",
    "VarianceAdapter",
    "check_controls",
    "check_made_for",
    "over_window",
]
