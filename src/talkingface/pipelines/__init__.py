"""From files to files, with trained parts: what needs neither Lightning nor jsonargparse nor transformers."""

from talkingface.pipelines.animation import Animation
from talkingface.pipelines.animator import Animator, load
from talkingface.pipelines.dubbing import Dubbing
from talkingface.pipelines.streaming import SpeechStream
from talkingface.pipelines.windows import LivePlan

__all__ = ["Animation", "Animator", "Dubbing", "LivePlan", "SpeechStream", "load"]
