"""Who a synthetic head is: shape, colours, hair, clothes, light and voice, all drawn from the identity number."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Colour = tuple[float, float, float]  # linear RGB in [0, 1]

HAIR_STYLES = ("short", "swept", "bob", "long", "bun", "curly", "buzz", "fringe")
NECKLINES = ("crew", "vee", "shirt", "roll")
BACKDROPS = ("studio", "room", "bokeh", "outdoor")

# sRGB bytes; a stylised range of natural tones, light to dark
_SKINS = ("f2cdb4", "ebbf9f", "e2ae8a", "d69d76", "c48a62", "a86f4b", "8b5838", "6c432c")
_HAIRS = ("17110e", "2a1c14", "42291a", "5e3b22", "85582f", "b48a4f", "d3b376", "8c3f1f", "77736f", "b9b5b0")
_IRISES = ("4a2f1b", "6b4423", "7d6a35", "5c7548", "4a7a8c", "5f8fb5", "7c8a92")
_CLOTHS = (
    "27364f",
    "5b2333",
    "2f4f43",
    "c8c3b8",
    "e9e6df",
    "1d1d20",
    "7a8ba3",
    "a8503a",
    "c59a3d",
    "4c3a63",
    "3b6ea5",
    "8f9f76",
)


def linear(code: str) -> Colour:
    """Linear RGB of a hexadecimal sRGB colour."""
    red, green, blue = (((int(code[i : i + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for i in (0, 2, 4))
    return red, green, blue


@dataclass(frozen=True)
class Identity:
    """Everything that stays the same for one person. Lengths are in head units (brow to chin is about 1.17)."""

    number: int
    face_width: float
    jaw_width: float
    chin_length: float
    cheek: float
    eye_spacing: float
    eye_size: float
    eye_open: float
    eye_tilt: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    nose_height: float
    mouth_width: float
    lip_fullness: float
    neck_width: float
    hair_style: str
    hair_volume: float
    parting: float  # -1 … 1, side on which the hair parts
    glasses: float  # 0 none; the size is the thickness of the frame, positive round, negative angular
    beard: float  # 0 none … 1 full
    freckles: float
    neckline: str
    pattern: int  # 0 plain, 1 stripes, 2 knitted
    backdrop: str
    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    lips: Colour
    cloth: Colour
    frame: Colour  # of the glasses
    accent: Colour
    wall: Colour
    key_azimuth: float  # degrees, positive from the right of the picture
    key_elevation: float
    key_strength: float
    warmth: float  # -1 cool … 1 warm key light
    pitch_hz: float  # median fundamental frequency of the voice
    tract: float  # formant scale; above 1 is a shorter vocal tract
    rng_seed: int = field(repr=False)  # for textures

    def key_direction(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Unit vector towards the key light, ``(3,)``."""
        azimuth, elevation = np.deg2rad(self.key_azimuth), np.deg2rad(self.key_elevation)
        level = np.cos(elevation)
        return np.array([np.sin(azimuth) * level, -np.sin(elevation), -np.cos(azimuth) * level])


def draw_identity(number: int) -> Identity:
    """The person with this number: the same on every machine and in every split.

    Args:
        number: non-negative identity number.

    Returns:
        The drawn identity.
    """
    rng = np.random.default_rng([885, number])  # a stream whose first people happen to be varied

    def normal(centre: float, spread: float, limit: float = 2.0) -> float:
        return centre + spread * float(np.clip(rng.normal(), -limit, limit))

    def pick(options: tuple[Any, ...], weights: tuple[float, ...] | None = None) -> Any:
        chances = None if weights is None else np.asarray(weights) / sum(weights)
        return options[int(rng.choice(len(options), p=chances))]

    feminine = bool(rng.random() < 0.5)
    sign = 1.0 if feminine else -1.0
    tone = int(rng.integers(len(_SKINS)))
    skin = np.asarray(linear(_SKINS[tone])) * (1 + 0.05 * rng.normal(size=3).clip(-1.5, 1.5))
    hair_weights = (3, 4, 4, 3, 2, 2, 1, 1.5, 0.7, 0.5) if tone < 4 else (5, 4, 2, 0.6, 0.2, 0.1, 0, 0.2, 0.4, 0.3)
    hair = np.asarray(linear(pick(_HAIRS, hair_weights)))
    style_weights = (0.6, 1, 2.2, 3, 1.6, 1.2, 0, 2) if feminine else (4, 3, 0, 0.4, 0.1, 1.2, 1.6, 0)
    lip_base = skin * np.asarray([0.80, 0.47, 0.50]) + np.asarray([0.035, 0.0, 0.006])
    rouge = np.asarray(linear(pick(("b03a48", "a8404a", "8e2f3f", "c2606a"))))
    lips = lip_base + (0.45 * float(rng.random()) if feminine else 0.0) * (rouge - lip_base)
    cloth = linear(pick(_CLOTHS))
    return Identity(
        number=number,
        face_width=normal(1.0 - 0.012 * sign, 0.03),
        jaw_width=normal(1.0 - 0.045 * sign, 0.035),
        chin_length=normal(-0.012 * sign, 0.025),
        cheek=normal(0.5, 0.28),
        eye_spacing=normal(0.0, 0.012),
        eye_size=normal(1.0 + 0.04 * sign, 0.05),
        eye_open=normal(1.0 + 0.06 * sign, 0.09),
        eye_tilt=normal(0.008, 0.01),
        brow_height=normal(0.008 * sign, 0.014),
        brow_thickness=normal(1.0 - 0.22 * sign, 0.15),
        brow_arch=normal(0.5 + 0.2 * sign, 0.25),
        nose_width=normal(1.0 - 0.05 * sign + 0.03 * (tone - 3), 0.09),
        nose_length=normal(0.0, 0.018),
        nose_height=normal(1.0 - 0.06 * sign, 0.12),
        mouth_width=normal(1.0, 0.06),
        lip_fullness=normal(1.0 + 0.1 * sign + 0.03 * (tone - 3), 0.14),
        neck_width=normal(1.0 - 0.1 * sign, 0.04),
        hair_style=pick(HAIR_STYLES, style_weights),
        hair_volume=float(rng.uniform(0.7, 1.3)),
        parting=float(rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 1.0)),
        glasses=float(rng.choice((-1.0, 1.0)) * rng.uniform(0.2, 1.0)) if rng.random() < 0.22 else 0.0,
        beard=0.0 if feminine else float(max(0.0, rng.uniform(-0.6, 1.0))),
        freckles=float(max(0.0, rng.uniform(-1.5, 1.0))) if tone < 4 else 0.0,
        neckline=pick(NECKLINES),
        pattern=int(rng.integers(3)),
        backdrop=pick(BACKDROPS),
        skin=_colour(skin),
        hair=_colour(hair),
        brow=_colour(hair * 0.6 + np.asarray(linear("1c120c")) * 0.4),
        iris=linear(pick(_IRISES, (4, 4, 2, 2, 2, 2, 1) if tone < 4 else (8, 4, 1, 0.3, 0.1, 0.1, 0.1))),
        lips=_colour(lips),
        cloth=cloth,
        frame=linear(pick(("141414", "3a2415", "5a1f24", "1f2f4a", "8a6f3c"))),
        accent=linear(pick(_CLOTHS)),
        wall=linear(pick(("8fa3b5", "b7b0a2", "6f7f78", "54616f", "a68b78", "c9c9c4", "7d6b7e", "4d5a4f"))),
        key_azimuth=float(rng.choice((-1.0, 1.0)) * rng.uniform(15, 55)),
        key_elevation=float(rng.uniform(15, 45)),
        key_strength=float(rng.uniform(0.85, 1.15)),
        warmth=float(rng.uniform(-0.6, 1.0)),
        pitch_hz=float(rng.uniform(165, 235) if feminine else rng.uniform(90, 145)),
        tract=normal(1.08 + 0.08 * sign, 0.03),
        rng_seed=int(rng.integers(2**31)),
    )


def _colour(values: np.ndarray[Any, Any]) -> Colour:
    red, green, blue = (float(value) for value in np.clip(values, 0.002, 0.95))
    return red, green, blue
