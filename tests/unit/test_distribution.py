import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from talkingface import registry
from talkingface.core.errors import ConfigError, ShapeError, UnscorableError, WeightsError
from talkingface.core.records import ClipPrediction
from talkingface.metrics import (
    FID,
    FVD,
    KID,
    DistributionMetric,
    Extractor,
    FrechetDistance,
    InceptionFeatures,
    ScoredClip,
    Track,
)
from talkingface.metrics.functional.frechet import frechet_distance, kernel_distance, moments
from talkingface.metrics.networks.inception import FIDInception

WIDTH = 6


class SmallFrechet(FrechetDistance):
    feature, width, needs = "colour", WIDTH, ("video.colour", "target.colour")
    convention = "fd/test"


class SmallKernel(KID):
    feature, width, needs = "colour", WIDTH, ("video.colour", "target.colour")


METRICS = [SmallFrechet, SmallKernel]


class Colour(Extractor):
    """Six numbers of a frame; black frames have none."""

    convention = "test"

    def extract(self, track: Track) -> Tensor:
        pixels = track.data.double()
        rows = torch.cat([pixels.mean(dim=(2, 3)), pixels.std(dim=(2, 3))], dim=1).float()
        rows[rows.sum(1) == 0] = math.nan
        return rows


def rows(seed: int, count: int = 20, shift: float = 0.0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)) + shift


def fill(metric: DistributionMetric, clips: list[tuple[Tensor, Tensor]]) -> DistributionMetric:
    for number, (prediction, target) in enumerate(clips):
        metric.update(prediction, target, f"clip_{number}")
    return metric


def plain(metric: type[DistributionMetric], first: Tensor, second: Tensor) -> float:
    if metric is SmallKernel:
        return kernel_distance(first, second).item()
    summed = [moments(len(r), r.double().sum(0), r.double().T @ r.double()) for r in (first, second)]
    return frechet_distance(summed[0], summed[1]).item()


@pytest.fixture
def clips() -> list[tuple[Tensor, Tensor]]:
    return [(rows(i, 10 + i, 0.5), rows(100 + i, 12 + i)) for i in range(8)]


@pytest.mark.parametrize("metric", METRICS)
def test_the_value_is_that_of_all_rows_at_once(metric, clips) -> None:
    expected = plain(metric, torch.cat([clip[0] for clip in clips]), torch.cat([clip[1] for clip in clips]))
    assert fill(metric(), clips).compute().item() == pytest.approx(expected, abs=1e-11)
    assert expected > 0.1


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_clips_changes_nothing(metric, clips) -> None:
    backwards = metric()
    for number in reversed(range(len(clips))):
        backwards.update(*clips[number], f"clip_{number}")
    there, back = fill(metric(), clips).report(), backwards.report()
    for key, value in there.items():
        assert back[key] == (pytest.approx(value, abs=1e-11) if isinstance(value, float) else value)


@pytest.mark.parametrize("metric", METRICS)
def test_the_report_holds_counts_and_the_distance_of_real_halves(metric, clips) -> None:
    found = fill(metric(), clips).report()
    predicted, real = sum(len(clip[0]) for clip in clips), sum(len(clip[1]) for clip in clips)
    assert (found["n_pred"], found["n_real"], found["clips"], found["stride"]) == (predicted, real, 8, 1)
    assert found["n_half_a"] + found["n_half_b"] == real
    assert min(found["n_half_a"], found["n_half_b"]) > 0
    assert found["value"] == fill(metric(), clips).compute().item()
    assert found["real_vs_real"] < found["value"]


def test_a_clip_falls_into_the_same_half_whoever_is_scored() -> None:
    names = [f"id{number:03}/clip" for number in range(40)]
    first, second = SmallFrechet(), SmallFrechet()
    for number, name in enumerate(names):
        first.update(rows(number), rows(100 + number), name)
        second.update(rows(number, shift=3.0), rows(100 + number), name)
    halves = [(report["n_half_a"], report["real_vs_real"]) for report in (first.report(), second.report())]
    assert halves[0] == halves[1]
    assert 10 * 20 < halves[0][0] < 30 * 20


def test_one_clip_has_no_second_half() -> None:
    found = fill(SmallFrechet(), [(rows(0), rows(1))]).report()
    assert math.isnan(found["real_vs_real"])
    assert math.isfinite(found["value"])


@pytest.mark.parametrize("metric", METRICS)
def test_identical_files_have_the_least_distance_and_noise_adds_to_it(metric) -> None:
    real = [rows(i) for i in range(6)]
    noise = [rows(50 + i) for i in range(6)]
    values = []
    for amount in (0.0, 0.5, 1.0, 2.0):
        pairs = [(target + amount * wave, target) for target, wave in zip(real, noise, strict=True)]
        values.append(fill(metric(), pairs).compute().item())
    assert values == sorted(values)
    assert values[3] > 1
    if metric is SmallFrechet:
        assert values[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_lost_rows_are_skipped_and_counted(metric, clips) -> None:
    holes = [(prediction.clone(), target.clone()) for prediction, target in clips]
    holes[0][0][[1, 3]] = math.nan
    holes[2][1][4] = math.nan
    found = fill(metric(), holes).report()
    assert found["lost"] == 2
    assert found["n_pred"] == sum(len(clip[0]) for clip in clips) - 2
    assert found["n_real"] == sum(len(clip[1]) for clip in clips) - 1
    kept = torch.cat([clip[0] for clip in holes])
    expected = plain(
        metric, kept[kept.isfinite().all(1)], torch.cat([clip[1][clip[1].isfinite().all(1)] for clip in holes])
    )
    assert found["value"] == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("metric", METRICS)
def test_a_stride_takes_every_nth_frame_of_each_clip(metric, clips) -> None:
    strided = fill(metric(stride=3), clips).report()
    thinned = fill(metric(), [(prediction[::3], target[::3]) for prediction, target in clips]).report()
    assert strided["stride"] == 3
    assert strided["value"] == pytest.approx(thinned["value"], abs=1e-12)
    with pytest.raises(ConfigError, match="stride is 0"):
        metric(stride=0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_clips_and_one_frame_give_nan_not_zero(metric) -> None:
    assert torch.isnan(metric().compute())
    single = fill(metric(), [(rows(0, 1), rows(1, 1))])
    assert torch.isnan(single.compute())
    assert single.report()["n_pred"] == 1


def test_few_frames_are_warned_about() -> None:
    assert (
        "6 rows for 6 features: rank-deficient" in fill(SmallFrechet(), [(rows(0, 6), rows(1, 9))]).report()["warning"]
    )
    assert "biased upwards" in fill(SmallFrechet(), [(rows(0, 7), rows(1, 9))]).report()["warning"]
    many = rows(0, 10_000)
    assert fill(SmallFrechet(), [(many, many)]).report()["warning"] == ""
    assert fill(SmallKernel(), [(rows(0, 6), rows(1, 9))]).report()["warning"] == ""


@pytest.mark.parametrize("metric", METRICS)
def test_reset_forgets(metric, clips) -> None:
    used = fill(metric(), [(rows(7, 30, 9.0), rows(8, 30))])
    used.reset()
    assert fill(used, clips).compute() == fill(metric(), clips).compute()


def test_sums_take_no_memory_before_the_first_clip_and_no_more_after_many() -> None:
    metric = FID()
    assert metric.products.numel() == 0
    row = torch.zeros(2, 2048)
    metric.update(row, row, "a")
    size = metric.products.numel() * 8
    assert size == 3 * 2048 * 2049 // 2 * 8  # 50 MB
    metric.update(row, row, "b")
    assert metric.products.numel() * 8 == size


def test_rows_of_another_width_are_refused_and_nothing_is_added() -> None:
    metric = SmallFrechet()
    with pytest.raises(ShapeError, match=r"target has shape \(4, 5\), expected \(T, 6\)"):
        metric.update(rows(0), torch.zeros(4, 5), "a")
    assert metric.counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_a_clip_of_an_evaluator_adds_to_the_set_and_has_no_own_value(metric) -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 9, 3, 8, 8), dtype=torch.uint8, generator=generator)
    frames[0, 0] = 0  # nothing found
    clip = ScoredClip.of(ClipPrediction("a", video=frames[0], target=frames[1]), {"colour": Colour()})
    fed = metric()
    assert fed.update_clip(clip) is None
    assert (fed.report()["n_pred"], fed.report()["n_real"], fed.report()["lost"]) == (8, 9, 1)


def test_fvd_waits_for_an_extractor_of_a_plugin() -> None:
    frames = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(UnscorableError, match="has no i3d"):
        FVD().update_clip(ScoredClip.of(ClipPrediction("a", video=frames, target=frames)))

    class I3D(Extractor):
        temporal, convention = True, "test"

        def extract(self, track: Track) -> Tensor:
            return torch.randn(len(track) - 15, 400, generator=torch.Generator().manual_seed(len(track)))

    video, target = torch.zeros(20, 3, 8, 8, dtype=torch.uint8), torch.zeros(24, 3, 8, 8, dtype=torch.uint8)
    metric = FVD()
    metric.update_clip(ScoredClip.of(ClipPrediction("a", video=video, target=target), {"i3d": I3D()}))
    assert (metric.report()["n_pred"], metric.report()["n_real"]) == (5, 9)
    assert metric.report()["value"] > 0


def test_the_registry_finds_them() -> None:
    assert [registry.load("metric", name) for name in ("fid", "kid", "fvd")] == [FID, KID, FVD]
    assert registry.load("extractor", "inception") is InceptionFeatures


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout with drawn weights."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, value in FIDInception().state_dict().items():
        if name.endswith("conv.bias"):
            layer = name.removesuffix("conv.bias")
            for statistic in ("weight", "bias", "running_mean", "running_var"):
                draws = 0.1 * torch.randn(value.shape, generator=generator)
                positive = statistic in ("weight", "running_var")
                tensors[f"{layer}bn.{statistic}"] = 0.8 + draws.abs() if positive else draws
        else:
            tensors[name] = torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5
    path: Path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file(tensors, path)
    return path


def test_inception_sees_each_frame_alone_and_at_any_size(inception: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (3, 3, 40, 32), dtype=torch.uint8, generator=generator)
    frames[0, :, :20] = 255
    extractor = InceptionFeatures(weights={"inception-fid": inception})
    found = Track(frames, {"inception": extractor}).feature("inception")
    assert found.shape == (3, 2048)
    assert found.isfinite().all()
    alone = Track(frames[1:2], {"inception": extractor}).feature("inception")
    torch.testing.assert_close(found[1:2], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-5, rtol=1e-5)  # the control
    assert list(extractor.describe()["sha256"]) == ["inception-fid"]


def test_a_file_without_its_normalisation_is_refused_by_name(inception: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(inception)
    del tensors["Mixed_6b.branch7x7_2.bn.running_var"]
    save_file(tensors, tmp_path / "hole.safetensors")
    with pytest.raises(WeightsError, match=re.escape("missing: Mixed_6b.branch7x7_2.conv.weight")):
        InceptionFeatures(weights={"inception-fid": tmp_path / "hole.safetensors"})
