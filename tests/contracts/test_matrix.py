"""What ``list --matrix`` says without importing a part is what happens when parts are built."""

import json
import subprocess
import sys

import pytest
import torch

from contracts.test_parts import LATENT, SMALL, VARIANTS
from talkingface import registry
from talkingface.audio import MelSpeech
from talkingface.cli.main import main
from talkingface.cli.matrix import matrix
from talkingface.core.errors import ConfigError

CELLS = [cell for cell in matrix() if "toy" not in (cell.motion, cell.part)]


def motion_encoder(name):
    torch.manual_seed(0)
    return registry.load("motion", name)(**VARIANTS.get(("motion", name), [LATENT])[0])


def small(kind, name):
    if kind == "generator":
        return {} if name == "audio2exp" else {"dim": 32, "blocks": 1, **({"static": 4} if name == "diffusion" else {})}
    return VARIANTS.get((kind, name), [SMALL])[0]


def test_the_matrix_has_a_cell_for_every_pair():
    pairs = {(cell.motion, cell.kind, cell.part) for cell in matrix()}
    for motion in registry.names("motion"):
        for kind in ("renderer", "generator"):
            assert {part for name, other, part in pairs if (name, other) == (motion, kind)} == set(registry.names(kind))


@pytest.mark.parametrize("motion", registry.names("motion"))
def test_traits_are_those_of_the_part(motion):
    part = motion_encoder(motion)
    found = {
        "trunk": part.image_encoder is not None,
        "keypoints": part.spec.convention is not None,
        "expression": "expression" in part.spec.slices,
    }
    assert set(part.traits) == {trait for trait, has in found.items() if has}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.motion}-{cell.part}")
def test_a_cell_says_what_happens_when_its_parts_are_built(cell):
    wired = [motion_encoder(cell.motion)]
    if cell.kind == "generator":
        wired.append(MelSpeech(dim=8, blocks=0))
    part = registry.load(cell.kind, cell.part)
    if cell.how == "refused":
        (trait,) = part.needs
        assert cell.reason == f"{cell.part} needs motion with: {trait}"
        with pytest.raises(ConfigError, match=trait):
            part(*wired, **small(cell.kind, cell.part))
        return
    built = part(*wired, **small(cell.kind, cell.part))
    bridged = any(name.startswith("bridge") for name, _ in built.named_parameters())
    assert bridged == (cell.how == "bridge")
    if cell.kind == "generator":
        assert built.spec == wired[0].spec


def test_the_matrix_is_printed_with_its_reasons(capsys):
    assert main(["list", "--matrix"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (latent,) = (line.split() for line in lines if line.startswith("latent"))
    assert latent[:3] == ["latent", "direct", "bridge"]
    assert {"yes", "refused"} <= set(latent[3:])
    assert "refused  audio2exp needs motion with: expression" in lines


def test_the_matrix_is_json_for_programs(capsys):
    assert main(["list", "--matrix", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)
    assert {"motion": "landmarks", "kind": "renderer", "part": "lia", "how": "bridge", "reason": ""} in cells


def test_the_matrix_needs_no_torch():
    run = "import sys; from talkingface.cli.main import main; main(['list', '--matrix'])"
    command = [sys.executable, "-c", f"{run}; assert 'torch' not in sys.modules"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
