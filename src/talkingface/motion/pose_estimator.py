"""Head pose, shift and expression of a picture: face-vid2vid's estimator, a ResNet-50 (Wang et al. 2021, fig. 11c)."""

from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.geometry import HOPENET_BINS
from talkingface.core.nn.angles import AngleHeads
from talkingface.core.nn.volume import ConvBlock, scaled
from talkingface.motion.heads import keypoint_head

STEM = 64  # channels
CHANNELS = (256, 512, 1024, 2048)  # of the stages
BLOCKS = (3, 3, 5, 2)  # in each stage, behind the one that halves the size
SQUEEZE = 4  # how much narrower a bottleneck is


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions with batch norm; the 3x3 takes the stride.

    Args:
        channels: of input and output.
        stride: 1, or 2 to halve the size.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = max(1, channels // SQUEEZE)
        self.squeeze = ConvBlock(2, channels, inner, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride, padding=1), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)
        )
        self.expand = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))
        self.skip = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(channels, channels, 1, stride), nn.BatchNorm2d(channels))
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H / stride, W / stride)``."""
        return functional.relu(self.expand(self.conv(self.squeeze(features))) + self.skip(features))


class PoseEstimator(nn.Module):
    """Picture → expression, head pose and translation.

    Args:
        keypoints: number of keypoints K that the expression moves.
        width: factor on the published number of channels.
    """

    def __init__(self, keypoints: int, width: float = 1.0) -> None:
        super().__init__()
        stem = scaled(STEM, width)
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 7, 2, padding=3), nn.BatchNorm2d(stem), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.stages = nn.ModuleList()
        channels = stem
        for stage, (count, blocks) in enumerate(zip(CHANNELS, BLOCKS, strict=True)):
            lift = ConvBlock(2, channels, channels := scaled(count, width), 1)
            halving = [Bottleneck(channels, 2)] if stage else []
            self.stages.append(nn.Sequential(lift, *halving, *(Bottleneck(channels) for _ in range(blocks))))
        self.angles = AngleHeads(channels, HOPENET_BINS)
        self.heads = nn.ModuleDict(
            {"expression": keypoint_head(channels, 3 * keypoints), "translation": keypoint_head(channels, 3)}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Parts of the motion of a picture.

        Args:
            image: ``(N, 3, H, W)`` in ``[0, 1]``.

        Returns:
            ``pose`` ``(N, 3)`` in degrees, ``expression`` ``(N, 3K)`` and ``translation`` ``(N, 3)``.
        """
        features = self.stem(image)
        for stage in self.stages:
            features = stage(features)
        code = features.mean((-2, -1))
        return {"pose": self.angles(code), **{name: head(code).float() for name, head in self.heads.items()}}
