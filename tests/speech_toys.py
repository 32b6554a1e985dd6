"""Tiny networks of speech with random weights, in folders as transformers writes them, and sound for them to hear."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from talkingface import hub
from talkingface.audio import MelSpeech
from talkingface.generators import Audio2Exp, Regression
from talkingface.motion import FaceVid2VidMotion
from talkingface.renderers import FaceVid2VidRenderer

LAYERS, CHANNELS = 4, 32  # hidden states of the toys and their width
TOY_SIZE = {"layers": LAYERS, "channels": CHANNELS}


def toy_hubert(folder: Path, **changes: Any) -> Path:
    """A HuBERT of the large family (normalisation first), three layers of 32 channels."""
    from transformers import HubertConfig, HubertModel

    settings = {
        "hidden_size": CHANNELS,
        "num_hidden_layers": LAYERS - 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": [16] * 7,
        "conv_bias": True,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    }
    torch.manual_seed(0)
    HubertModel(HubertConfig(**settings | changes)).save_pretrained(folder)
    return folder


def toy_whisper(folder: Path) -> Path:
    """A Whisper encoder, three layers of 32 channels."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(d_model=CHANNELS, encoder_layers=LAYERS - 1, encoder_attention_heads=2, encoder_ffn_dim=64)
    WhisperEncoder(config).save_pretrained(folder)
    return folder


def murmur(samples: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Noise that swells and fades four times a second, ``(B, S)`` in ``[-1, 1]``."""
    noise = torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))
    swell = 0.5 + 0.5 * torch.sin(2 * torch.pi * 4 * torch.arange(samples) / 16000)
    return (0.1 * noise * swell).clamp(-1, 1)


def save_editor(folder: Path) -> None:
    """Models of 32 px with random weights: ``editor`` edits expressions by speech, ``other`` makes them."""
    torch.manual_seed(0)
    motion, audio = FaceVid2VidMotion(size=32, width=0.0625, depth=2), MelSpeech(dim=8, blocks=0)
    stage1 = {"motion_encoder": motion, "renderer": FaceVid2VidRenderer(motion, size=32, width=0.0625, depth=2)}
    editor = Audio2Exp(motion, audio)
    torch.nn.init.normal_(editor.zero.weight, std=0.5)
    hub.save_model(folder / "editor", {**stage1, "audio_encoder": audio, "motion_generator": editor}, {})
    other = Regression(motion, audio, dim=8, blocks=1)
    hub.save_model(folder / "other", {**stage1, "audio_encoder": audio, "motion_generator": other}, {})
