"""The discriminator as a player: what it thinks of rendered pictures, and how well it learns."""

from collections.abc import Collection

from torch import Tensor, nn

from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import Discriminator
from talkingface.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from talkingface.renderers import PatchDiscriminator
from talkingface.tasks.optim import frozen

# name of a loss → what the renderer minimises, what the discriminator does
GAMES = {
    "adversarial": (generator_loss, discriminator_loss),
    "hinge": (hinge_generator_loss, hinge_discriminator_loss),
}
FEATURES = "feature_matching"
ADVERSARIAL_LOSSES = (*GAMES, FEATURES)


class Judge(nn.Module):
    """Picture → logits and feature maps in one pass of a discriminator; no maps from one that shows none."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → logits ``(B, P)`` and maps."""
        if not isinstance(self.discriminator, PatchDiscriminator):
            return self.discriminator(image), []
        maps = self.discriminator.features(image)
        return self.discriminator.logits(maps), maps


def check_game(names: Collection[str], discriminator: Discriminator | None) -> None:
    """Refuse adversarial losses that cannot be played together.

    Args:
        names: of the losses that have a weight.
        discriminator: the opponent.

    Raises:
        ConfigError: for two games at once, features without a game that teaches them, or a discriminator that shows
            none.
    """
    games = [name for name in GAMES if name in names]
    if len(games) > 1:
        raise ConfigError(
            f"{' and '.join(games)} both have a weight, and one discriminator plays one game. Choose one."
        )
    if FEATURES not in names:
        return
    if not games:
        raise ConfigError(f"{FEATURES} has a weight and nothing teaches the discriminator. Give hinge a weight, too.")
    if discriminator is not None and not isinstance(discriminator, PatchDiscriminator):
        raise ConfigError(
            f"{FEATURES} compares feature maps, and {type(discriminator).__name__} shows none. Take PatchDiscriminator."
        )


def play(
    discriminator: Discriminator, fake: Tensor, real: Tensor, names: Collection[str]
) -> tuple[dict[str, Tensor], Tensor]:
    """One move of both players, each on its own side of the joint step.

    Args:
        discriminator: the opponent.
        fake, real: rendered pictures and what they should be, ``(B, 3, H, W)`` in ``[-1, 1]``.
        names: of the losses that have a weight; one game of :data:`GAMES` is among them.

    Returns:
        What the renderer minimises, by name, and what the discriminator does.
    """
    game = next(name for name in GAMES if name in names)
    fool, learn = GAMES[game]
    judge = Judge(discriminator)
    fooling, fake_maps = frozen(judge)(fake)
    truth, real_maps = judge(real)
    caught, _ = judge(fake.detach())
    terms = {game: fool(fooling)}
    if FEATURES in names:
        terms[FEATURES] = feature_matching_loss(fake_maps, real_maps)
    return terms, learn(truth, caught)
