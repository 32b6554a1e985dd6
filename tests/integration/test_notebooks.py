"""Every notebook runs from its first cell to its last on what it makes itself, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SHOWN = {"image/png", "text/html"}


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def run(notebook, folder, monkeypatch, cache):
    """Execute as Jupyter does, in a process and a folder of its own; returns what each cell gave."""
    monkeypatch.setenv("TALKINGFACE_CACHE", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=None, startup_timeout=600, kernel_name="python3", resources=where)
    return [output for cell in client.execute().cells for output in cell.get("outputs", [])]


def test_there_are_five():
    assert [name[:2] for name in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_kept_without_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.cells[0].source.startswith("# ")


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_end_to_end_and_shows_pictures(name, tmp_path, tmp_path_factory, monkeypatch):
    outputs = run(read(name), tmp_path, monkeypatch, tmp_path_factory.getbasetemp() / "cache")
    assert SHOWN & {kind for output in outputs for kind in output.get("data", {})}
    assert not [path for path in FOLDER.iterdir() if path.suffix != ".ipynb"]  # nothing is left beside the notebooks


def test_a_cell_that_fails_is_noticed(tmp_path, monkeypatch):
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import talkingface; talkingface.load('none')")])
    with pytest.raises(Exception, match="there is no model folder none"):
        run(broken, tmp_path, monkeypatch, tmp_path)
