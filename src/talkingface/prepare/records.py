"""What stages hand to each other: sources, clips that were made, and what was dropped with its reason."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of the frame


@dataclass(frozen=True)
class Source:
    """A video, or a span of one, and what its data set says of it.

    Attributes:
        path: the video.
        name: unique in the set, with slashes, of safe characters; clips are named after it.
        identity: the person, by the tree or the annotation.
        split: train, val or test where the data set says so, ``dev`` where only that it is not test, else empty.
        emotion: as labelled, else empty.
        intensity: of the emotion, 1 to 3 as MEAD has it; 0 where unknown.
        sound: a file of its own with the sound, where the video has none.
        start: of the span, in seconds.
        seconds: its length; ``None`` to the end.
        box: the face that is meant, where the data set says.
        named: whether the data set says who is seen; else ``identity`` only names the video.
        fault: of a folder or an annotation that gives no video: what is wrong with it.
    """

    path: Path
    name: str
    identity: str
    split: str = ""
    emotion: str = ""
    intensity: int = 0
    sound: Path | None = None
    start: float = 0.0
    seconds: float | None = None
    box: Box | None = None
    named: bool = True
    fault: str = ""


@dataclass(frozen=True)
class Clip:
    """A clip that was made: a row of the manifest.

    Attributes:
        path: of the video below the prepared set; its arrays lie beside it as ``.npz``.
        identity, split, emotion, intensity: as :class:`Source`.
        frames: at 25 a second.
        sound: whether it has any; silence is left out.
        source: the video it was cut from, below the folder that was prepared.
        start: in the source, in seconds.
        left, top, side: the crop, in pixels of the source.
        face: longer side of the face box, median, in pixels of the source.
        yaw: largest turn to the side, in degrees.
        pitch, roll: median nod and tilt, in degrees, by five points and an average face.
        blur: variance of the Laplacian.
        loudness: RMS in dBFS; -120 without sound.
        likeness: of the face to itself: the least cosine across any moment of the clip; ``None`` without recognition.
        offset: frames by which the sound leads the lips; ``None`` where that was not asked, or there is no sound.
        confidence: that they belong together, see :class:`talkingface.prepare.synchrony.Synchrony`.
        labelled: share of frames whose landmarks the reader of controls found; ``None`` without a reader.
        sha256: of the video.
        arrays_sha256: of the arrays.
    """

    path: str
    identity: str
    split: str
    emotion: str
    intensity: int
    frames: int
    sound: bool
    source: str
    start: float
    left: int
    top: int
    side: int
    face: float
    yaw: float
    pitch: float
    roll: float
    blur: float
    loudness: float
    likeness: float | None
    offset: int | None
    confidence: float | None
    labelled: float | None
    sha256: str
    arrays_sha256: str


@dataclass(frozen=True)
class Dropped:
    """A source, or a span of one, that gave no clip.

    Attributes:
        source: below the folder that was prepared.
        start, seconds: of the span; all of the source where ``seconds`` is 0.
        stage: that dropped it.
        reason: for people.
    """

    source: str
    start: float
    seconds: float
    stage: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of a source."""

    clips: tuple[Clip, ...]
    dropped: tuple[Dropped, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Outcome":
        """The reverse of :meth:`to_json`."""
        clips = tuple(Clip(**clip) for clip in content["clips"])
        return cls(clips, tuple(Dropped(**one) for one in content["dropped"]))
