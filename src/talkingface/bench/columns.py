"""Columns that a bench's table may have: what is measured, and in which task."""

from talkingface import registry

TASKS = {
    "self": "a clip of the same person drives the portrait",
    "cross": "another person's clip drives it",
    "speech": "speech alone drives it",
    "told": "speech drives it, and the true pose, place and size are told",
    "dubbed": "a video of the person saying something else is given the speech",
}
REENACTMENT, SPEECH = ("self", "cross"), ("speech", "told", "dubbed")
COSTS = ("parameters", "minutes", "peak_gb", "one-step-loss")  # of training
SPEED = ("frames-per-second", "first-frame", "real-time-factor", "animate-gb")  # of animating, measured when judged
CROSS_ONLY = ("expression-leakage", "expression-transfer")
TRUTH = ("pose-error", "expression-rmse", "landmark-error", *CROSS_ONLY)  # known on synthetic people only
SPEECH_TRUTH = ("lip-correlation", "lip-opening", "pose-error", "location-error", "scale-error")
LEAKAGE, CANONICAL = "identity-leakage", "canonical-variance"
PROBES = (LEAKAGE, CANONICAL)  # of what the motion encoder sees, whatever is drawn
CONTROLS = ("copy the source", "shuffled", "ground truth")
SPEECH_CONTROLS = ("true motion",)  # the representation moved by the true frames: what no generator can surpass


def column_names() -> list[str]:
    """Every column that a table may have; without a task before the slash it is self-reenactment."""
    metrics = registry.names("metric")
    clips = [*metrics, *(name for name in TRUTH if name not in CROSS_ONLY)]
    spoken = [f"{task}/{name}" for task in SPEECH for name in (*metrics, *SPEECH_TRUTH)]
    return [*clips, *(f"cross/{name}" for name in clips), *CROSS_ONLY, *PROBES, *spoken, *SPEED, *COSTS]


def metric_of(column: str) -> str:
    """``"psnr"`` of ``"cross/psnr"``."""
    return column.rpartition("/")[2]


def task_of(column: str) -> str:
    """One of :data:`TASKS`."""
    return column.rpartition("/")[0] or ("cross" if column in CROSS_ONLY else "self")
