"""A network of 512 px whose motion encoder sees 256: one command drives it (here 64 and 128)."""

import numpy as np
import torch
from torch.nn import functional

from talkingface.core.images import to_float
from talkingface.data.synthetic import render_clip
from talkingface.motion import LivePortraitMotion
from talkingface.pipelines.animator import Animator
from talkingface.renderers import FaceVid2VidRenderer


def test_a_renderer_that_enlarges_is_driven_by_frames_of_its_own_size():
    torch.manual_seed(0)
    motion = LivePortraitMotion(size=64, width=0.0625, keypoints=15)
    animator = Animator(motion, FaceVid2VidRenderer(motion, size=64, output=128, width=0.0625, depth=2), device="cpu")
    clip = render_clip(0, 1, 3, 128, audio=False)
    source = animator.appearance(clip.frames[0])
    frames = animator.render(source, animator.motion(clip.frames))
    assert frames.shape == (3, 128, 128, 3)
    seen = functional.avg_pool2d(to_float(clip.frames), 2)
    with torch.no_grad():
        torch.testing.assert_close(animator.motion(clip.frames), motion(seen))
    assert (animator.motion(clip.frames)[1] != animator.motion(clip.frames)[2]).any()
    assert np.ptp(frames) > 0
