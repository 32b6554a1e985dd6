"""Head pose against a teacher: the loss, and Hopenet, the teacher of face-vid2vid."""

import torch
import torchvision
from torch import Tensor, nn
from torchvision.transforms.v2.functional import normalize

from talkingface.core.checks import check_image, check_shape
from talkingface.core.component import Component, load_exactly
from talkingface.core.frozen import Frozen
from talkingface.core.geometry import HOPENET_BINS
from talkingface.core.images import resize
from talkingface.core.nn.angles import AngleHeads
from talkingface.core.tensors import read_tensors
from talkingface.weights import find_weights

SIDE = 224  # pixels
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def head_pose_loss(pose: Tensor, teacher: Tensor) -> Tensor:
    """Degrees by which a head pose is off, summed over its three angles (face-vid2vid, appendix A.2).

    Args:
        pose: yaw, pitch, roll in degrees ``(B, 3)``.
        teacher: the same in the same convention; NaN where unknown, which does not count. No gradient flows to it.

    Returns:
        Scalar, at least 0: mean over the pictures whose pose is known.
    """
    check_shape(pose, ("B", 3), "pose")
    check_shape(teacher, pose.shape, "teacher")
    known = teacher.isfinite().all(-1)
    degrees = torch.where(known[:, None], pose - teacher.detach(), 0).abs().sum()
    return degrees / known.sum().clamp(min=1)


class HopenetHeads(nn.Module):
    """ResNet-50 with 66 bins for each angle (Ruiz et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torchvision.models.resnet50(weights=None)
        width = self.trunk.fc.in_features
        self.trunk.fc = nn.Identity()
        self.angles = AngleHeads(width, HOPENET_BINS)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → yaw, pitch, roll in degrees ``(B, 3)``."""
        pose: Tensor = self.angles(self.trunk(normalize(resize((image + 1) / 2, SIDE), IMAGENET_MEAN, IMAGENET_STD)))
        return pose


class Hopenet(Component):
    """Head pose of a picture in Hopenet's own angles, by its frozen network.

    Args:
        weights: ``hopenet_robust_alpha1.pkl`` or the same tensors as safetensors; by default it is looked for where
            networks are kept.

    Raises:
        WeightsError: when the file is not there, or is of another network.
    """

    def __init__(self, *, weights: str | None = None) -> None:
        super().__init__()
        path = find_weights("hopenet", weights)
        with torch.device("meta"):  # no time spent on random weights that are replaced at once
            network = HopenetHeads()
        network = network.to_empty(device="cpu")
        # Files of its time do not count batches, which nothing reads.
        tensors = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
        for name, value in read_tensors(path).items():
            if not name.startswith("fc_finetune."):  # of an experiment; nothing reads it either
                ours = f"angles.{name.removeprefix('fc_')}" if name.startswith("fc_") else f"trunk.{name}"
                tensors[ours] = value.float() if value.is_floating_point() else value
        load_exactly(network, tensors, str(path))
        self.network = Frozen(network)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in ``[-1, 1]`` → yaw, pitch, roll in degrees ``(B, 3)``."""
        check_image(image)
        pose: Tensor = self.network(image)
        return pose
