import json
import subprocess
import sys

import pytest

from talkingface import registry
from talkingface.core.component import build, public_path
from talkingface.core.errors import ConfigError

PARTS = [(part.kind, part.name) for part in registry.parts()]


def test_names_are_listed_by_kind():
    assert "lia" in registry.names("renderer")
    assert "latent" in registry.names("motion")
    assert "latent" not in registry.names("renderer")


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_can_be_imported_under_the_path_that_it_names(kind, name):
    assert public_path(registry.load(kind, name)) == registry.path(kind, name)


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_says_what_it_is(kind, name):
    part = registry.describe(kind, name)
    assert part.kind in registry.kinds()
    assert 10 < len(part.about) < 100


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    with pytest.raises(ConfigError, match="no perceptual 'vgg16x'; known: vgg16, vgg19"):
        registry.path("perceptual", "vgg16x")


def test_an_unknown_kind_lists_the_known_ones_nearest_first():
    with pytest.raises(ConfigError, match="known: renderer"):
        registry.names("rendrer")


def test_a_plugin_adds_its_parts(plugin):
    assert "tint" in registry.names("renderer")
    part = registry.describe("renderer", "tint")
    assert (part.origin, part.path) == ("toy-plugin", "toy_plugin.TintRenderer")


def test_without_the_plugin_its_parts_are_absent():
    assert "tint" not in registry.names("renderer")


def test_a_plugin_part_is_built_from_its_configuration(plugin):
    motion = registry.load("motion", "colour")(gain=2.0)
    renderer = build({"class_path": registry.path("renderer", "tint"), "init_args": {"size": 16}}, motion)
    assert renderer.config == {"class_path": "toy_plugin.TintRenderer", "init_args": {"size": 16}}


def test_broken_plugins_are_named_with_their_reason_and_spoil_nothing(plugin):
    broken = registry.broken()
    assert "no package 'package_that_is_not_there'" in broken["renderer.gone"]
    assert "kind.name" in broken["painter.oil"]
    assert "taken by talkingface" in broken["renderer.lia"]
    assert all("toy-plugin" in reason for reason in broken.values())
    assert registry.path("renderer", "lia") == "talkingface.renderers.LIARenderer"


def test_asking_for_a_broken_plugin_gives_its_reason(plugin):
    with pytest.raises(ConfigError, match="package_that_is_not_there"):
        registry.load("renderer", "gone")


def test_a_plugin_whose_module_does_not_import_gives_its_reason(tmp_path, monkeypatch):
    (tmp_path / "crooked.py").write_text("import a_module_that_is_not_there\n")
    dist = tmp_path / "crooked-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Name: crooked\nVersion: 1\n")
    (dist / "entry_points.txt").write_text("[talkingface.plugins]\nrenderer.crooked = crooked:Renderer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._table.cache_clear()
    try:
        with pytest.raises(ConfigError, match="a_module_that_is_not_there"):
            registry.load("renderer", "crooked")
    finally:
        registry._table.cache_clear()


def test_listing_imports_no_plugin(plugin):
    code = "import sys, json; from talkingface import registry; registry.parts(); print(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"toy_plugin", "torch"} & set(json.loads(answer.stdout))
