"""The table at the end of a validation: the model beside its baseline, its negative control and the ground truth."""

import json
from collections.abc import Mapping
from pathlib import Path

import lightning as L
from rich.console import Console
from rich.table import Table
from torch import Tensor

from talkingface.core.files import write_text
from talkingface.tasks.reconstruction import ROWS

TITLES = {"psnr": "PSNR (dB) ↑", "ssim": "SSIM ↑"}


def quality_rows(values: Mapping[str, Tensor | float], stage: str) -> dict[str, dict[str, float]]:
    """Collect what a stage logged.

    Args:
        values: logged name → value, such as ``trainer.callback_metrics``.
        stage: ``"val"`` or ``"test"``.

    Returns:
        row (a key of ``ROWS``) → metric → value; empty when the stage logged nothing.
    """
    rows: dict[str, dict[str, float]] = {}
    for row in ROWS:
        for metric in TITLES:
            name = f"{stage}/{metric}" if row == "model" else f"{stage}/{metric}_{row}"
            if name in values:
                rows.setdefault(row, {})[metric] = float(values[name])
    return rows


def quality_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    """The rows for a terminal.

    Args:
        title: above the table.
        rows: row (a key of ``ROWS``) → metric → value.
    """
    table = Table("", *TITLES.values(), title=title)
    for row, metrics in rows.items():
        table.add_row(ROWS[row], *(f"{metrics[name]:.3f}" for name in TITLES))
    return table


class QualityTable(L.Callback):
    """Print the table when training or testing ends, and write it as JSON into the log folder."""

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The last validation."""
        self._report(trainer, "val")

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The test."""
        self._report(trainer, "test")

    def _report(self, trainer: L.Trainer, stage: str) -> None:
        rows = quality_rows(trainer.callback_metrics, stage)
        if not rows or not trainer.is_global_zero:
            return
        title = f"{'unseen' if stage == 'test' else 'validation'} people, self-reenactment, frames in memory"
        Console().print(quality_table(title, rows))
        content = {"stage": stage, "epoch": trainer.current_epoch, "step": trainer.global_step, "rows": rows}
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        write_text(folder / f"quality_{stage}.json", json.dumps(content, indent=2) + "\n")
