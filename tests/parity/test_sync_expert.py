"""Wav2Lip's expert of lip synchrony and what it hears: the numbers of the published code."""

import math

import pytest
import torch

from parity import facevid2vid_inputs as inputs
from parity import metric_weights
from talkingface.audio import sync_mel, sync_mel_of_clip
from talkingface.convert import parts_from_checkpoint
from talkingface.core.sync_window import SAMPLES, first_sample
from talkingface.losses import sync_loss


def close(ours, theirs, tolerance=2e-4):
    """Largest difference over the spread of the published values."""
    difference = (ours - theirs).abs().max() / theirs.std()
    print(f"largest difference {difference:.1e} of the spread")
    assert difference < tolerance


@pytest.fixture(scope="module")
def numbers(oracle):
    return oracle("facevid2vid", "w2l_syncnet")


@pytest.fixture(scope="module")
def expert(numbers):
    tensors = inputs.weights(numbers, "wav2lip_syncnet_color_keys.json")
    return parts_from_checkpoint("wav2lip-expert", {"state_dict": tensors})["sync_expert"]


@pytest.fixture(scope="module")
def mel(numbers):
    return inputs.tensor(numbers, "mel", (4, 1, 80, 16), 2.0)[:, 0]


def faces(numbers, name, shape):
    """A picture of the oracle, BGR in (0, 1) → ours, RGB in (-1, 1), five frames of three colours."""
    fine = metric_weights.normal(numbers, f"input:{name}", shape).double()
    coarse = metric_weights.normal(numbers, f"input:{name}:coarse", (*shape[:2], 8, 8)).double()
    coarse = coarse.repeat_interleave(shape[2] // 8, 2).repeat_interleave(shape[3] // 8, 3)
    return 2 * (1.5 * coarse + 0.5 * fine).sigmoid().float().view(-1, 5, 3, *shape[2:]).flip(2) - 1


@pytest.fixture(scope="module")
def frames(numbers):
    return faces(numbers, "face_window", (4, 15, 96, 96))


@torch.no_grad()
def test_embeddings_and_cosine(expert, numbers, frames, mel):
    close(expert.see(frames), inputs.expected(numbers, "face_embedding"))
    close(expert.hear(mel), inputs.expected(numbers, "audio_embedding"))
    found = expert(frames, mel)
    assert (found - inputs.expected(numbers, "cosine")).abs().max() < 1e-5
    half = sync_loss(found, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    assert half.item() == pytest.approx(inputs.expected(numbers, "bce_labels_1010").item(), abs=1e-5)
    ones = sync_loss(found, torch.ones(4))
    assert ones.item() == pytest.approx(inputs.expected(numbers, "bce_all_ones").item(), abs=1e-5)


@torch.no_grad()
def test_control_other_colours_and_the_upper_half_are_seen(expert, numbers, frames):
    for wrong in (frames.flip(2), frames.flip(3)):
        with pytest.raises(AssertionError):
            close(expert.see(wrong), inputs.expected(numbers, "face_embedding"), 0.1)


@torch.no_grad()
def test_every_layer(expert, oracle, frames, mel):
    layers = oracle("facevid2vid", "w2l_syncnet_layers")
    seen, heard = {}, {}
    for tower, kept in ((expert.lips, seen), (expert.speech, heard)):
        for index, unit in enumerate(tower):
            unit.register_forward_hook(lambda _, __, output, kept=kept, index=index: kept.update({index: output}))
    expert(frames[:1], mel[:1])
    for index in range(17):
        shape = layers.numbers[f"face{index}/shape"]
        stride = math.ceil(seen[index].shape[-1] / shape[-1])
        ours = seen[index][..., ::stride, ::stride]
        close(inputs.at_stored(layers, f"face{index}", ours), layers[f"face{index}/val"])
    for index in range(14):
        close(inputs.at_stored(layers, f"audio{index}", heard[index]), layers[f"audio{index}/val"])


@torch.no_grad()
def test_the_loss_on_generated_frames(expert, oracle, mel):
    path = oracle("facevid2vid", "w2l_sync_loss_path")
    found = expert(faces(path, "gen_clip", (10, 3, 96, 96)), mel[:2])
    assert (found - inputs.expected(path, "x_cosine")).abs().max() < 1e-5
    loss = sync_loss(found, torch.ones(2))
    assert loss.item() == pytest.approx(inputs.expected(path, "loss").item(), abs=1e-5)


@pytest.fixture(scope="module")
def heard(oracle):
    """The oracle of the mel spectrogram, and its sound of two seconds."""
    found = oracle("facevid2vid", "w2l_mel")
    time = torch.arange(32000, dtype=torch.float64) / 16000
    tones = 0.3 * torch.sin(2 * math.pi * 220 * time) + 0.2 * torch.sin(2 * math.pi * (400 + 300 * time) * time)
    wave = (tones + 0.05 * inputs.tensor(found, "wave_noise", (32000,)).double()).float()
    wave[8000:12000] = 0
    assert (inputs.at_stored(found, "wav", wave) - found["wav/val"]).abs().max() < 1e-6
    return found, wave


def test_the_mel_spectrogram(heard):
    found, wave = heard
    ours = sync_mel_of_clip(wave[None])[0]
    difference = (inputs.at_stored(found, "mel", ours) - found["mel/val"]).abs().max()
    print(f"mel: {difference:.1e} of 8")
    assert difference < 1e-3


def test_control_sound_without_pre_emphasis_is_another_spectrogram(heard):
    found, wave = heard
    flat = torch.zeros_like(wave)
    for power in range(20):  # undoes it: 1 / (1 - 0.97 z) as a series
        flat[power:] += 0.97**power * wave[: len(wave) - power]
    ours = sync_mel_of_clip(flat[None])[0]
    assert (inputs.at_stored(found, "mel", ours) - found["mel/val"]).abs().max() > 0.1


@pytest.mark.parametrize("frame", [1, 7, 30])
def test_a_window_hears_the_columns_that_the_published_code_cuts(heard, frame):
    _, wave = heard
    column = int(80.0 * (frame / 25.0))
    first = first_sample(frame)
    ours = sync_mel(wave[None, first : first + SAMPLES])
    torch.testing.assert_close(ours, sync_mel_of_clip(wave[None])[..., column : column + 16], atol=1e-5, rtol=0)
