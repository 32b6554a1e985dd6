import json
import subprocess
import sys

import pytest

import talkingface


def modules_after(code: str) -> set[str]:
    """Top-level names of what a fresh interpreter has imported after some code."""
    code += "\nimport sys, json; print('\\n' + json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import talkingface; talkingface.__version__; dir(talkingface)",
        "import talkingface; talkingface.list_parts()",
        "from talkingface.cli import main; main(['--help'])",
        "from talkingface.cli import main; main(['list', '--json'])",
        "from talkingface.cli import main; main(['show', 'lia'])",
        "from talkingface.cli import main; main(['fit', '--help'])",
        "from talkingface.cli import main; main(['animate', '--help'])",
        "from talkingface.hub import read_index",
        "from talkingface.weights import manifest; manifest()",
    ],
)
def test_light_things_import_no_torch(code):
    heavy = {"torch", "numpy", "lightning", "jsonargparse", "transformers", "av", "huggingface_hub"}
    assert not heavy & modules_after(code)


def test_pipelines_need_no_training_library():
    loaded = modules_after("import talkingface; talkingface.Animator; import talkingface.pipelines.export")
    assert "torch" in loaded  # the control: it did import something
    assert not {"lightning", "pytorch_lightning", "jsonargparse", "transformers", "torchmetrics"} & loaded


@pytest.mark.parametrize("name", sorted(set(talkingface.__all__)))
def test_every_public_name_is_there(name):
    assert getattr(talkingface, name) is not None
    assert name in dir(talkingface)


def test_the_lazy_names_are_the_public_ones():
    assert {*talkingface.LAZY, "__version__"} == set(talkingface.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = talkingface.nothing


def test_every_public_name_of_the_evaluation_is_there():
    from talkingface import evaluation

    assert all(callable(getattr(evaluation, name)) for name in evaluation.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        evaluation.evalute  # noqa: B018
