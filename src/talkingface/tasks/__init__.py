"""What is trained, and how: Lightning modules and the callbacks that watch them."""

from talkingface.tasks.editing import Editing
from talkingface.tasks.generation import Generation
from talkingface.tasks.hal_weights import HALWeights, bar_chart, hal_weights
from talkingface.tasks.identity import IdentityLosses
from talkingface.tasks.keypoints import KeypointLosses
from talkingface.tasks.manifold import MotionManifold, motion_manifold
from talkingface.tasks.optim import Adam, Muon
from talkingface.tasks.pictures import PictureWriter
from talkingface.tasks.points import points_picture
from talkingface.tasks.preview import PreviewStrip
from talkingface.tasks.quality import QualityTable
from talkingface.tasks.reconstruction import Reconstruction
from talkingface.tasks.sync import Synchrony

__all__ = [
    "Adam",
    "Editing",
    "Generation",
    "HALWeights",
    "IdentityLosses",
    "KeypointLosses",
    "MotionManifold",
    "Muon",
    "PictureWriter",
    "PreviewStrip",
    "QualityTable",
    "Reconstruction",
    "Synchrony",
    "bar_chart",
    "hal_weights",
    "motion_manifold",
    "points_picture",
]
