"""A drawn person as arrays: one mesh with linear expression bases, its materials, paint and 68 landmarks."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .deform import deform, jaw_rotation
from .expression import EXPRESSIONS, INDEX
from .eyes import eyeball, glint, glint_offset, lashes, lid_rims
from .glasses import glasses
from .hair import hair
from .head import sculpt
from .identity import Identity, draw_identity
from .landmarks import landmark_weights
from .mesh import Part
from .mouth import mouth
from .parts import body, ear, skin
from .texture import ATLAS, TILES, paint

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HeadModel:
    """Geometry and looks of one identity, ready to be posed and drawn."""

    identity: Identity
    rest: Floats  # (V, 3) at zero expression
    normal: Floats  # (V, 3), not normalised where expressions move it
    moving: int  # the first `moving` vertices change with expression
    bases: Floats  # (E, moving * 3)
    normal_bases: Floats  # (E, moving * 3)
    uv: Floats  # (V, 2) in texels of the full atlas
    gaze: tuple[slice, slice]  # eyeball vertices
    glint: slice  # vertices of both reflections on the eyes
    glint_offset: Floats
    occlusion: Floats
    shine: Floats
    gloss: Floats
    follow: Floats
    triangles: NDArray[np.int64]  # (3, F)
    double_sided: NDArray[np.bool_]
    atlas: NDArray[np.float16]  # linear RGB texture
    half_atlas: Floats  # at half resolution, for small frames
    landmark_index: NDArray[np.int64]  # (68, 4) vertices
    landmark_weight: Floats  # (68, 4)


# Shift of the eye texture at gaze 1: the sine of 25° and 20° in radii of the ball, 3.2 of which span 256 texels.
GAZE_TEXELS = np.array([0.42, 0.34], np.float32) * (256 / 3.2)


def _normals(
    position: NDArray[np.float64], triangles: NDArray[np.int64], weld: NDArray[np.int64]
) -> NDArray[np.float64]:
    a, b, c = (position[triangles[:, corner]] for corner in range(3))
    face = np.cross(c - a, b - a)
    total = np.stack(
        [
            sum(np.bincount(weld[triangles[:, corner]], face[:, axis], len(position)) for corner in range(3))
            for axis in range(3)
        ],
        1,
    )[weld]
    length = np.linalg.norm(total, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.where(length > 1e-12, total / np.maximum(length, 1e-12), (0.0, 0.0, -1.0))
    return unit


@lru_cache(maxsize=8)
def build_model(number: int) -> HeadModel:
    """Sculpt, dress and paint an identity (about a third of a second; the last 8 are kept, 16 MB each)."""
    identity = draw_identity(number)
    neutral = sculpt(identity)
    zero = np.zeros(len(EXPRESSIONS))
    surface = deform(neutral, identity, zero)
    parts: list[Part] = [skin(surface), *mouth(neutral, identity)]
    for side in (-1, 1):
        parts += [lashes(surface, side), *lid_rims(surface, side)]
    moving_parts = len(parts)  # what expressions move comes first
    parts += [eyeball(neutral, -1), eyeball(neutral, 1), glint(neutral, -1), glint(neutral, 1)]
    parts += [ear(identity, -1), ear(identity, 1), body(identity), *hair(identity)]
    parts += glasses(identity, neutral)

    start = np.concatenate([[0], np.cumsum([len(part.position) for part in parts])])
    rest = np.concatenate([part.position for part in parts])
    triangles = np.concatenate([part.triangles + first for part, first in zip(parts, start[:-1], strict=True)])
    _, weld = np.unique((rest * 1e5).round().astype(np.int64), axis=0, return_inverse=True)
    weld = weld.ravel()
    moving = int(start[moving_parts])
    inner = triangles[(triangles < moving).all(1)]
    normal = _normals(rest, triangles, weld)
    bases, normal_bases = [], []
    for index in range(len(EXPRESSIONS)):
        unit = zero.copy()
        unit[index] = 1.0
        moved = rest.copy()
        moved[: len(surface)] = deform(neutral, identity, unit)
        skin_shift = moved[: len(surface)] - surface
        for part, first in zip(parts[1:moving_parts], start[1:], strict=False):
            last = first + len(part.position)
            if part.tied is not None:
                moved[first:last] += skin_shift[part.tied]
            elif index == INDEX["jaw"]:
                moved[first:last] += jaw_rotation(part.position, np.broadcast_to(part.jaw, len(part.position)))
        bases.append((moved - rest)[:moving].ravel())
        normal_bases.append(
            (
                _normals(moved[:moving], inner, np.arange(moving)) - _normals(rest[:moving], inner, np.arange(moving))
            ).ravel()
        )

    def spread(name: str) -> Floats:
        return np.concatenate([np.broadcast_to(getattr(part, name), len(part.position)) for part in parts]).astype(
            np.float32
        )

    texels = []
    for part in parts:
        left, top, width, height = TILES[part.tile]
        texels.append(np.array([left + 2, top + 2]) + part.uv * np.array([width - 4, height - 4]))
    left_eye, right_eye = moving_parts, moving_parts + 1
    atlas = paint(identity)
    landmark_index, landmark_weight = landmark_weights(identity)
    return HeadModel(
        identity=identity,
        rest=rest.astype(np.float32),
        normal=normal.astype(np.float32),
        moving=moving,
        bases=np.stack(bases).astype(np.float32),
        normal_bases=np.stack(normal_bases).astype(np.float32),
        uv=np.concatenate(texels).astype(np.float32),
        gaze=(
            slice(int(start[left_eye]), int(start[left_eye + 1])),
            slice(int(start[right_eye]), int(start[right_eye + 1])),
        ),
        glint=slice(int(start[right_eye + 1]), int(start[right_eye + 3])),
        glint_offset=np.tile(glint_offset(identity), (2, 1)).astype(np.float32),
        occlusion=spread("occlusion"),
        shine=spread("shine"),
        gloss=spread("gloss"),
        follow=spread("follow"),
        triangles=np.ascontiguousarray(triangles.T),
        double_sided=np.concatenate([np.full(len(part.triangles), part.double_sided) for part in parts]),
        atlas=atlas.astype(np.float16),
        half_atlas=atlas.reshape(ATLAS[0] // 2, 2, ATLAS[1] // 2, 2, 3).mean(axis=(1, 3)),
        landmark_index=landmark_index,
        landmark_weight=landmark_weight,
    )
