"""From files to files, with trained parts: what needs neither Lightning nor jsonargparse nor transformers."""

from talkingface.pipelines.animator import Animation, Animator, load

__all__ = ["Animation", "Animator", "load"]
