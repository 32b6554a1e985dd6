"""Schedule and strides of the published sampler."""

import numpy as np
import pytest
import torch

from talkingface.diffusion import NoiseSchedule, strided_steps

VARIANTS = ("mfcc_pose_only", "mfcc_full_control", "hubert_audio_only", "hubert_pose_only", "hubert_full_control")


@pytest.fixture(params=VARIANTS)
def published(oracle, request):
    return oracle("lia_anitalker", f"anitalker_stage2_{request.param}_T25")


def test_fifty_steps_are_the_published_ones(published):
    assert published["timesteps"].tolist() == list(strided_steps(50))


def test_signal_left_at_each_step_is_the_published_one(published):
    kept = NoiseSchedule().alpha_bar[list(strided_steps(50))]
    torch.testing.assert_close(kept.float(), published["alphas_cumprod50"], atol=0, rtol=1e-7)


def test_variances_between_the_strides_are_the_published_ones(published):
    kept = NoiseSchedule().alpha_bar[list(strided_steps(50))].numpy()
    between = 1 - kept / np.concatenate([[1.0], kept[:-1]])
    np.testing.assert_allclose(between.astype(np.float32), published["betas50"].numpy(), rtol=1e-6)


def test_control_steps_up_to_the_last_have_less_signal(published):
    evenly = torch.linspace(0, 999, 50).round().long()  # a common other choice: the last step, 999, is taken
    kept = NoiseSchedule().alpha_bar[evenly].float()
    assert not torch.allclose(kept, published["alphas_cumprod50"], rtol=1e-3)
