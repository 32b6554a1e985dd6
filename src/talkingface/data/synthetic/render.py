"""Posing, lighting and drawing one frame of a head."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backdrop import backdrop
from .expression import INDEX
from .identity import Identity
from .model import GAZE_TEXELS, HeadModel, build_model
from .parts import NECK_PIVOT
from .rasterizer import rasterize

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

REST_NOSE = (0.5, 0.54)  # of the frame
REST_ZOOM = 0.35  # frame heights a head unit
BODY_SHARE = 0.55  # of the head's movement and growth, the part that the shoulders join in


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Rotation matrix ``Rz(roll) @ Ry(yaw) @ Rx(pitch)`` for column vectors (x right, y down, z into the screen).

    Args:
        yaw: degrees; positive moves the nose to the left of the picture.
        pitch: degrees; positive moves the nose down.
        roll: degrees; positive turns the head clockwise in the picture.

    Returns:
        ``(3, 3)``.

    >>> rotation(0, 0, 90).round() @ [1, 0, 0]
    array([0., 1., 0.])
    """
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.deg2rad([yaw, pitch, roll]))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    matrix: Floats = (about_z @ about_y @ about_x).astype(np.float32)
    return matrix


@dataclass(frozen=True)
class Placement:
    """Where the head stands: ``screen = zoom * (R @ point)[:2] + shift`` in frame units."""

    matrix: Floats
    zoom: float
    shift: Floats


def expressed(model: HeadModel, expression: Floats) -> Floats:
    """Vertices of a model under an expression, ``(V, 3)`` in head units."""
    moved = model.rest.copy()
    moved[: model.moving] += (expression @ model.bases).reshape(-1, 3)
    return moved


def landmarks_of(model: HeadModel, vertices: Floats) -> Floats:
    """The 68 landmarks on given vertices, ``(68, 3)`` in head units."""
    points: Floats = (vertices[model.landmark_index] * model.landmark_weight[..., None]).sum(axis=1)
    return points


def brow_chin(points: Floats) -> float:
    """Distance of the mid-point of landmarks 21 and 22 to landmark 8 in the picture plane."""
    return float(np.linalg.norm((points[21, :2] + points[22, :2]) / 2 - points[8, :2]))


def draw(model: HeadModel, vertices: Floats, expression: Floats, place: Placement, size: int) -> Bytes:
    """Light and rasterise a posed model, ``(size, size, 3)``."""
    factor = 4 if size <= 72 else 3 if size <= 100 else 2
    wide = size * factor
    turned = vertices @ place.matrix.T
    pivot = NECK_PIVOT.astype(np.float32)
    head = turned * np.float32(place.zoom)
    head[:, :2] += place.shift
    head[model.glint] += np.float32(place.zoom) * model.glint_offset
    neck = place.zoom * (place.matrix @ pivot)
    neck[:2] += place.shift
    rest_neck = np.array([REST_NOSE[0], REST_NOSE[1] + REST_ZOOM * (pivot[1] - 0.245)], np.float32)
    body_zoom = REST_ZOOM + 0.7 * (place.zoom - REST_ZOOM)
    body = (vertices - pivot) * np.float32(body_zoom)
    body[:, :2] += rest_neck + np.float32(BODY_SHARE) * (neck[:2] - rest_neck)
    body[:, 2] += neck[2]
    follow = model.follow[:, None]
    screen = head * follow + body * (1 - follow)
    screen[:, :2] = screen[:, :2] * wide - 0.5

    normal = model.normal.copy()
    normal[: model.moving] += (expression @ model.normal_bases).reshape(-1, 3)
    normal = (normal @ place.matrix.T) * follow + normal * (1 - follow)
    normal /= np.sqrt(np.einsum("vi,vi->v", normal, normal))[:, None]
    uv = model.uv.copy()
    gaze = expression[[INDEX["gaze_x"], INDEX["gaze_y"]]] * GAZE_TEXELS
    for eye in model.gaze:
        uv[eye] -= gaze
    values = np.concatenate([uv, _light(model, normal)], axis=1)
    seen = rasterize(screen, values, model.triangles, wide, model.double_sided)

    # About one texel a sample: nearest sampling then neither blurs nor flickers.
    atlas, mip = (model.atlas, 1) if wide > 320 else (model.half_atlas, 2)
    column = (seen.values[:, 0] / mip).astype(np.int32)
    row = (seen.values[:, 1] / mip).astype(np.int32)
    paint = atlas.reshape(-1, 3)[row * atlas.shape[1] + column]
    image = _backdrop(model.identity, size, factor).copy()
    image[seen.sample] = paint * seen.values[:, 2:5] + seen.values[:, 5:6]
    np.clip(image, 0, 1, out=image)
    return _ENCODE[(_shrink(image, size, factor) * 4095 + 0.5).astype(np.int32)]


def _shrink(image: Floats, size: int, factor: int) -> Floats:
    """Mean of ``factor × factor`` samples; strided sums are several times faster here than ``mean(axis=(1, 3))``."""
    rows = image.reshape(size, factor, -1)
    tall = sum((rows[:, index] for index in range(1, factor)), start=rows[:, 0])
    columns = tall.reshape(size, size, factor, 3)
    wide = sum((columns[:, :, index] for index in range(1, factor)), start=columns[:, :, 0])
    small: Floats = wide * np.float32(1 / factor**2)
    return small


def _light(model: HeadModel, normal: Floats) -> Floats:
    """Light that falls on each vertex, ``(V, 4)``: diffuse RGB and highlight."""
    person = model.identity
    key = person.key_direction().astype(np.float32)
    warm = np.array([1 + 0.10 * person.warmth, 1.0, 1 - 0.14 * person.warmth], np.float32)
    wrap = np.array([0.34, 0.20, 0.15], np.float32)  # red light travels furthest under the skin
    facing = normal @ key
    diffuse = np.maximum(facing[:, None] + wrap, 0) / (1 + wrap)
    fill = np.maximum(normal @ np.array([-np.sign(person.key_azimuth) * 0.7, -0.1, -0.7], np.float32), 0)[:, None]
    sky = (0.5 - 0.5 * normal[:, 1])[:, None]
    ambient = sky * np.array([0.30, 0.32, 0.35], np.float32) + (1 - sky) * np.array([0.20, 0.17, 0.15], np.float32)
    shade = model.occlusion[:, None]
    rgb = shade * (ambient + 0.20 * fill) + (0.1 + 0.9 * shade) * diffuse * warm * np.float32(
        0.74 * person.key_strength
    )
    half = key + np.array([0, 0, -1], np.float32)
    half /= np.linalg.norm(half)
    highlight = (
        model.shine * np.exp(model.gloss * (normal @ half - 1)) * (0.4 + 0.6 * model.occlusion) * np.float32(0.55)
    )
    return np.concatenate([rgb, highlight[:, None]], axis=1).astype(np.float32)


_ENCODE: Bytes = (255 * np.clip(np.linspace(0, 1, 4096), 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)


@lru_cache(maxsize=8)
def _backdrop(identity: Identity, size: int, factor: int) -> Floats:
    """Backdrop with every pixel repeated to ``factor × factor`` samples, ``(samples, 3)``."""
    picture = backdrop(identity, size)
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1).reshape(-1, 3)


def render_frame(
    identity: int,
    pose: ArrayLike,
    location: float | ArrayLike = REST_NOSE,
    scale: float = 0.41,
    expression: ArrayLike | None = None,
    size: int = 128,
) -> tuple[Bytes, Floats]:
    """Draw one frame under exact control.

    Args:
        identity: identity number.
        pose: yaw, pitch, roll in degrees, see :func:`rotation`.
        location: place of the nose tip (landmark 30) in the frame as x, or (x, y), in [0, 1].
        scale: distance of the mid-point of landmarks 21 and 22 to landmark 8 in the picture over frame height.
        expression: ``(len(EXPRESSIONS),)``; ``None`` is neutral.
        size: height and width in pixels.

    Returns:
        Frame ``(size, size, 3)`` and landmarks ``(68, 2)`` as fractions of the frame.
    """
    model = build_model(identity)
    values = np.zeros(len(INDEX), np.float32) if expression is None else np.asarray(expression, np.float32)
    nose = np.asarray(location, np.float32).ravel()
    if nose.size == 1:
        nose = np.array([nose[0], REST_NOSE[1]], np.float32)
    yaw, pitch, roll = (float(angle) for angle in np.asarray(pose, np.float32))
    vertices = expressed(model, values)
    matrix = rotation(yaw, pitch, roll)
    points = landmarks_of(model, vertices) @ matrix.T
    zoom = float(scale) / brow_chin(points)
    shift = nose - np.float32(zoom) * points[30, :2]
    frame = draw(model, vertices, values, Placement(matrix, zoom, shift), size)
    return frame, (points[:, :2] * np.float32(zoom) + shift).astype(np.float32)
