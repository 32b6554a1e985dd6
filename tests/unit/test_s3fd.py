from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from talkingface.core.errors import ShapeError, WeightsError
from talkingface.metrics.networks.s3fd import RGB_MEAN, S3FD, SIDES, STRIDES, S3FDNet, anchor_boxes, decode, suppress


def network(**filled: Tensor) -> S3FDNet:
    """A network that sees nothing but what is filled in: all other weights are zero."""
    net = S3FDNet().eval()
    for name, tensor in net.state_dict().items():
        tensor.zero_()
        if name in filled:
            tensor += filled[name]
    return net


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def drawn_file(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "s3fd.safetensors"
    save_file(S3FDNet().state_dict(), path)
    return path


@pytest.fixture
def sure_file(tmp_path) -> Path:
    """A network to which every anchor of 128 pixels, and no other, is a face."""
    biases = {f"conf.{level}.bias": torch.tensor([9.0, -9.0]) for level in range(1, 6)}
    biases |= {"conf.0.bias": torch.tensor([9.0, 9.0, 9.0, -9.0]), "conf.3.bias": torch.tensor([-9.0, 9.0])}
    save_file(network(**biases).state_dict(), tmp_path / "sure.safetensors")
    return tmp_path / "sure.safetensors"


def overlap(first: list[float], second: list[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (sum(areas) - both)


def slow_suppress(boxes: Tensor, scores: Tensor, threshold: float) -> list[list[float]]:
    """The published rule, box by box: 0.3 inside the network, then the threshold, then 0.1."""
    rows = [[*box, score] for box, score in zip(boxes.tolist(), scores.tolist(), strict=True) if score > 0.05]
    rows.sort(key=lambda row: -row[4])
    for limit, least in ((0.3, 0.05), (0.1, threshold)):
        kept: list[list[float]] = []
        for row in rows:
            if row[4] > least and all(overlap(row, other) <= limit for other in kept):
                kept.append(row)
        rows = kept
    return rows


def test_anchors_of_the_first_map_are_16_pixels_around_each_fourth():
    anchors = anchor_boxes((32, 64), (8, 16), 0) * torch.tensor([64, 32, 64, 32])
    assert anchors.shape == (8 * 16, 4)
    assert anchors[0].tolist() == [2.0, 2.0, 16.0, 16.0]
    assert anchors[1].tolist() == [6.0, 2.0, 16.0, 16.0]  # along the row first
    assert anchors[16].tolist() == [2.0, 6.0, 16.0, 16.0]


def test_anchors_are_four_strides_wide_on_every_map():
    assert STRIDES == (4, 8, 16, 32, 64, 128)
    assert SIDES == (16, 32, 64, 128, 256, 512)


def test_decoding_moves_by_tenths_of_the_anchor_and_grows_exponentially():
    anchor = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    assert decode(torch.zeros(1, 1, 4), anchor)[0, 0].tolist() == pytest.approx([0.4, 0.3, 0.6, 0.7])
    moved = decode(torch.tensor([[[1.0, -1.0, 0.0, 0.0]]]), anchor)[0, 0]
    assert moved.tolist() == pytest.approx([0.42, 0.26, 0.62, 0.66])
    grown = decode(torch.tensor([[[0.0, 0.0, 5.0, 0.0]]]), anchor)[0, 0]
    half = 0.1 * 2.718281828  # exp(0.2 · 5)
    assert grown.tolist() == pytest.approx([0.5 - half, 0.3, 0.5 + half, 0.7])


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_the_published_rule(seed):
    generator = torch.Generator().manual_seed(seed)
    corners, sizes = torch.rand(60, 2, generator=generator) * 100, torch.rand(60, 2, generator=generator) * 60 + 5
    boxes, scores = torch.cat([corners, corners + sizes], 1), torch.rand(60, generator=generator)
    found = suppress(boxes, scores, 0.4)
    wanted = torch.tensor(slow_suppress(boxes, scores, 0.4))
    assert 2 < len(wanted) < 30  # the control: something is suppressed, and not everything
    torch.testing.assert_close(found, wanted)


def test_a_box_suppresses_before_the_threshold_is_asked():
    """The published chain suppresses inside the network, at 0.05, and asks for 0.9 only afterwards."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60]])
    found = suppress(boxes, torch.tensor([0.95, 0.99, 0.5]), 0.9)
    assert found.tolist() == [[0, 0, 10, 12, pytest.approx(0.99)]]


def test_the_smallest_anchors_are_background_by_the_strongest_of_three_scores():
    picture = torch.zeros(1, 3, 64, 64)
    _, scores = network(**{"conf.0.bias": torch.tensor([-9.0, 2.0, -9.0, 1.0])})(picture)
    assert scores[0, : 16 * 16].tolist() == pytest.approx([1 / (1 + 2.718281828)] * 256)
    _, scores = network(**{"conf.0.bias": torch.tensor([-9.0, -9.0, -9.0, 1.0])})(picture)  # the control
    assert scores[0, 0] > 0.99


def test_every_map_has_its_anchors(drawn_file):
    boxes, scores = S3FD(drawn_file).network(torch.zeros(2, 3, 128, 192))
    count = sum((128 // stride) * (192 // stride) for stride in STRIDES[:5]) + 1 * 2
    assert boxes.shape == (2, count, 4)
    assert scores.shape == (2, count)


def test_detection_gives_boxes_in_pixels_of_the_whole_frame(sure_file):
    frames = torch.zeros(2, 3, 128, 256, dtype=torch.uint8)
    found = S3FD(sure_file).detect(frames, scale=1.0)
    # The anchors of 128 pixels stand 32 apart; those that overlap by more than a tenth leave one another out.
    anchors = anchor_boxes((128, 256), (4, 8), 3) * torch.tensor([256, 128, 256, 128])
    corners = torch.cat([anchors[:, :2] - 64, anchors[:, :2] + 64], 1)
    assert len(found) == 2
    for faces in found:
        assert faces.shape[1] == 5
        assert (faces[:, 4] > 0.9).all()
        for face in faces[:, :4]:
            assert (corners - face).abs().amax(1).min() < 1e-3
    quarter = S3FD(sure_file).detect(torch.zeros(1, 3, 512, 1024, dtype=torch.uint8))  # seen as 128 by 256
    torch.testing.assert_close(quarter[0][:, :4], 4 * found[0][:, :4])


def test_nothing_above_the_threshold_is_no_face(drawn_file):
    frames = torch.zeros(3, 3, 256, 256, dtype=torch.uint8)
    assert [faces.shape for faces in S3FD(drawn_file).detect(frames, threshold=0.999)] == [(0, 5)] * 3


def test_batches_change_nothing(drawn_file):
    frames = torch.randint(0, 256, (5, 3, 64, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    detector = S3FD(drawn_file)
    together, alone = (detector.detect(frames, 1.0, 0.3, batch) for batch in (5, 1))
    assert sum(map(len, alone)) > 0
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first, second, atol=1e-3, rtol=0)


def test_convention_the_network_sees_rgb_less_the_mean_of_its_own_channel(drawn_file, monkeypatch):
    assert RGB_MEAN == (123.0, 117.0, 104.0)
    detector, seen = S3FD(drawn_file), []
    forward = detector.network.forward
    monkeypatch.setattr(detector.network, "forward", lambda images: seen.append(images) or forward(images))
    frames = torch.tensor([200, 100, 50], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 128, 128)
    detector.detect(frames)
    assert seen[0].shape == (1, 3, 32, 32)
    assert seen[0][0, :, 3, 4].tolist() == [200 - 123, 100 - 117, 50 - 104]


def test_frames_of_other_kinds_are_refused(drawn_file):
    detector = S3FD(drawn_file)
    with pytest.raises(ShapeError, match="at least 128 pixels"):
        detector.detect(torch.zeros(1, 3, 100, 200, dtype=torch.uint8))
    with pytest.raises(ShapeError, match="uint8"):
        detector.detect(torch.zeros(1, 3, 200, 200))


def test_a_file_of_another_network_is_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not fit S3FDNet"):
        S3FD(tmp_path / "other.safetensors")
