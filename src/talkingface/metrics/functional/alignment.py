"""Similarity transforms between point sets (Umeyama 1991), and the warp that aligns faces by them, in float64."""

import torch
from torch import Tensor
from torch.nn import functional

from talkingface.core.checks import check_shape

# Eyes, nose and mouth corners on 112×112, on which ArcFace was trained (insightface)
ARCFACE_TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def umeyama(source: Tensor, target: Tensor, *, scaled: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, rotation and translation that bring points nearest to others, ``target ≈ s·R·source + t``.

    Least squares (Umeyama 1991, equations 40 to 43); a reflection is never taken.

    Args:
        source: ``(..., N, D)``, not all in one place.
        target: the same shape.
        scaled: whether the scale is free; otherwise it is 1.

    Returns:
        Scale ``(...)``, rotation ``(..., D, D)``, translation ``(..., D)``, float64.

    Raises:
        ShapeError: two shapes.

    >>> corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> scale, rotation, translation = umeyama(corners, 2 * corners + 5)
    >>> round(scale.item(), 6), [round(value, 6) for value in translation.tolist()]
    (2.0, [5.0, 5.0])
    """
    check_shape(target, tuple(source.shape), "target")
    source, target = source.double(), target.double()
    source_mean, target_mean = source.mean(-2), target.mean(-2)
    source_rest, target_rest = source - source_mean[..., None, :], target - target_mean[..., None, :]
    covariance = target_rest.mT @ source_rest / source.shape[-2]
    left, spread, right = torch.linalg.svd(covariance)
    signs = torch.ones_like(spread)
    signs[..., -1] = torch.linalg.det(left @ right).sign()
    rotation = left @ (signs[..., None] * right)
    variance = source_rest.square().sum(-1).mean(-1)
    scale = (spread * signs).sum(-1) / variance if scaled else torch.ones_like(variance)
    translation = target_mean - scale[..., None] * (rotation @ source_mean[..., None])[..., 0]
    return scale, rotation, translation


def similarity_matrix(source: Tensor, target: Tensor) -> Tensor:
    """The same as one matrix ``[s·R | t]``, as image libraries take it.

    Args:
        source: ``(..., N, D)``.
        target: the same shape.

    Returns:
        ``(..., D, D + 1)`` float64.
    """
    scale, rotation, translation = umeyama(source, target)
    return torch.cat([scale[..., None, None] * rotation, translation[..., None]], -1)


def align_faces(frames: Tensor, points: Tensor, size: int = 112) -> Tensor:
    """Turn, scale and crop each frame so that its five points come to lie on ArcFace's template.

    Bilinear, black outside the frame, without anti-aliasing, as insightface does.

    Args:
        frames: uint8 ``(T, 3, H, W)``.
        points: eyes, nose and mouth corners in pixels of the frame, ``(T, 5, 2)``, pixel centres at whole numbers.
        size: side of the aligned square; the template is scaled with it.

    Returns:
        float32 ``(T, 3, size, size)`` in ``[0, 255]``.

    Raises:
        ShapeError: other shapes.
    """
    check_shape(frames, ("T", 3, "H", "W"), "frames")
    check_shape(points, (len(frames), 5, 2), "points")
    height, width = frames.shape[-2:]
    template = points.new_tensor(ARCFACE_TEMPLATE, dtype=torch.float64) * (size / 112)
    # Fitted from frame to template, as published, and inverted: a fit the other way would be another one.
    forward = similarity_matrix(points, template.expand(len(points), 5, 2))
    linear = torch.linalg.inv(forward[..., :2])
    matrix = torch.cat([linear, -linear @ forward[..., 2:]], -1)
    axis = torch.arange(size, dtype=torch.float64, device=points.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)
    where = (pixels @ matrix.mT).unflatten(1, (size, size))
    grid = (2 * where + 1) / where.new_tensor([width, height]) - 1
    return functional.grid_sample(frames.float(), grid.float().to(frames.device), align_corners=False)
