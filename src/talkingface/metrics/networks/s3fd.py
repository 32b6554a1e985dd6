"""The face detector S3FD (Zhang et al. 2017) as syncnet_python runs it; SyncNet's face crops begin with its boxes."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms

from talkingface.core.checks import check_shape
from talkingface.core.component import load_exactly
from talkingface.core.errors import ShapeError
from talkingface.core.tensors import read_tensors
from talkingface.metrics.networks.filling import empty, widened

RGB_MEAN = (123.0, 117.0, 104.0)  # of the backbone's training images, in [0, 255]
STRIDES = (4, 8, 16, 32, 64, 128)  # pixels between the anchors of each of the six maps
SIDES = tuple(4 * stride for stride in STRIDES)  # pixels of an anchor (paper, section 3.1)
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MAP_OVERLAP, FINAL_OVERLAP = 0.3, 0.1  # IoU above which the weaker box goes: inside the network, and afterwards
LEAST_SCORE = 0.05
CONSIDERED, KEPT = 5000, 750  # boxes that the first suppression looks at, and that it lets through

BACKBONE: tuple[int | str, ...] = (64, 64, "M", 128, 128, "M", 256, 256, 256, "C", 512, 512, 512, "M", 512, 512, 512)
BRANCHES = (16, 23, 30)  # layers after which the maps of strides 4, 8 and 16 leave: conv3_3, conv4_3, conv5_3


class ChannelNorm(nn.Module):
    """Unit length over channels, then one scale a channel (``L2Norm`` of the published file)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` → the same."""
        norm = features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return self.weight[:, None, None] * (features / norm)


class S3FDNet(nn.Module):
    """VGG16 with six detection heads; tensor names are those of ``sfd_face.pth``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = 3
        for step in BACKBONE:
            if isinstance(step, str):
                layers.append(nn.MaxPool2d(2, ceil_mode=step == "C"))
            else:
                layers += [nn.Conv2d(wide, step, 3, padding=1), nn.ReLU()]
                wide = step
        # VGG's fully connected layers 6 and 7, as convolutions
        layers += [nn.MaxPool2d(2), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU()]
        layers += [nn.Conv2d(1024, 1024, 1), nn.ReLU()]
        self.vgg = nn.ModuleList(layers)
        self.L2Norm3_3 = ChannelNorm(256)
        self.L2Norm4_3 = ChannelNorm(512)
        self.L2Norm5_3 = ChannelNorm(512)
        steps = [(1024, 256, 1, 1, 0), (256, 512, 3, 2, 1), (512, 128, 1, 1, 0), (128, 256, 3, 2, 1)]
        self.extras = nn.ModuleList(nn.Conv2d(*step) for step in steps)
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList(nn.Conv2d(wide, 4, 3, padding=1) for wide in widths)
        # Of the smallest anchors the strongest of three background scores counts (paper, section 3.3).
        classes = (4, 2, 2, 2, 2, 2)
        self.conf = nn.ModuleList(
            nn.Conv2d(wide, count, 3, padding=1) for wide, count in zip(widths, classes, strict=True)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What each anchor sees.

        Args:
            images: RGB in ``[0, 255]`` less :data:`RGB_MEAN`, ``(B, 3, H, W)``.

        Returns:
            Boxes ``(B, N, 4)`` x1, y1, x2, y2 as fractions of the image, and the score of a face ``(B, N)``.
        """
        sizes, scores, anchors = [], [], []
        for level, features in enumerate(self._maps(images)):
            anchors.append(anchor_boxes(images.shape[-2:], features.shape[-2:], level))
            logits = self.conf[level](features)
            background = logits[:, :-1].amax(dim=1)
            scores.append(torch.stack([background, logits[:, -1]], -1).softmax(-1)[..., 1].flatten(1))
            sizes.append(self.loc[level](features).permute(0, 2, 3, 1).flatten(1, 2))
        return decode(torch.cat(sizes, 1), torch.cat(anchors).to(images)), torch.cat(scores, 1)

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Features of strides 4 to 128."""
        maps = []
        norms = dict(zip(BRANCHES, (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3), strict=True))
        features = images
        for index, layer in enumerate(self.vgg):
            if index in norms:
                maps.append(norms[index](features))
            features = layer(features)
        maps.append(features)
        for index, layer in enumerate(self.extras):
            features = functional.relu(layer(features))
            if index % 2 == 1:
                maps.append(features)
        return maps


def anchor_boxes(image: tuple[int, int] | torch.Size, grid: tuple[int, int] | torch.Size, level: int) -> Tensor:
    """Anchors of one map, row by row.

    Args:
        image: height and width of the picture, in pixels.
        grid: height and width of the map.
        level: 0 to 5, stride 4 to 128.

    Returns:
        ``(h·w, 4)`` centre x, centre y, width, height, as fractions of the picture.
    """
    height, width = image
    rows = (torch.arange(grid[0]) + 0.5) * STRIDES[level] / height
    columns = (torch.arange(grid[1]) + 0.5) * STRIDES[level] / width
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    side = torch.full_like(x, SIDES[level])
    return torch.stack([x, y, side / width, side / height], -1).flatten(0, 1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Regressed offsets → boxes, as in SSD.

    Args:
        offsets: ``(B, N, 4)``.
        anchors: ``(N, 4)`` centre x, centre y, width, height.

    Returns:
        ``(B, N, 4)`` x1, y1, x2, y2.
    """
    centre = anchors[:, :2] + CENTRE_VARIANCE * offsets[..., :2] * anchors[:, 2:]
    size = anchors[:, 2:] * torch.exp(SIZE_VARIANCE * offsets[..., 2:])
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def suppress(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """The faces of one picture, strongest first.

    Args:
        boxes: ``(N, 4)`` x1, y1, x2, y2, in pixels.
        scores: ``(N,)``.
        threshold: a face scores above it.

    Returns:
        ``(n, 5)`` box and score.
    """
    seen = scores > LEAST_SCORE
    strongest = scores[seen].argsort(descending=True, stable=True)[:CONSIDERED]
    boxes, scores = boxes[seen][strongest], scores[seen][strongest]
    kept = nms(boxes, scores, MAP_OVERLAP)[:KEPT]
    kept = kept[scores[kept] > threshold]
    kept = kept[nms(boxes[kept], scores[kept], FINAL_OVERLAP)]
    return torch.cat([boxes[kept], scores[kept, None]], -1)


class S3FD:
    """The detector with its published weights.

    Args:
        path: ``sfd_face.pth``, or the same tensors as safetensors.
        device: where it computes.

    Raises:
        WeightsError: a file of another network, naming what differs.
    """

    def __init__(self, path: str | Path, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        network = empty(S3FDNet)
        load_exactly(network, widened(read_tensors(path)), str(path))
        self.network = network.eval().requires_grad_(False).to(self.device)

    @torch.no_grad()
    def detect(self, frames: Tensor, scale: float = 0.25, threshold: float = 0.9, batch: int = 16) -> list[Tensor]:
        """Find the faces in each frame.

        Args:
            frames: uint8 RGB ``(T, 3, H, W)``.
            scale: faces are looked for in a picture this much smaller, without anti-aliasing, as the official
                chain does.
            threshold: a face scores above it.
            batch: frames that are looked at together.

        Returns:
            One ``(n, 5)`` float32 a frame on the CPU: x1, y1, x2, y2 in pixels of the whole frame, and the score, the
            strongest first; ``(0, 5)`` where no face was found.

        Raises:
            ShapeError: other frames, or frames smaller than the network can look at.
        """
        check_shape(frames, ("T", 3, "H", "W"), "frames")
        height, width = frames.shape[-2:]
        size = (round(height * scale), round(width * scale))
        if frames.dtype != torch.uint8 or min(size) < STRIDES[3]:
            raise ShapeError(
                f"frames are {frames.dtype} of {height}×{width}, expected uint8 of at least "
                f"{round(STRIDES[3] / scale)} pixels a side, of which S3FD is shown {scale:g}."
            )
        found = []
        whole = torch.tensor([width, height, width, height])
        for part in frames.split(batch):
            boxes, scores = self.network(self._shrink(part.to(self.device), size))
            boxes, scores = boxes.cpu() * whole, scores.cpu()
            found += [suppress(*pair, threshold) for pair in zip(boxes, scores, strict=True)]
        return found

    @staticmethod
    def _shrink(frames: Tensor, size: tuple[int, int]) -> Tensor:
        small = functional.interpolate(frames.float(), size, mode="bilinear", align_corners=False)
        mean = torch.tensor(RGB_MEAN, device=frames.device)[:, None, None]
        return small.add(0.5).floor().clamp(0, 255) - mean  # the official chain resizes 8-bit pixels
