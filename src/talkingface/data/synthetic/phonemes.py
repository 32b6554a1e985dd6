"""Phonemes of the synthetic language: how each sounds, how it shapes the mouth, and random speech made of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Phoneme:
    """One phoneme in time.

    Attributes:
        symbol: ARPAbet-like name; ``"sil"`` is silence.
        start, end: seconds from the start of the clip.
    """

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Sound:
    """Acoustics and mouth shape of a phoneme.

    ``formants`` are Hz for an average adult; diphthongs glide to ``glide``. ``mouth`` is the viseme (jaw, lip_width,
    rounding, press, lip_part) and ``dominance`` how much it asserts itself against its neighbours.
    """

    kind: str  # vowel, glide, nasal, fricative, stop, affricate, aspirate, silence
    formants: tuple[float, float, float]
    mouth: tuple[float, float, float, float, float]
    dominance: float = 1.0
    glide: tuple[float, float, float] | None = None
    glide_mouth: tuple[float, float, float, float, float] | None = None
    noise: tuple[float, float, float] = (0.0, 0.0, 0.0)  # centre Hz, bandwidth Hz, strength
    voiced: bool = True
    duration: float = 0.08  # seconds


Formants = tuple[float, float, float]
Mouth = tuple[float, float, float, float, float]


def _vowel(
    formants: Formants,
    mouth: Mouth,
    duration: float,
    glide: Formants | None = None,
    glide_mouth: Mouth | None = None,
    dominance: float = 1.0,
) -> Sound:
    return Sound("vowel", formants, mouth, dominance, glide, glide_mouth, duration=duration)


def _noise(
    kind: str,
    formants: Formants,
    mouth: Mouth,
    noise: tuple[float, float, float],
    duration: float,
    voiced: bool,
    dominance: float,
) -> Sound:
    return Sound(kind, formants, mouth, dominance, noise=noise, voiced=voiced, duration=duration)


# Formants after Peterson & Barney (1952) and Klatt (1980), rounded; visemes follow the usual 12 mouth classes.
SOUNDS: dict[str, Sound] = {
    "sil": Sound("silence", (500, 1500, 2500), (0, 0, 0, 0, 0), 0.9, voiced=False, duration=0.3),
    "iy": _vowel((290, 2250, 2950), (0.18, 0.85, 0, 0, 0.55), 0.12),
    "ih": _vowel((400, 1950, 2550), (0.28, 0.5, 0, 0, 0.45), 0.09),
    "eh": _vowel((540, 1800, 2480), (0.45, 0.4, 0, 0, 0.4), 0.11),
    "ae": _vowel((680, 1720, 2410), (0.65, 0.5, 0, 0, 0.45), 0.14),
    "aa": _vowel((730, 1120, 2440), (0.85, -0.05, 0, 0, 0.35), 0.15),
    "ah": _vowel((620, 1220, 2550), (0.55, 0.0, 0, 0, 0.35), 0.1),
    "ao": _vowel((580, 860, 2410), (0.65, -0.3, 0.55, 0, 0.25), 0.14),
    "uh": _vowel((450, 1050, 2300), (0.32, -0.3, 0.6, 0, 0.25), 0.09),
    "uw": _vowel((320, 900, 2250), (0.2, -0.5, 1.0, 0, 0.2), 0.13, dominance=1.3),
    "er": _vowel((480, 1350, 1700), (0.32, -0.2, 0.45, 0, 0.35), 0.13),
    "ey": _vowel((500, 1850, 2500), (0.42, 0.5, 0, 0, 0.4), 0.16, (320, 2200, 2850), (0.22, 0.75, 0, 0, 0.45)),
    "ay": _vowel((720, 1250, 2500), (0.75, 0.1, 0, 0, 0.4), 0.18, (350, 2050, 2700), (0.25, 0.65, 0, 0, 0.45)),
    "oy": _vowel((560, 850, 2400), (0.55, -0.3, 0.65, 0, 0.25), 0.19, (350, 2050, 2600), (0.25, 0.55, 0, 0, 0.45)),
    "aw": _vowel((710, 1250, 2450), (0.78, 0.1, 0, 0, 0.4), 0.18, (400, 900, 2300), (0.28, -0.4, 0.8, 0, 0.25)),
    "ow": _vowel((500, 950, 2400), (0.48, -0.3, 0.65, 0, 0.25), 0.16, (360, 820, 2300), (0.24, -0.45, 0.95, 0, 0.2)),
    "w": Sound("glide", (310, 680, 2200), (0.12, -0.5, 1.0, 0, 0.1), 1.8, duration=0.07),
    "y": Sound("glide", (280, 2200, 2900), (0.15, 0.7, 0, 0, 0.45), 1.0, duration=0.06),
    "r": Sound("glide", (330, 1150, 1600), (0.22, -0.3, 0.6, 0, 0.3), 1.2, duration=0.07),
    "l": Sound("glide", (350, 1150, 2750), (0.3, 0.15, 0, 0, 0.45), 1.0, duration=0.07),
    "m": Sound("nasal", (270, 1000, 2200), (0.0, 0, 0, 1.0, 0), 4.0, duration=0.08),
    "n": Sound("nasal", (270, 1500, 2500), (0.15, 0.15, 0, 0, 0.4), 1.0, duration=0.07),
    "ng": Sound("nasal", (280, 1900, 2600), (0.22, 0.15, 0, 0, 0.4), 1.0, duration=0.08),
    "f": _noise("fricative", (340, 1100, 2200), (0.06, 0.1, 0, 0.35, 0.25), (5200, 4500, 0.14), 0.1, False, 2.5),
    "v": _noise("fricative", (320, 1100, 2200), (0.06, 0.1, 0, 0.35, 0.25), (5000, 4500, 0.09), 0.07, True, 2.5),
    "th": _noise("fricative", (350, 1400, 2550), (0.18, 0.2, 0, 0, 0.5), (6000, 4500, 0.12), 0.1, False, 1.2),
    "dh": _noise("fricative", (330, 1350, 2500), (0.18, 0.2, 0, 0, 0.5), (6000, 4500, 0.06), 0.06, True, 1.0),
    "s": _noise("fricative", (330, 1500, 2550), (0.08, 0.45, 0, 0, 0.6), (6300, 2000, 0.3), 0.11, False, 1.5),
    "z": _noise("fricative", (320, 1500, 2550), (0.08, 0.45, 0, 0, 0.6), (6200, 2000, 0.2), 0.08, True, 1.5),
    "sh": _noise("fricative", (330, 1750, 2600), (0.12, -0.3, 0.7, 0, 0.6), (3300, 1500, 0.3), 0.12, False, 1.5),
    "zh": _noise("fricative", (320, 1750, 2600), (0.12, -0.3, 0.7, 0, 0.6), (3200, 1500, 0.2), 0.08, True, 1.5),
    "hh": _noise("aspirate", (500, 1500, 2500), (0.35, 0.1, 0, 0, 0.35), (1500, 3000, 0.1), 0.06, False, 0.4),
    "b": _noise("stop", (300, 900, 2200), (0.0, 0, 0, 1.0, 0), (900, 1500, 0.25), 0.07, True, 4.0),
    "p": _noise("stop", (300, 900, 2200), (0.0, 0, 0, 1.0, 0), (1000, 1800, 0.35), 0.09, False, 4.0),
    "d": _noise("stop", (300, 1650, 2600), (0.16, 0.25, 0, 0, 0.45), (4200, 2500, 0.25), 0.06, True, 1.0),
    "t": _noise("stop", (300, 1700, 2600), (0.14, 0.25, 0, 0, 0.45), (4500, 2500, 0.35), 0.08, False, 1.0),
    "g": _noise("stop", (280, 1850, 2350), (0.24, 0.1, 0, 0, 0.35), (2000, 1200, 0.25), 0.07, True, 1.0),
    "k": _noise("stop", (280, 1900, 2350), (0.22, 0.1, 0, 0, 0.35), (2200, 1200, 0.35), 0.09, False, 1.0),
    "ch": _noise("affricate", (300, 1750, 2600), (0.1, -0.2, 0.65, 0, 0.55), (3500, 1600, 0.3), 0.12, False, 1.5),
    "jh": _noise("affricate", (300, 1750, 2600), (0.1, -0.2, 0.65, 0, 0.55), (3300, 1600, 0.2), 0.1, True, 1.5),
}

_VOWELS = tuple(name for name, sound in SOUNDS.items() if sound.kind == "vowel")
# Consonants before and after a vowel; labials come up often, as they show best on the lips.
_ONSETS = "|b|p|m|d|t|n|g|k|f|v|s|sh|z|th|dh|hh|w|r|l|y|ch|jh|b|m|p|w|s t|p l|b r|f l|g r|s p|t r"
_CODAS = "||||n|m|t|s|l|k|d|p|z|ng|v|f|n d|s t|zh|b"


@dataclass(frozen=True)
class Utterance:
    """Random speech: phonemes that fill the clip, and the times of stressed vowels in seconds."""

    phonemes: tuple[Phoneme, ...]
    stresses: tuple[float, ...]


def random_speech(rng: np.random.Generator, seconds: float) -> Utterance:
    """Draw words and pauses until the clip is full.

    Args:
        rng: source of randomness.
        seconds: length of the clip.

    Returns:
        Phonemes that follow each other without a gap from 0 to ``seconds``; it starts and, if longer than a second,
        ends in silence.
    """
    phonemes: list[Phoneme] = []
    stresses: list[float] = []
    now = 0.0

    def say(symbol: str, duration: float) -> None:
        nonlocal now
        phonemes.append(Phoneme(symbol, now, now + duration))
        now += duration

    rest = float(rng.uniform(0.15, 0.3)) if seconds > 1 else 0.0
    tempo = float(rng.uniform(0.9, 1.15))
    say("sil", float(rng.uniform(0.1, 0.35)))
    words = int(rng.integers(2, 6))
    while now < seconds - rest:
        syllables = int(rng.choice((1, 2, 3), p=(0.45, 0.4, 0.15)))
        accent = int(rng.integers(syllables))
        for syllable in range(syllables):
            stressed = syllable == accent
            for symbol in str(rng.choice(_ONSETS.split("|"))).split():
                say(symbol, SOUNDS[symbol].duration * tempo * float(rng.uniform(0.85, 1.2)))
            vowel = str(rng.choice(_VOWELS))
            begin = now
            say(vowel, SOUNDS[vowel].duration * tempo * float(rng.uniform(0.9, 1.2)) * (1.35 if stressed else 0.9))
            if stressed:
                stresses.append((begin + now) / 2)
            for symbol in str(rng.choice(_CODAS.split("|"))).split():
                say(symbol, SOUNDS[symbol].duration * tempo * float(rng.uniform(0.85, 1.2)))
        words -= 1
        if words == 0:
            say("sil", float(rng.uniform(0.22, 0.6)))
            words = int(rng.integers(2, 6))
    kept = [Phoneme(p.symbol, p.start, min(p.end, seconds - rest)) for p in phonemes if p.start < seconds - rest - 0.02]
    last = kept[-1]
    if last.symbol == "sil" or rest == 0:
        kept[-1] = Phoneme(last.symbol, last.start, seconds)
    else:
        kept.append(Phoneme("sil", last.end, seconds))
    return Utterance(tuple(kept), tuple(time for time in stresses if time < seconds - rest))
