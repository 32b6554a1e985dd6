"""A bench file is read in full and refused with a hint before anything is trained; a cell is known by its settings."""

import copy
from dataclasses import replace

import pytest
import yaml

from talkingface.bench.columns import CONTROLS
from talkingface.bench.options import set_option
from talkingface.bench.plan_file import read_plan
from talkingface.cli.bench import benches
from talkingface.cli.recipes import find_config
from talkingface.cli.short_names import written_out
from talkingface.core.errors import ConfigError

BASE = """
# a comment changes nothing
model:
  class_path: talkingface.tasks.Reconstruction
  init_args:
    motion_encoder: {class_path: talkingface.motion.LatentMotion, init_args: {size: 64, dim: 20}}
    renderer: lia
data: {class_path: talkingface.data.SyntheticPairs, init_args: {identities: 64}}
trainer: {accelerator: cpu}
"""
BENCH = {
    "title": "Does it help?",
    "base": "base.yaml",
    "options": {"data.batch_size": 4},
    "variants": {
        "plain": {"label": "without"},
        "fc": {"label": "with", "overrides": {"model.motion_encoder.projector": "fc"}},
    },
    "seeds": [0, 1],
    "steps": 10,
    "columns": ["psnr", "cross/ssim", "minutes"],
}


@pytest.fixture
def plan_of(tmp_path):
    def read(content=BENCH, base=BASE):
        (tmp_path / "base.yaml").write_text(base)
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return read_plan(path, find_config, written_out)

    return read


def changed(**keys):
    return copy.deepcopy(BENCH) | keys


def overridden(**overrides):
    return changed(variants={"one": {"overrides": {key.replace("__", "."): v for key, v in overrides.items()}}})


def test_a_plan_has_a_cell_for_every_variant_and_seed(plan_of):
    plan = plan_of()
    assert [cell.name for cell in plan.cells()] == ["plain seed 0", "fc seed 0", "plain seed 1", "fc seed 1"]
    assert [cell.name for cell in plan.cells(["fc"])] == ["fc seed 0", "fc seed 1"]
    assert plan.controls == CONTROLS
    assert plan.cells()[0].metrics == ("psnr", "ssim")


def test_options_are_for_every_variant_and_overrides_for_one(plan_of):
    plain, fc = (variant.config for variant in plan_of().variants)
    assert plain["data"]["init_args"] == fc["data"]["init_args"] == {"identities": 64, "batch_size": 4}
    assert fc["model"]["init_args"]["motion_encoder"]["init_args"] == {"size": 64, "dim": 20, "projector": "fc"}
    assert "projector" not in plain["model"]["init_args"]["motion_encoder"]["init_args"]


def test_a_part_may_be_overridden_by_its_short_name_and_then_configured(plan_of):
    content = overridden(model__motion_encoder="latent", model__motion_encoder__dim=8, model__renderer__width=0.5)
    parts = plan_of(content).variants[0].config["model"]["init_args"]
    assert parts["motion_encoder"] == {"class_path": "talkingface.motion.LatentMotion", "init_args": {"dim": 8}}
    assert parts["renderer"] == {"class_path": "talkingface.renderers.LIARenderer", "init_args": {"width": 0.5}}


WRONG = {
    "an unknown key": (changed(colums=["psnr"]), r"unknown key 'colums'; known: columns"),
    "a missing key": ({key: BENCH[key] for key in BENCH if key != "steps"}, r"'steps' is missing"),
    "an unknown metric": (changed(columns=["pnsr"]), r"columns: there is no 'pnsr'; known: psnr"),
    "an unknown control": (changed(controls=["shufled"]), r"there is no 'shufled'; known: shuffled"),
    "an unknown key of a variant": (changed(variants={"a": {"override": {}}}), r"'override'; known: overrides"),
    "no variant": (changed(variants={}), r"'variants' is empty"),
    "two rows of one name": (changed(variants={"a": {"label": "x"}, "b": {"label": "x"}}), r"two rows .* 'x'"),
    "a row named like a control": (changed(variants={"a": {"label": "shuffled"}}), r"'shuffled'"),
    "seeds that are no list": (changed(seeds=3), r"seeds must be a list"),
    "a seed that is no number": (changed(seeds=["a"]), r"seeds must be a whole number"),
    "no steps": (changed(steps=0), r"steps must be a whole number of at least 1"),
    "one person": (changed(evaluation={"people": 1}), r"evaluation.people must be a whole number of at least 2"),
    "an unknown base": (changed(base="anitalker-tny"), r"recipes: anitalker-tiny-stage1"),
    "speech without a stage 1": (changed(columns=["speech/psnr"]), r"columns of speech and a 'representation' go"),
    "a stage 1 without speech": (changed(representation={"base": "base.yaml", "steps": 1}), r"go together"),
    "a control of speech": (changed(controls=["true motion"]), r"true motion are of speech"),
    "a stage 1 of no length": (
        changed(columns=["speech/psnr"], representation={"base": "base.yaml"}),
        r"representation.steps must be a whole number",
    ),
    "an unknown root": (overridden(modl__x=1), r"there is no setting 'modl.x'; it must lie in model"),
    "an unknown argument of a part": (
        overridden(model__motion_encoder__projectr="fc"),
        r"LatentMotion has no 'projectr'; it has: projector",
    ),
    "an unknown argument of the task": (overridden(model__lossweights=1), r"it has: loss_weights"),
    "an unknown argument of the trainer": (overridden(trainer__max_tim=1), r"lightning.Trainer has no 'max_tim'"),
    "an unknown short name": (overridden(model__motion_encoder="latnt"), r"no motion 'latnt'; known: latent"),
    "a setting of what has none": (overridden(model__motion_encoder__dim__x=1), r"'dim' is 20"),
    "a seed as an override": (overridden(seed_everything=1), r"decided by seeds"),
    "steps as an override": (overridden(trainer__max_steps=1), r"decided by steps"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_what_is_known(name, plan_of):
    content, message = WRONG[name]
    with pytest.raises(ConfigError, match=rf"mine.yaml: .*{message}"):
        plan_of(content)


def test_what_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "bad.yaml").write_text("title: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not valid YAML"):
        read_plan(tmp_path / "bad.yaml", find_config, written_out)


def test_an_unknown_variant_is_refused(plan_of):
    with pytest.raises(ConfigError, match="no variant 'fcc'; known: fc, plain"):
        plan_of().cells(["fcc"])


def test_a_key_stays_the_same_whatever_is_said_around_it(plan_of):
    keys = [cell.key for cell in plan_of().cells()]
    assert len(set(keys)) == 4
    told_otherwise = changed(title="Other", columns=["ssim", "psnr", "parameters"], controls=[], seeds=[0, 1, 2])
    assert [cell.key for cell in plan_of(told_otherwise).cells()][:4] == keys
    assert [cell.key for cell in plan_of(base=BASE.replace("# a comment", "# another")).cells()] == keys


def test_two_ways_to_write_a_setting_give_one_key(plan_of):
    same = changed(variants={"x": {"overrides": {"model.renderer": "lia", "model.motion_encoder.dim": 20}}})
    assert plan_of(same).cells()[0].key == plan_of().cells()[0].key


@pytest.mark.parametrize(
    ("change", "trained_anew"),
    [
        ({"steps": 11}, True),
        ({"options": {"data.batch_size": 5}}, True),
        ({"columns": ["psnr"]}, False),
        ({"evaluation": {"frames": 5}}, False),
    ],
)
def test_a_key_changes_with_what_decides_the_result(change, trained_anew, plan_of):
    before, after = plan_of().cells()[0], plan_of(changed(**change)).cells()[0]
    assert before.key != after.key
    assert (before.fit_key != after.fit_key) == trained_anew


def test_a_key_changes_with_the_base(plan_of):
    other = plan_of(base=BASE.replace("dim: 20", "dim: 10"))
    assert all(a.key != b.key for a, b in zip(plan_of().cells(), other.cells(), strict=True))


def test_a_key_changes_with_the_seed(plan_of):
    cell = plan_of().cells()[0]
    assert replace(cell, fit=replace(cell.fit, seed=7)).key != cell.key


SPEECH = {"columns": ["speech/lip-correlation", "told/pose-error"], "controls": ["true motion", "ground truth"]}
STAGE1 = {"base": "base.yaml", "steps": 5}


def test_variants_of_stage_2_share_one_stage_1(plan_of):
    plan = plan_of(changed(**SPEECH, representation=STAGE1))
    assert plan.tasks == ("speech", "told")
    assert {cell.fit.needs["representation"].key for cell in plan.cells()} == {plan.needs["representation"].key}
    assert len({cell.key for cell in plan.cells()}) == 4


def test_a_variant_of_another_method_has_its_own_base_and_stage_1(plan_of, tmp_path):
    (tmp_path / "other.yaml").write_text(BASE.replace("dim: 20", "dim: 10"))
    variants = {"mine": {}, "theirs": {"base": "other.yaml", "representation": {"base": "other.yaml", "steps": 6}}}
    plan = plan_of(changed(**SPEECH, representation=STAGE1, variants=variants))
    fits = {cell.variant.name: cell.fit for cell in plan.cells()}
    dims = {
        name: [
            fit.config["model"]["init_args"]["motion_encoder"]["init_args"]["dim"]
            for fit in (one, one.needs["representation"])
        ]
        for name, one in fits.items()
    }
    assert dims == {"mine": [20, 20], "theirs": [10, 10]}
    assert (fits["mine"].needs["representation"].steps, fits["theirs"].needs["representation"].steps) == (5, 6)
    assert plan.variants[1].changes == variants["theirs"]  # the report says so
    assert {cell.fit.needs["representation"].steps for cell in plan.at_smoke_scale().cells()} == {4}


def test_a_stage_1_of_one_variant_needs_one_for_the_others(plan_of):
    variants = {"mine": {}, "theirs": {"representation": STAGE1}}
    with pytest.raises(ConfigError, match="variant 'theirs' has a 'representation', and the bench has none"):
        plan_of(changed(**SPEECH, variants=variants))


EDITOR = """
model:
  class_path: talkingface.tasks.Editing
  init_args: {sync: {class_path: talkingface.losses.LipSyncLoss, init_args: {expert: expert}}}
data: {class_path: talkingface.data.SyntheticEdits}
"""
TAUGHT = {**SPEECH, "representation": STAGE1, "expert": {"base": "base.yaml", "steps": 7}, "options": {}}


def test_an_expert_is_trained_before_the_editors_that_it_teaches(plan_of, tmp_path):
    (tmp_path / "editor.yaml").write_text(EDITOR)
    plan = plan_of(changed(**TAUGHT, base="editor.yaml", variants={"one": {}}))
    fit = plan.cells()[0].fit
    assert {name: first.steps for name, first in fit.needs.items()} == {"representation": 5, "expert": 7}
    assert len(list(fit.chain())) == 3
    longer = plan_of(
        changed(**TAUGHT | {"expert": {"base": "base.yaml", "steps": 8}}, base="editor.yaml", variants={"one": {}})
    )
    assert longer.cells()[0].fit_key != fit.key
    assert {first.steps for first in plan.at_smoke_scale().cells()[0].fit.needs.values()} == {4}


def test_an_expert_for_what_takes_none_is_refused_before_anything_is_trained(plan_of):
    with pytest.raises(ConfigError, match="Reconstruction has no 'sync'"):
        plan_of(changed(**TAUGHT))


def test_variants_that_differ_in_what_is_asked_for_share_a_model_and_no_result(plan_of):
    asked = {"closed": {"animate": {"mouth": 0}}, "wide": {"animate": {"mouth": 1.5}}, "untold": {}}
    cells = plan_of(changed(**SPEECH, representation=STAGE1, variants=asked, seeds=[0])).cells()
    assert len({cell.fit_key for cell in cells}) == 1
    assert len({cell.key for cell in cells}) == 3
    wrong = {"a": {"animate": {"mouht": 1}}}
    with pytest.raises(ConfigError, match="unknown key 'mouht'; known: mouth"):
        plan_of(changed(**SPEECH, representation=STAGE1, variants=wrong))
    with pytest.raises(ConfigError, match=r"animate.mouth of variant 'a' must be a number"):
        plan_of(changed(**SPEECH, representation=STAGE1, variants={"a": {"animate": {"mouth": "wide"}}}))


def test_a_key_changes_with_the_stage_1(plan_of):
    keys = {
        plan_of(changed(**SPEECH, representation=STAGE1 | change)).cells()[0].fit_key
        for change in ({}, {"steps": 6}, {"seed": 1}, {"options": {"model.motion_encoder.dim": 10}})
    }
    assert len(keys) == 4


def test_a_key_changes_with_the_instrument_that_judges(plan_of, tmp_path, monkeypatch):
    before = plan_of().cells()[0]
    keys = before.key, before.fit_key
    (tmp_path / "reader").write_bytes(b"other weights")
    monkeypatch.setattr("talkingface.bench.plan.FACE_READER", tmp_path / "reader")
    assert before.key != keys[0]
    assert before.fit_key == keys[1]  # trained as before


def test_smoke_is_small_says_so_and_is_kept_apart(plan_of):
    plan = plan_of()
    smoke = plan.at_smoke_scale()
    assert smoke.title.startswith("SMOKE")
    assert len(smoke.cells()) == len(plan.variants)
    assert smoke.variants[0].config["data"]["init_args"]["identities"] == 10
    assert plan.variants[0].config["data"]["init_args"]["identities"] == 64
    assert not {cell.key for cell in smoke.cells()} & {cell.key for cell in plan.cells()}


def test_the_people_judged_are_in_no_training_set(plan_of):
    assert min(plan_of().evaluation.identities) >= 1_000_000  # training sets count from 0


def test_an_option_reaches_into_a_plain_mapping():
    config = {"model": {"class_path": "talkingface.tasks.Reconstruction", "init_args": {"loss_weights": {"l1": 1.0}}}}
    set_option(config, "model.loss_weights.pyramid", 2.0)
    assert config["model"]["init_args"]["loss_weights"] == {"l1": 1.0, "pyramid": 2.0}


@pytest.mark.parametrize("name", sorted(benches()))
def test_every_bench_file_that_ships_is_sound(name):
    plan = read_plan(benches()[name], find_config, written_out)
    assert len(plan.seeds) >= 3
    assert plan.source


def test_the_same_cell_of_two_bench_files_has_one_key():
    hal, projector = (
        read_plan(benches()[name], find_config, written_out) for name in ("anitalker-hal", "anitalker-projector")
    )
    keys = [{cell.variant.name: cell.key for cell in plan.cells()} for plan in (hal, projector)]
    assert keys[0]["with-hal"] == keys[1]["lmd-20"]
    assert len({*keys[0].values(), *keys[1].values()}) == 7


def test_anitalker_stands_beside_takin_ada_as_its_own_bench_has_it():
    plans = [read_plan(benches()[name], find_config, written_out) for name in ("anitalker-speech", "takin-ada-speech")]
    own, beside = ({cell.variant.name: cell for cell in plan.cells() if cell.seed == 0} for plan in plans)
    assert own["full"].key == beside["anitalker"].key
    assert beside["takin-ada"].fit.needs["representation"].key == beside["no-emotions"].fit.needs["representation"].key
    assert plans[0].columns == plans[1].columns
