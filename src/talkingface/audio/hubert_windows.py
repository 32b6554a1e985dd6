"""HuBERT's last hidden state in windows that look ahead: what ControlTalk edits expressions by."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.audio.hubert import Hubert
from talkingface.audio.speech_encoder import FPS

STEPS = 18  # of HuBERT in a window: nine frames of video
STRIDE = 2  # steps from one frame to the next


class HubertWindows(Hubert):
    """The last hidden state of a frozen HuBERT in windows of 360 ms, and four projections (ControlTalk's release).

    Frame t hears the steps from ``2 t`` to ``2 t + 17``: from where it begins on, not about it. The last window is
    repeated for the frames behind it. The features are the windows themselves, a step a frame, so that they can be
    told in any portions.

    Args:
        dim: width of the condition.
        hidden: widths between the projections.
        dropout: in the projections.
        network: name in the manifest; the released weights were trained with ``chinese-hubert-large``.
        weights: folder of a local copy; by default it is looked for.
        layers, channels: hidden states of the network and their width, 25 and 1024 for HuBERT-large.
    """

    convention = (
        "hubert/last-layer-18: input to zero mean and unit variance over the whole sound, the last hidden state after "
        "its normalisation, the last step repeated once, windows of 18 steps from 2 t on, float32"
    )

    def __init__(
        self,
        *,
        dim: int = 1024,
        hidden: Sequence[int] = (2048, 1024, 512),
        dropout: float = 0.1,
        network: str = "chinese-hubert-large",
        weights: str | None = None,
        layers: int = 25,
        channels: int = 1024,
    ) -> None:
        super().__init__(
            network=network,
            weights=weights,
            states=(layers, channels),
            rate=FPS,
            layers=1,
            channels=STEPS * channels,
            dim=dim,
            blocks=0,
            heads=1,
            dropout=dropout,
        )
        widths = (STEPS * channels, *hidden, dim)
        self.projections = nn.Sequential(*(Projection(*sides, dropout) for sides in pairwise(widths)))

    def encode(self, sound: Tensor) -> Tensor:
        """``(B, 640 T)`` → ``(B, 1, T, 18 C)``, in a window step by step."""
        last = self.hidden_states(sound)[:, -1]
        frames = (last.shape[1] + 1) // STRIDE
        missing = max(STEPS, STRIDE * frames) - last.shape[1]
        steps = torch.cat([last, last[:, -1:].expand(-1, missing, -1)], dim=1)
        windows = steps.unfold(1, STEPS, STRIDE).mT.flatten(2)
        return torch.cat([windows, windows[:, -1:].expand(-1, frames - windows.shape[1], -1)], dim=1)[:, None]

    def thinned(self, steps: Tensor) -> Tensor:
        """Windows ``(B, T, 18 C)`` → frames ``(B, T, A)``."""
        frames: Tensor = self.projections(steps.to(next(self.projections.parameters()).dtype))
        return frames


class Projection(nn.Module):
    """A linear layer, a residual one behind GELU, and a norm, ``(..., in)`` → ``(..., out)`` (CLIP's, as released).

    Args:
        in_features, out_features: widths.
        dropout: of the residual layer.
    """

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(in_features, out_features)
        self.residual = nn.Linear(out_features, out_features)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(out_features)

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.projection(features)
        told: Tensor = self.norm(projected + self.dropout(self.residual(functional.gelu(projected))))
        return told
