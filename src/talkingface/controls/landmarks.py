"""Control tracks from the 68 landmarks of face-alignment."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from talkingface.controls.pictures import PictureControls
from talkingface.metrics import Extractor, FaceDetector, FANLandmarks, LandmarkPose, Track


class LandmarkControls(PictureControls):
    """Largest face by MTCNN, 68 points by 2DFAN-4, pose by fitting an average face to them.

    Args:
        device: where the networks compute.

    Raises:
        WeightsError: at the first reading, when the weights of 2DFAN-4 are missing.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        super().__init__()
        self.device = device

    @cached_property
    def extractors(self) -> Mapping[str, Extractor]:
        """What finds face, landmarks and pose; loaded when they are first needed."""
        return {"face": FaceDetector(self.device), "landmarks": FANLandmarks(self.device), "pose": LandmarkPose()}

    def fingerprint(self) -> str:
        """See :meth:`PictureControls.fingerprint`."""
        return json.dumps([extractor.describe() for extractor in self.extractors.values()], sort_keys=True)

    def see(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[tuple[Tensor, Tensor]]:
        """See :meth:`PictureControls.see`."""
        for frames in batches:
            track = Track(torch.from_numpy(frames).movedim(-1, 1).contiguous(), self.extractors)
            height, width = frames.shape[1:3]
            yield track.feature("landmarks") / torch.tensor([width, height]), track.feature("pose")
