"""Where landmarks, head pose, place and size of a clip come from: label files, landmarks, MediaPipe."""

from talkingface.controls.geometry import controls_from
from talkingface.controls.labels import LabelControls
from talkingface.controls.landmarks import LandmarkControls
from talkingface.controls.mediapipe import MediaPipeControls
from talkingface.controls.pictures import PictureControls
from talkingface.controls.tracker import TrackerControls

__all__ = [
    "LabelControls",
    "LandmarkControls",
    "MediaPipeControls",
    "PictureControls",
    "TrackerControls",
    "controls_from",
]
