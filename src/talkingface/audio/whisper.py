"""The hidden states of Whisper's encoder as speech features (Radford et al. 2023)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.audio.pretrained import PretrainedSpeech
from talkingface.audio.spectrogram import WINDOW, mel_power

SECONDS = 30  # that Whisper always hears
STEPS = 2  # a video frame
FLOOR = 1e-10  # of the power
DECADES = 8.0  # below the loudest band in what is heard at once, where the spectrogram is cut


class WhisperSpeech(PretrainedSpeech):
    """All hidden states of a frozen Whisper encoder at 50 Hz, a learned sum of them, thinned to 25 Hz, and a Conformer.

    Whisper hears 30 s at once, filled with silence. Its states say where in these 30 s a sound is almost as loudly as
    what it is, so sound beyond 16 s is heard in pieces of 10 s with 3 s on both sides: a long speech then has no place
    that clips of training have not.

    Args:
        dim: width of the condition.
        blocks: of the Conformer; 0 leaves it out.
        heads: of its attention.
        dropout: of the Conformer.
        network: name in the manifest.
        weights: folder of a local copy, of the encoder or of all of Whisper; by default it is looked for.
        layers, channels: hidden states of the encoder and their width, 5 and 384 for Whisper-tiny.
        bands: of its spectrogram: 80, and 128 from large-v3 on.
    """

    window = 16.0
    context = 3.0
    model_type = "whisper"
    landmark = "conv1.weight"
    convention = (
        "whisper/all-layers: log-mel of Whisper over 30 s filled with zeros, all hidden states of the encoder, the "
        "last one normalised, cut to the length of the sound, float32"
    )

    def __init__(
        self,
        *,
        dim: int = 512,
        blocks: int = 4,
        heads: int = 2,
        dropout: float = 0.2,
        network: str = "whisper-tiny.en",
        weights: str | None = None,
        layers: int = 5,
        channels: int = 384,
        bands: int = 80,
    ) -> None:
        super().__init__(
            network=network,
            weights=weights,
            states=(layers, channels),
            dim=dim,
            blocks=blocks,
            heads=heads,
            dropout=dropout,
        )
        self.bands = bands

    def encode(self, sound: Tensor) -> Tensor:
        """``(B, 640 T)`` → ``(B, L, 2 T, C)``."""
        steps = sound.shape[1] // 320
        states = self.hidden_states(log_mel(functional.pad(sound, (0, SECONDS * 16000 - sound.shape[1])), self.bands))
        return states[:, :, :steps].clone()  # a view would hold all 30 s

    def build(self, config: dict[str, Any]) -> nn.Module:
        """See :meth:`PretrainedSpeech.build`."""
        from transformers import WhisperConfig  # seconds to import
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        return WhisperEncoder(WhisperConfig.from_dict(config))


def log_mel(sound: Tensor, bands: int) -> Tensor:
    """Whisper's input: logarithm of the power in mel bands, cut 8 decades below its highest value.

    Args:
        sound: 16 kHz ``(B, S)``.
        bands: of the spectrogram.

    Returns:
        ``(B, bands, S / 160)``.
    """
    margin = WINDOW // 2
    power = mel_power(functional.pad(sound[:, None], (margin, margin), mode="reflect")[:, 0], bands)[:, :-1]
    decades = power.clamp(min=FLOOR).log10()
    return (torch.maximum(decades, decades.amax((1, 2), keepdim=True) - DECADES).mT + 4) / 4
