"""HuBERT's hidden states as speech features (Hsu et al. 2021; AniTalker, section 3.3)."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from talkingface.audio.pretrained import PretrainedSpeech

EPSILON = 1e-7  # beside the variance: silence stays silence


class Hubert(PretrainedSpeech):
    """What encoders on a frozen HuBERT share: the level of the sound, its length, and the network.

    Sound beyond 16 s is heard in pieces of 10 s with 3 s on both sides; HuBERT was trained on crops of at most 15.6 s
    (Hsu et al. 2021, section IV).
    """

    window = 16.0
    context = 3.0
    model_type = "hubert"
    landmark = "feature_projection.projection.weight"

    def level(self, sound: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """``(B, S)`` → zero mean and unit variance, over the whole sound."""
        return (sound - mean) / (variance + EPSILON).sqrt()

    def build(self, config: dict[str, Any]) -> nn.Module:
        """See :meth:`PretrainedSpeech.build`."""
        from transformers import HubertConfig, HubertModel  # seconds to import

        unmasked = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}  # masks are for its own training
        return HubertModel(HubertConfig.from_dict(config | unmasked))


class HubertSpeech(Hubert):
    """All hidden states of a frozen HuBERT at 50 Hz, a learned sum of them, thinned to 25 Hz, and a Conformer.

    As in AniTalker's released code the whole sound is brought to zero mean and unit variance, and the last step is
    repeated, for T frames hold 2 T - 1 steps.

    Args:
        dim: width of the condition.
        blocks: of the Conformer; 0 leaves it out.
        heads: of its attention.
        dropout: of the Conformer.
        network: name in the manifest: ``hubert-large``, which the paper names, or ``chinese-hubert-large``, which the
            released weights were trained with.
        weights: folder of a local copy; by default it is looked for.
        layers, channels: hidden states of the network and their width, 25 and 1024 for HuBERT-large.
    """

    convention = (
        "hubert/all-layers: input to zero mean and unit variance over the whole sound, all hidden states, the last one "
        "normalised as transformers 4 has it, the last step repeated once, float32"
    )

    def __init__(
        self,
        *,
        dim: int = 512,
        blocks: int = 4,
        heads: int = 2,
        dropout: float = 0.2,
        network: str = "hubert-large",
        weights: str | None = None,
        layers: int = 25,
        channels: int = 1024,
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

    def encode(self, sound: Tensor) -> Tensor:
        """``(B, 640 T)`` → ``(B, L, 2 T, C)``."""
        states = self.hidden_states(sound)
        return functional.pad(states, (0, 0, 0, 1), mode="replicate")
