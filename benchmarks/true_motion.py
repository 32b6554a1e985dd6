"""Stage 2 alone: how well a generator learns to speak in a motion space that is known to be good.

    python benchmarks/true_motion.py [--seeds 3] [--training-steps 2500] [--foreign-starts 0.5]

The motion is the true one of synthetic people: expression, head pose, place of the nose and size of the face. No
picture is drawn and no stage 1 takes part, so that nothing but the generator is judged. The sizes are those of the
recipe anitalker-tiny-stage2, the speech is synthesised, and all people of the test are new.

Printed are means and deviations over seeds: the correlation of the lip opening with the true one, from the sound alone
and with the true controls told; the same for another person's sound, and for mel regression; how far head pose, place
and size are from what was asked for, where that was the track of another person; and all of it for fewer steps of the
sampler.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from talkingface.audio import MelSpeech
from talkingface.core.geometry import geodesic_angle, rotation
from talkingface.core.interfaces import MotionEncoder, MotionGenerator
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.data.rendered import RenderedSet, Split, render_set
from talkingface.data.synthetic import EXPRESSIONS
from talkingface.evaluation.speech import lip_correlation
from talkingface.generators import ConformerDiffusion, Regression

PEOPLE, CLIPS, FRAMES = 320, 2, 101
BATCH, WARMUP, RATE = 16, 100, 3e-3
STEPS = (50, 25, 10, 5, 2)
COLUMNS = ("lips", "lips, told", "pose °", "location %", "scale %")

Trainable = tuple[MelSpeech, MotionGenerator]


class TrueMotion(MotionEncoder):
    """The motion that synthetic people are drawn with; it is never read from pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = MotionSpec("vector", {"expression": len(EXPRESSIONS), "pose": 3, "location": 1, "scale": 1})

    def forward(self, image: Tensor) -> Tensor:
        """Refused.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("true motion comes with the clips.")


@dataclass(frozen=True)
class Clips:
    """Clips of one length.

    Args:
        motion: ``(N, T, 21)``; the first frame is the start.
        features: of their speech, ``(N, L, …, C)``, without the first frame's.
    """

    motion: Tensor
    features: Tensor

    def told(self, encoder: MelSpeech, rows: Tensor, controls: Mapping[str, Tensor], sound: Tensor) -> Condition:
        """What a generator is told about clips ``rows`` with the sound of clips ``sound``."""
        audio = encoder(self.features[sound], self.motion.shape[1] - 1)
        return Condition(audio, self.motion[rows, 0], torch.empty(len(rows), 0), controls)

    def controls(self, rows: Tensor) -> dict[str, Tensor]:
        """True head pose, location and scale."""
        parts = SPEC.unpack(self.motion[rows, 1:])
        return {"pose": parts["pose"], "location": parts["location"][..., 0], "scale": parts["scale"][..., 0]}


SPEC = TrueMotion().spec


def read_clips(split: Split) -> Clips:
    """Clips of the people of a split."""
    encoder, motion, features = MelSpeech(dim=8, blocks=0), [], []
    for clip in render_set(RenderedSet(split, PEOPLE, CLIPS, FRAMES, 16, 0, audio=True), processes=2):
        truth = clip.truth(range(FRAMES))
        parts = {name: truth[name].view(FRAMES, -1) for name in SPEC.slices}
        motion.append(SPEC.pack(**parts))
        heard = encoder.features(torch.from_numpy(clip.wave())[None])[0]
        features.append(heard[:, heard.shape[1] // FRAMES :])
    return Clips(torch.stack(motion), torch.stack(features))


def train(make: Callable[[], Trainable], clips: Clips, steps: int, seed: int) -> Trainable:
    """Train both parts with Adam and one cycle of the learning rate."""
    torch.manual_seed(seed)
    encoder, generator = make()
    rows = torch.arange(len(clips.motion))
    told = {name: track.flatten(0, 1) for name, track in clips.controls(rows).items()}
    generator.calibrate(clips.motion.flatten(0, 1), controls=told)
    parameters = [*encoder.parameters(), *generator.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE, (0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=WARMUP / steps)
    for _ in range(steps):
        rows = torch.randint(len(clips.motion), (BATCH,))
        terms = generator.loss(clips.motion[rows, 1:], clips.told(encoder, rows, clips.controls(rows), rows))
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    return encoder.eval(), generator.eval()


@torch.no_grad()
def judge(parts: Trainable, clips: Clips, seed: int, steps: int = 50, shuffled: bool = False) -> list[float]:
    """:data:`COLUMNS` on clips of new people, NaN for what cannot be asked of the generator."""
    encoder, generator = parts
    rows = torch.arange(0, len(clips.motion), CLIPS)  # a clip of each person
    strangers = rows.roll(1)
    sound = strangers if shuffled else rows

    def drawn(controls: dict[str, Tensor]) -> Tensor:
        draws = torch.Generator().manual_seed(seed)
        return generator.sample(clips.told(encoder, rows, controls, sound), draws, steps=steps)

    def lips(motion: Tensor) -> float:
        pairs = zip(motion, clips.motion[rows, 1:], strict=True)
        part = SPEC.slice("expression")
        return float(np.mean([lip_correlation(made[:, part], true[:, part]) for made, true in pairs]))

    free = lips(drawn({}))
    if not generator.attributes:
        return [free, *[float("nan")] * 4]
    asked = clips.controls(strangers)
    got = SPEC.unpack(drawn(asked))
    angle = geodesic_angle(rotation(got["pose"]), rotation(asked["pose"])).mean().item()
    moved = [100 * (got[name][..., 0] - asked[name]).abs().mean().item() for name in ("location", "scale")]
    return [free, lips(drawn(clips.controls(rows))), angle, *moved]


def row(name: str, values: list[list[float]]) -> str:
    """One line: mean of each column, and the deviation over seeds where there are several."""
    table = np.array(values)
    cells = []
    for column in table.T:
        spread = f" ± {column.std(ddof=1):.3f}" if len(column) > 1 else ""
        cells.append("–" if np.isnan(column).all() else f"{column.mean():.3f}{spread}")
    return f"{name:<28}" + "  ".join(cell.rjust(14) for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--training-steps", type=int, default=2500)
    parser.add_argument("--foreign-starts", type=float, default=0.5, help="as of ConformerDiffusion")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seen, unseen = read_clips("train"), read_clips("test")

    def diffusion() -> Trainable:
        encoder = MelSpeech(dim=96, blocks=1, dropout=0.1)
        sizes = {"dim": 192, "blocks": 2, "static": 24, "hidden": 48, "dropout": 0.1}
        taught = {"teacher_forcing": True, "foreign_starts": options.foreign_starts}
        return encoder, ConformerDiffusion(TrueMotion(), encoder, **taught, **sizes)

    def regression() -> Trainable:
        encoder = MelSpeech(dim=96, blocks=1, dropout=0.1)
        return encoder, Regression(TrueMotion(), encoder, dim=192, dropout=0.1)

    found: dict[str, list[list[float]]] = {}
    for seed in range(options.seeds):
        begun = time.perf_counter()
        speaker = train(diffusion, seen, options.training_steps, seed)
        baseline = train(regression, seen, options.training_steps, seed)
        for steps in STEPS:
            name = f"diffusion, {steps} steps"
            found.setdefault(name, []).append(judge(speaker, unseen, seed, steps))
        found.setdefault("another person's sound", []).append(judge(speaker, unseen, seed, shuffled=True))
        found.setdefault("mel regression", []).append(judge(baseline, unseen, seed))
        print(f"seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
    mean_pose = seen.motion[..., SPEC.slice("pose")].mean((0, 1))
    asked = unseen.controls(torch.arange(0, len(unseen.motion), CLIPS))
    still = geodesic_angle(rotation(mean_pose), rotation(asked["pose"])).mean().item()
    spread = [
        100 * (asked[name] - seen.motion[..., SPEC.slice(name)].mean()).abs().mean().item()
        for name in ("location", "scale")
    ]
    found["the mean, whatever is asked"] = [[float("nan"), float("nan"), still, *spread]]
    print(f"{'':<28}" + "  ".join(name.rjust(14) for name in COLUMNS))
    for name, values in found.items():
        print(row(name, values))
    people = len(unseen.motion) // CLIPS
    print(f"{people} new people, seeds: {options.seeds}, training steps: {options.training_steps}")


if __name__ == "__main__":
    main()
