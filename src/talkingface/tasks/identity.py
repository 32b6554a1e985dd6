"""Identity decoupling: metric learning and mutual information (AniTalker, section 3.2, supplement 2.2.1)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.errors import ConfigError
from talkingface.core.interfaces import ImageCode, MotionEncoder
from talkingface.core.records import PairBatch
from talkingface.losses import CLUB, CLUBSample, MetricLearning
from talkingface.motion import LatentMotion
from talkingface.tasks.optim import Adam, frozen
from talkingface.tasks.terms import MotionTerms


class IdentityLosses(nn.Module):
    """Teach one head of the motion encoder who is seen, and keep it out of the other.

    *Pictures.* The driving picture is the anchor; the positive and the negative candidate have their labels, too. These
    three are encoded in one pass of the trunk. The source would add a picture of the same clip, and a pass of its own.

    *Identity.* The metric loss sees z_id behind the fully connected layers ("density" in the released network) that the
    supplement, 3.1, puts between them. The same embedding stands for identity in the mutual information.

    *Motion.* The bound is on the motion itself, behind the projector: what is rendered and what a generator learns. The
    wide latent before it has many other dimensions in which a bound can be lowered: with it a linear probe found as
    many people in the motion as without.

    *Direction.* Information is symmetric, CLUB's ``q(y|x)`` is not. Here it predicts the motion from the
    identity embedding. Such an estimator only has to know how each person's motion lies apart from everybody's, and the
    bound draws exactly that together. One that reads identity out of the motion has to follow all of a space that the
    encoder keeps turning away from it: its bound falls to zero while a linear probe still finds the person.

    *Who minimises the bound.* The motion side only; the embedding is detached. If the bound could reach it,
    forgetting who is who would be its cheapest minimum.

    *Scale.* The bound grows with the square of its vectors and with their dimensions, without limit, so the encoder
    could satisfy it, or break on it, by scale alone. Both vectors are normalised: motion to zero mean and unit variance
    of each dimension over the batch, the embedding, whose length the margin losses do not see either, to unit variance
    a dimension. The bound and the estimator's own loss are counted a dimension: one weight means the same at any width.

    *Estimator.* A player with its own optimiser group: it learns on detached vectors from the first step, and the
    encoder's bound is taken with its weights frozen. The bound of an estimator that has not learned says nothing;
    therefore the warm-up. It must learn faster than the encoder moves; give it no lower rate.

    Args:
        motion_encoder: a :class:`LatentMotion` that decouples identity.
        metric: makes the loss for embeddings of a width, such as ``AAMSoftmax`` or ``TripletLoss``.
        estimator: makes the bound for two widths: ``CLUBSample``, ``CLUB`` or ``CLUBMean``; ``None`` without
            mutual-information loss.
        player: Adam of the estimator.
        warmup: steps until the bound begins to count, and until it counts in full; linear between them.

    Raises:
        ConfigError: when the motion encoder has no identity head, or the warm-up goes backwards.
    """

    def __init__(
        self,
        motion_encoder: MotionEncoder,
        metric: Callable[[int], MetricLearning],
        estimator: Callable[[int, int], CLUB] | None = CLUBSample,
        player: Adam = Adam(1e-3, (0.9, 0.999)),  # noqa: B008 - frozen
        warmup: tuple[int, int] = (1000, 2000),
    ) -> None:
        super().__init__()
        if not isinstance(motion_encoder, LatentMotion) or motion_encoder.decoupling is None:
            raise ConfigError(
                "identity losses need a motion encoder with an identity head: LatentMotion, decouple=True."
            )
        if not 0 <= warmup[0] <= warmup[1]:
            raise ConfigError(
                f"warmup is {list(warmup)}; give the step at which the bound begins to count, then the last."
            )
        width = motion_encoder.image_encoder.code_dim
        self._wired = (motion_encoder,)  # in a tuple it is no submodule: its weights are not the losses'
        self.metric = metric(width)
        self.estimator = None if estimator is None else estimator(width, motion_encoder.spec.dim)
        self.player = player
        self.warmup = warmup

    def encode(self, batch: PairBatch) -> ImageCode:
        """Code ``(3B, C)`` of driving pictures, positives and negatives.

        Raises:
            ConfigError: when the data gives no candidates.
        """
        if "positive" not in batch:
            raise ConfigError("metric learning needs candidates, and the data gives none. Set --data.candidates true.")
        pictures = torch.cat([batch["driving"], batch["positive"], batch["negative"]])
        code: ImageCode = self._wired[0].image_encoder(pictures)
        return code

    def forward(self, code: ImageCode, batch: PairBatch, step: int) -> MotionTerms:
        """The terms of one step.

        Args:
            code: of :meth:`encode`.
            batch: whose labels count.
            step: seed of the bound's negatives.

        Returns:
            Losses ``metric`` and, with an estimator, ``mutual_information`` in nats a dimension of the motion,
            and what that estimator minimises; ``identity_accuracy``, the share that the metric loss judges right.
        """
        (encoder,) = self._wired
        with torch.autocast(code.code.device.type, enabled=False):  # tiny, and a margin of 0.2 needs precise cosines
            code = ImageCode(code.code.float(), ())
            embedding = encoder.identity_density(encoder.identity(code))
            anchor, positive, negative = embedding.chunk(3)
            metric, accuracy = self.metric.compare(
                anchor, positive, negative, batch["identity"], batch["negative_identity"]
            )
            if self.estimator is None:
                return MotionTerms({"metric": metric}, measured={"identity_accuracy": accuracy})
            width = embedding.shape[1]
            who = functional.normalize(embedding.detach()) * width**0.5
            motion = _standardised(encoder.motion_of(code))
            generator = torch.Generator().manual_seed(step)  # not torch's own: a resumed run must draw the same
            bound = frozen(self.estimator)(who, motion, generator=generator) / motion.shape[1]
            learning = self.estimator.learning_loss(who, motion.detach()) / motion.shape[1]
        return MotionTerms(
            {"metric": metric, "mutual_information": bound},
            {"estimator": learning},
            {"identity_accuracy": accuracy},
            {"mutual_information": self.ramp(step)},
        )

    def ramp(self, step: int) -> float:
        """How much the bound counts, in ``[0, 1]``."""
        start, full = self.warmup
        return 1.0 if step >= full else max(step - start, 0) / (full - start)

    def check_people(self, people: int) -> None:
        """Refuse data that shows more people than the metric loss can tell apart.

        Raises:
            ConfigError: naming the setting.
        """
        classes = self.metric.classes
        if classes is not None and people > classes:
            raise ConfigError(
                f"the training split shows {people} people and {type(self.metric).__name__} has {classes} classes. "
                f"Set --model.identity.metric.classes {people}."
            )


def _standardised(vectors: Tensor) -> Tensor:
    """``(B, D)`` → zero mean and unit variance of each dimension; what never varies stays zero."""
    centred = vectors - vectors.mean(0)
    return centred / (centred.square().mean(0) + 1e-8).sqrt()
