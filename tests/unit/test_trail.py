"""One face through a video: who is followed, when the square is cut anew, and where the mouth is."""

import numpy as np
import pytest
import torch

from talkingface.pipelines import trail
from talkingface.pipelines.trail import FaceTrail, FoundFace

POINTS = torch.tensor([[-10.0, -10], [10, -10], [0, 0], [-8, 10], [8, 10]])


def box(x, y, half):
    return torch.tensor([x - half, y - half, x + half, y + half], dtype=torch.float32)


@pytest.fixture
def follow(monkeypatch):
    """Squares of a trail through frames whose faces are given as (x, y, half) each."""

    def run(*frames):
        def find(pictures):
            boxes = [torch.stack([box(*face) for face in faces]) if faces else torch.zeros(0, 4) for faces in frames]
            return [(b, torch.stack([POINTS + b[i, :2] for i in range(len(b))]) if len(b) else b) for b in boxes]

        monkeypatch.setattr(trail, "find_faces", find)
        return FaceTrail().follow(np.zeros((len(frames), 200, 300, 3), np.uint8))

    return run


def middle(face: FoundFace) -> int:
    return face.box[0] + face.box[2] // 2


def test_the_largest_face_is_followed_even_when_another_grows(follow):
    found = follow([(80, 100, 30), (220, 100, 20)], [(82, 100, 29), (220, 100, 40)])
    assert [middle(face) for face in found] == [80, 80]
    alone = follow([(82, 100, 29), (220, 100, 40)])  # the control
    assert [middle(face) for face in alone] == [220]


def test_after_a_cut_the_largest_is_taken_again(follow):
    found = follow([(80, 100, 30)], [(200, 60, 20), (230, 140, 35)])
    assert middle(found[1]) == 230


def test_the_square_stands_still_while_the_face_stays_in_it(follow):
    boxes = [face.box for face in follow(*([(100 + step, 100, 30)] for step in range(10)))]
    assert len(set(boxes)) == 1


def test_the_square_is_cut_anew_when_the_face_leaves_it_or_comes_nearer(follow):
    away = follow([(100, 100, 30)], [(120, 100, 30)])
    near = follow([(100, 100, 30)], [(100, 100, 45)])
    assert middle(away[1]) == 120
    assert near[1].box[2] > near[0].box[2]


def test_a_face_is_found_again_after_frames_without_one(follow):
    found = follow([(100, 100, 30)], [], [(101, 100, 30)])
    assert found[1] is None
    assert found[0].box == found[2].box


def test_the_mouth_fades_and_reaches_from_below_the_eyes_to_below_the_chin():
    face = FoundFace((100, 50, 80), POINTS + torch.tensor([140.0, 90.0]))  # eyes at y = 80, mouth at 100
    weight = face.mouth()
    assert weight.shape == (80, 80)
    assert weight[50, 40] == 1  # the mouth
    assert weight[30].max() == 0  # the eyes
    assert weight[50 + 22].max() > 0  # below a chin that lies three quarters of the way from the eyes below the mouth
    assert weight.diff(dim=0).abs().max() < 0.3


def test_pasting_changes_nothing_outside_of_the_mouth():
    frame = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    before = frame.copy()
    face = FoundFace((100, 50, 80), POINTS + torch.tensor([140.0, 90.0]))
    face.paste(frame, np.full((32, 32, 3), 128, np.uint8))
    redrawn = np.zeros((200, 300), bool)
    redrawn[50:130, 100:180] = (face.mouth() > 0).numpy()
    assert np.array_equal(frame[~redrawn], before[~redrawn])
    assert not np.array_equal(frame[redrawn], before[redrawn])
