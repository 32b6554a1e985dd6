"""Log-mel energies as speech features: nothing pretrained."""

from torch import Tensor
from torch.nn import functional

from talkingface.audio.spectrogram import HOP, WINDOW, mel_power
from talkingface.audio.speech_encoder import SpeechEncoder

BANDS = 80
FLOOR = 1e-5  # of the power; five decades below a loud voice, so that digital silence is not far below a quiet room


class MelSpeech(SpeechEncoder):
    """Log-mel energies at 100 Hz, thinned to 25 Hz, and a Conformer.

    Args:
        dim: width of the condition.
        blocks: of the Conformer; 0 leaves it out.
        heads: of its attention.
        dropout: of the Conformer.
    """

    window = 10.08
    context = 0.04
    convention = (
        "mel/slaney-80: (log10(max(power, 1e-5)) + 1) / 4 in 80 Slaney mel bands of 0 to 8000 Hz, Hann window of 25 ms "
        "centred on each 10 ms, zeros beyond the ends, float32"
    )

    def __init__(self, *, dim: int = 512, blocks: int = 4, heads: int = 2, dropout: float = 0.2) -> None:
        super().__init__(rate=100, layers=1, channels=BANDS, dim=dim, blocks=blocks, heads=heads, dropout=dropout)

    def encode(self, sound: Tensor) -> Tensor:
        """``(B, 640 T)`` → ``(B, 1, 4 T, 80)``, in about ``[-1, 1]``."""
        margin = (WINDOW - HOP) // 2
        power = mel_power(functional.pad(sound, (margin, margin)), BANDS)
        return ((power.clamp(min=FLOOR).log10() + 1) / 4)[:, None]
