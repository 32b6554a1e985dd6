"""Synthetic talking heads with ground truth: procedural faces, speech in sync with the lips, every parameter known."""

from .clip import SyntheticClip, render_clip, split_identities
from .expression import EMOTIONS, EXPRESSIONS, emotion_offset, vector
from .framing import Framing
from .phonemes import Phoneme
from .render import render_frame
from .sheet import contact_sheet
from .staging import USUAL, Staging

__all__ = [
    "EMOTIONS",
    "EXPRESSIONS",
    "USUAL",
    "Framing",
    "Phoneme",
    "Staging",
    "SyntheticClip",
    "contact_sheet",
    "emotion_offset",
    "render_clip",
    "render_frame",
    "split_identities",
    "vector",
]
