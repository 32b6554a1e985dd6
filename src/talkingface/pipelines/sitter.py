"""A portrait made ready: found in its picture, encoded once, drawn with any motion."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Source
from talkingface.pipelines.face import Landmarks, find_landmarks
from talkingface.pipelines.portrait import Crop, read_portrait
from talkingface.pipelines.retouch import Retouch, check_retouch

if TYPE_CHECKING:
    from talkingface.pipelines.animator import Animator

ADVISED_YAW = 45.0  # degrees; face-vid2vid's authors advise no more


class Sitter:
    """Who is animated. All that depends on the portrait alone is computed here, once.

    Args:
        animator: the model.
        source: the portrait: a picture, a video of which the first frame is taken, or uint8 ``(H, W, 3)``.
        crop: the square that is animated, see :func:`talkingface.pipelines.portrait.read_portrait`.
        paste_back: put the animated square back into the full picture.
        stitch: leave the shoulders in place, by the model's retargeting part; ``None``: when pasting back, where there
            is one.
        eyes, lips: how far both eyes and the lips are open, height over width, 0 to 0.8, by the same part.
        landmarks: finds 68 points in pictures, where one of these options needs them.

    Attributes:
        seen: what the model sees of the portrait.
        size: height and width of the frames.
        files: what is read, by what it is.
        notes: what a user should know: the face that was chosen, a head that is turned far …

    Raises:
        MediaError: when the portrait cannot be read or shows no face.
        ShapeError: when it is an array of another kind.
        ConfigError: when the model cannot be stitched or opened.
    """

    def __init__(
        self,
        animator: "Animator",
        source: str | Path | NDArray[np.uint8],
        *,
        crop: Crop = "auto",
        paste_back: bool = False,
        stitch: bool | None = None,
        eyes: float | None = None,
        lips: float | None = None,
        landmarks: Landmarks = find_landmarks,
    ) -> None:
        part, spec = animator.retargeting, animator.motion_encoder.spec
        check_retouch(part, stitch, eyes, lips)
        self._animator = animator
        self._portrait = read_portrait(source, crop, landmarks)
        self._paste_back = paste_back
        self.seen = animator.appearance(self._portrait.square)
        self._retouch = None
        if part is not None:
            self._retouch = Retouch(part, spec, self.seen, paste_back if stitch is None else stitch)
            if eyes is not None or lips is not None:
                self._retouch.open(landmarks(self._portrait.square[None])[0], eyes=eyes, lips=lips)
        side = animator.renderer.size
        self.size = self._portrait.picture.shape[:2] if paste_back else (side, side)
        self.files = {} if isinstance(source, np.ndarray) else {"portrait": Path(source)}
        self.notes = (*self._portrait.notes, *_profile(self.seen, spec))

    @torch.inference_mode()
    def code(self) -> Tensor:
        """Code ``(1, C)`` of the portrait as generators are trained with: that of the motion encoder's trunk."""
        trunk = self._animator.motion_encoder.image_encoder
        if trunk is None:
            return self.seen.identity
        code: Tensor = trunk(self._animator.prepare(self._portrait.square[None], trunk.size)).code
        return code

    def draw(self, motion: Tensor) -> NDArray[np.uint8]:
        """Frames ``(n, H, W, 3)`` with motion ``(n, D)``.

        Raises:
            WeightsError: when a frame comes out as NaN or infinite.
        """
        moved = motion if self._retouch is None else self._retouch(motion)
        frames = self._animator.render(self.seen, moved)
        return self._portrait.paste(frames) if self._paste_back else frames


def _profile(seen: Source, spec: MotionSpec) -> tuple[str, ...]:
    """A note where a head is turned further than keypoints were trained for."""
    if spec.convention is None:
        return ()
    yaw = abs(float(seen.motion[0, spec.slice("pose")][0]))
    if yaw <= ADVISED_YAW:
        return ()
    return (f"the portrait looks {yaw:.0f}° to the side; beyond {ADVISED_YAW:.0f}° results are poor.",)
