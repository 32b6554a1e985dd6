"""Whether a trained model shows the emotions that it is asked for: on synthetic people that it has never seen.

    python benchmarks/emotions.py DIR [--identities 64] [--people 6] [--frames 75]

One neutral portrait and one speech of each person; every emotion in several strengths, beside the same told to be
neutral. What is shown is read from the pictures: ``amount`` is the share of the true change (as much as the strength
that is asked, at best), ``direction`` the cosine with it, ``recognised`` how often no other emotion fits better (chance
1 in 7), ``lip-correlation`` that of the lip opening with the true one, to be held beside neutral speech. Columns hold
one number for each strength. Contempt, whose smirk the reader does not read, is the least certain.
"""

import argparse
import sys

import torch

import talkingface
from talkingface.data.synthetic import Staging, split_identities
from talkingface.evaluation import emotions

COLUMNS = ("amount", "direction", "recognised", "lip-correlation")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", help="model folder with both stages, the second trained with emotions")
    add(
        "--identities",
        type=int,
        default=64,
        help="of the synthetic set of its training; the test split is taken",
    )
    add("--people", type=int, default=6, help="at most")
    add("--frames", type=int, default=75, help="length of a clip")
    add("--seed", type=int, default=0, help="of the set, the clips and the model's draws")
    add("--framing", type=float, default=1.0, help="share of the frame that the model was trained on")
    add("--liveliness", type=float, default=1.0, help="how far heads moved that it was trained on")
    add("--device", default="cpu", help="where to compute")
    options = parser.parse_args()
    people = split_identities(options.identities, options.seed)["test"][: options.people]
    animator = talkingface.load(options.model, options.device)
    staging = Staging(options.framing, options.liveliness)
    rows = emotions.emotion_scores(animator, people, options.seed, options.frames, staging)

    def mean(column: str, emotion: str, strength: float) -> float:
        asked = [row[column] for row in rows if (row["emotion"], row["strength"]) == (emotion, strength)]
        return float(torch.tensor(asked).mean())

    strengths = " / ".join(f"{strength:g}" for strength in emotions.STRENGTHS)
    spoken = mean("lip-correlation", emotions.NEUTRAL, 1.0)
    sys.stdout.write(f"{len(people)} people, strengths {strengths}; lip correlation of neutral speech {spoken:.3f}\n")
    sys.stdout.write(f"{'':>10}" + "".join(f"{name:>24}" for name in COLUMNS) + "\n")
    for emotion in emotions.MOODS:
        cells = [[mean(column, emotion, s) for s in emotions.STRENGTHS] for column in COLUMNS]
        texts = (" / ".join(f"{value:.2f}" for value in cell) for cell in cells)
        sys.stdout.write(f"{emotion:>10}" + "".join(f"{text:>24}" for text in texts) + "\n")


if __name__ == "__main__":
    main()
