"""The written protocol: which clips are compared with what, under which conventions, and how numbers become tables."""

from talkingface.evaluation.evaluate import Outcome, evaluate
from talkingface.evaluation.job import Job
from talkingface.evaluation.pairing import Pair, Pairing, pair_clips, read_identities
from talkingface.evaluation.results import Results, read_results, results_table, write_results
from talkingface.evaluation.tables import Cell, Column, Table

__all__ = [
    "Cell",
    "Column",
    "Job",
    "Outcome",
    "Pair",
    "Pairing",
    "Results",
    "Table",
    "evaluate",
    "pair_clips",
    "read_identities",
    "read_results",
    "results_table",
    "write_results",
]
