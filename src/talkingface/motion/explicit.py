"""Base of the explicit representations: motion that is measured in a face, and not learned."""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from talkingface.core.errors import ConfigError
from talkingface.core.images import to_uint8
from talkingface.core.interfaces import ControlReader, MotionEncoder


class ExplicitMotion(MotionEncoder):
    """Motion from the labels of a frame; where there is only a picture, a reader measures it.

    Nothing is learned here, so a renderer has to bridge whatever the numbers do not say.

    Args:
        reader: measures pictures; without one, motion can be had of labelled frames only.
    """

    def __init__(self, reader: ControlReader | None) -> None:
        super().__init__()
        self.reader = reader

    @abstractmethod
    def measured(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Motion ``(..., D)`` from all of ``self.labels``, as :meth:`of_labels` takes them."""

    def of_labels(self, labels: Mapping[str, Tensor]) -> Tensor | None:
        """See :meth:`MotionEncoder.of_labels`."""
        return self.measured(labels) if all(name in labels for name in self.labels) else None

    def fingerprint(self) -> str:
        """That of the reader."""
        return "" if self.reader is None else self.reader.fingerprint()

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in ``[-1, 1]`` → ``(N, D)``, NaN where no face is found.

        Raises:
            ConfigError: without a reader, or with one that does not measure what the motion is made of.
        """
        kind = type(self).__name__
        if self.reader is None:
            raise ConfigError(
                f"{kind} needs {', '.join(self.labels)} of these pictures: the data has no such labels, and no reader "
                "was given. Label the clips (--data.controls), or give a reader (--model.motion_encoder.reader)."
            )
        with torch.no_grad():
            found = self.reader.read(None, to_uint8(image).cpu().numpy())
            motion = self.of_labels({name: track.to(image.device) for name, track in found.items()})
        if motion is None:
            missing = [name for name in self.labels if name not in found]
            raise ConfigError(
                f"{type(self.reader).__name__} does not measure {', '.join(missing)}, which {kind} needs."
            )
        return motion
