"""Face tracks and crops against the official ``track_shot`` and ``crop_video``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from talkingface.metrics.functional.tracking import (
    FaceTrack,
    crop_bounds,
    crop_face,
    face_tracks,
    smooth_centres,
)

FLOAT64 = 1e-9


@pytest.fixture(scope="module")
def numbers(oracle: Callable[[str, str], Any]) -> Any:
    return oracle("metrics", "track_crop")


@pytest.fixture(scope="module")
def tracks(numbers: Any) -> list[FaceTrack]:
    frames = numbers.json("track_detections.json")
    return face_tracks([np.array([face["bbox"] for face in faces]).reshape(-1, 4) for faces in frames])


def test_tracks(numbers: Any, tracks: list[FaceTrack]) -> None:
    summary = numbers.json("track_crop.json")
    assert [[int(track.frames[0]), int(track.frames[-1])] for track in tracks] == [track["frames"] for track in summary]
    for index, track in enumerate(tracks):
        assert np.array_equal(track.frames, numbers[f"track{index}/frame"].numpy())
        assert np.abs(track.boxes - numbers[f"track{index}/bbox"].numpy()).max() < FLOAT64


@pytest.mark.parametrize("index", [0, 1])
def test_smoothed_centres(numbers: Any, tracks: list[FaceTrack], index: int) -> None:
    found = smooth_centres(torch.from_numpy(tracks[index].boxes))
    wanted = torch.stack([numbers[f"track{index}/{name}"] for name in "sxy"], dim=-1)
    assert (found - wanted).abs().max() < FLOAT64


@pytest.mark.parametrize("index", [0, 1])
def test_crops_pixel_by_pixel(numbers: Any, tracks: list[FaceTrack], index: int) -> None:
    frame = numbers["source_frame"].permute(2, 0, 1)
    places = smooth_centres(torch.from_numpy(tracks[index].boxes)).tolist()
    bounds = torch.tensor([crop_bounds(*place) for place in places])
    assert torch.equal(bounds[:, 0], numbers[f"track{index}/pad"])
    assert torch.equal(bounds[:, 1:], numbers[f"track{index}/box_in_padded_y0y1x0x1"])
    crops = [crop_face(frame, *place) for place in places[::5]]
    assert torch.equal(crops[0].permute(1, 2, 0), numbers[f"track{index}/crop_first"])
    means = torch.stack([crop.double().mean() for crop in crops])
    assert (means - numbers[f"track{index}/crop_mean"][::5]).abs().max() < FLOAT64
