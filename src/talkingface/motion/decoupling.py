"""Separation of identity and motion in the image code (AniTalker, section 3.2 and supplement 3.1)."""

from torch import Tensor, nn


def _linear(width: int) -> nn.Linear:
    """A layer that keeps the variance before a ReLU, in every direction.

    Of torch's default weights, two let a fifth of the motion pass; random ones weaken some directions a hundredfold,
    and what moves there is learned last.
    """
    layer = nn.Linear(width, width)
    nn.init.orthogonal_(layer.weight, gain=2**0.5)
    nn.init.zeros_(layer.bias)
    return layer


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(_linear(width), nn.ReLU(), _linear(width))


class DecouplingNet(nn.Module):
    """Two heads on one code: what must not change within a clip, and what does.

    Only the identity losses (metric learning, CLUB) reach ``identity`` and ``density``.

    Args:
        code_dim: width of the code and of both results.
    """

    def __init__(self, code_dim: int) -> None:
        super().__init__()
        self.identity = _mlp(code_dim)
        self.motion = _mlp(code_dim)
        self.density = _mlp(code_dim)

    def forward(self, code: Tensor) -> Tensor:
        """The part that moves: ``(B, code_dim)`` → ``(B, code_dim)``."""
        motion: Tensor = self.motion(code)
        return motion
