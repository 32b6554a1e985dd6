"""The protocol card of a bench: everything that its numbers depend on beside the models."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from talkingface.bench.runner import CellState
from talkingface.data.synthetic import Staging
from talkingface.evaluation.card import AGGREGATION, card_hash, differences
from talkingface.evaluation.face_reader import WEIGHTS as FACE_READER
from talkingface.weights import sha256


def bench_card(state: CellState) -> dict[str, Any]:
    """What a finished cell was judged by.

    Args:
        state: of the cell; its result holds the conventions of the metrics.

    Returns:
        Plain JSON, for :func:`~talkingface.evaluation.card.card_hash`. What only some tasks or metrics have makes no
        difference, so that a model that can be told nothing stands in one table with others.
    """
    assert state.result is not None
    data = state.cell.variant.config.get("data", {}).get("init_args", {})
    return {
        **vars(state.cell.evaluation),
        "clips": "synthetic people whom no model was trained on",
        "size": data.get("size"),
        **asdict(Staging.of(data)),
        "pixels": "uint8 in memory, no codec",
        "face reader": sha256(FACE_READER),
        "metrics": state.result["conventions"],
        "aggregation": AGGREGATION,
    }


def protocol_notes(states: Sequence[CellState]) -> Iterator[str]:
    """The hash of the card, or where rows do not compare.

    Args:
        states: of all cells; those that are not finished say nothing.
    """
    cards = {state.cell.variant.label: bench_card(state) for state in states if state.result}
    if not cards:
        return
    (first, card), *others = cards.items()
    unlike = {label: found for label, other in others if (found := differences(card, other))}
    if not unlike:
        yield f"protocol card {card_hash(card)}: the same people, clips, size, staging and conventions for every row"
    for label, found in unlike.items():
        yield f"{label} is judged by another protocol than {first}, and does not compare: {'; '.join(found)}"
