"""The improved residual networks that ArcFace's published backbones are made of (insightface, ``backbone.pth``)."""

from pathlib import Path

from torch import Tensor, nn

from talkingface.core.component import load_exactly
from talkingface.core.tensors import read_tensors
from talkingface.metrics.networks.filling import empty, widened

LAYERS = {18: (2, 2, 2, 2), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
WIDTHS = (64, 128, 256, 512)
EMBEDDING = 512
SIDE = 112  # pixels of the input; four strides of 2 leave 7


class IResNet(nn.Module):
    """Aligned face → embedding (Deng et al. 2019, section 3.1; Duta et al. 2020 for the block).

    Tensor names are those of the published files.

    Args:
        depth: 18, 50 or 100.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        inputs = (WIDTHS[0], *WIDTHS)
        layers = [
            nn.Sequential(Block(wide_in, wide, 2), *(Block(wide, wide, 1) for _ in range(blocks - 1)))
            for wide_in, wide, blocks in zip(inputs, WIDTHS, LAYERS[depth], strict=False)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.bn2 = nn.BatchNorm2d(WIDTHS[-1])
        self.fc = nn.Linear(WIDTHS[-1] * (SIDE // 16) ** 2, EMBEDDING)
        self.features = nn.BatchNorm1d(EMBEDDING)  # its scale was frozen at 1 in training

    def forward(self, faces: Tensor) -> Tensor:
        """``(B, 3, 112, 112)`` RGB in ``[-1, 1]`` → ``(B, 512)``, not normalised."""
        hidden = self.prelu(self.bn1(self.conv1(faces)))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        embedding: Tensor = self.features(self.fc(self.bn2(hidden).flatten(1)))
        return embedding


class Block(nn.Module):
    """BN, convolution, BN, PReLU, strided convolution, BN, beside a shortcut."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(wide_in)
        self.conv1 = nn.Conv2d(wide_in, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.prelu = nn.PReLU(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        else:
            self.downsample = nn.Sequential()

    def forward(self, hidden: Tensor) -> Tensor:
        """``(B, wide_in, H, W)`` → ``(B, wide, H / stride, W / stride)``."""
        residual: Tensor = self.conv1(self.bn1(hidden))
        residual = self.bn3(self.conv2(self.prelu(self.bn2(residual))))
        shortcut: Tensor = self.downsample(hidden)
        return residual + shortcut


def load_iresnet(path: str | Path, depth: int) -> IResNet:
    """Load a published backbone; halved floats are widened.

    Args:
        path: ``backbone.pth``, or the same tensors as safetensors.
        depth: 18, 50 or 100.

    Returns:
        In evaluation mode, without gradients.

    Raises:
        WeightsError: a file of another network, naming what differs.
    """
    network = empty(lambda: IResNet(depth))
    load_exactly(network, widened(read_tensors(path)), str(path))
    return network.eval().requires_grad_(False)
