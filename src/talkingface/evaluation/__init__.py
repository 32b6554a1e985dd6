"""The written protocol: which clips are compared with what, under which conventions, and how numbers become tables."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingface.evaluation.job import Job
    from talkingface.evaluation.pairing import pair_clips, read_identities
    from talkingface.evaluation.results import Results, read_results, results_table, write_results
    from talkingface.evaluation.run import Outcome, evaluate
    from talkingface.evaluation.synthetic_controls import SyntheticControls
    from talkingface.evaluation.tables import Cell, Column, Table

HOMES = {
    "run": ("Outcome", "evaluate"),
    "job": ("Job",),
    "pairing": ("pair_clips", "read_identities"),
    "results": ("Results", "read_results", "results_table", "write_results"),
    "synthetic_controls": ("SyntheticControls",),
    "tables": ("Cell", "Column", "Table"),
}
__all__ = [
    "Cell",
    "Column",
    "Job",
    "Outcome",
    "Results",
    "SyntheticControls",
    "Table",
    "evaluate",
    "pair_clips",
    "read_identities",
    "read_results",
    "results_table",
    "write_results",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562); tables and statistics need no torch."""
    from importlib import import_module

    home = next((module for module, names in HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'talkingface.evaluation' has no attribute '{name}'")
    return getattr(import_module(f"talkingface.evaluation.{home}"), name)
