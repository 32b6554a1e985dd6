"""Head pose from 68 landmarks: the extractor ``pose``, a rule without a network."""

import functools
import json
from pathlib import Path

import torch
from torch import Tensor

from talkingface.core.checks import check_shape
from talkingface.metrics.track import Extractor, Track


class LandmarkPose(Extractor):
    """Rotation of the head by fitting an average face to the track's ``landmarks``.

    Meant for comparing a track with another of the same face: the error of an average face is in both. It leans on
    jaw points that are fixed to the skin; points that follow the visible contour (2DFAN) are drawn towards the front.
    """

    convention = (
        "pose/template: weak-perspective least-squares fit of 68 landmarks to an average neutral face, nearest rotation"
    )

    def extract(self, track: Track) -> Tensor:
        """Rotation matrices ``(T, 3, 3)`` as :func:`talkingface.core.geometry.rotation`, NaN without landmarks."""
        landmarks = track.feature("landmarks")
        found = ~landmarks.isnan().any((-2, -1))
        pose = torch.full((len(landmarks), 3, 3), torch.nan)
        pose[found] = fit_pose(landmarks[found]).float()
        return pose


def fit_pose(landmarks: Tensor) -> Tensor:
    """Rotation that lays the average face over landmarks, by orthographic projection and one scale.

    The 2×3 matrix that projects best has a linear solution; its nearest pair of orthonormal rows are the rotation's
    first two (DeMenthon and Davis 1995, POS, with all rows treated alike).

    Args:
        landmarks: 68 points in pixels, ``(N, 68, 2)``, none of them NaN.

    Returns:
        ``(N, 3, 3)`` float64.
    """
    check_shape(landmarks, ("N", 68, 2), "landmarks")
    points = landmarks.double()
    points = points - points.mean(1, keepdim=True)
    projection = (torch.linalg.pinv(face_template()) @ points).mT
    left, _, right = torch.linalg.svd(projection, full_matrices=False)
    rows = left @ right
    return torch.cat((rows, torch.linalg.cross(rows[:, :1], rows[:, 1:])), 1)


@functools.cache
def face_template() -> Tensor:
    """The average face about its centroid, ``(68, 3)`` float64; ``face_template.json`` says where it comes from."""
    content = json.loads(Path(__file__).with_name("face_template.json").read_text(encoding="utf-8"))
    points = torch.tensor(content["points"], dtype=torch.float64)
    return points - points.mean(0)
