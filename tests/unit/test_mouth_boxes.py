"""Where losses look: the mouth's box, the face's square round it, and cutting them out."""

import pytest
import torch

from talkingface.core.errors import ShapeError
from talkingface.data.synthetic import render_clip
from talkingface.losses import cut, face_boxes, lip_boxes, mouth_boxes, mouth_loss, mouth_mask

LANDMARKS = torch.from_numpy(render_clip(0, 1, 4, 64, audio=False).landmarks).float()


def test_the_box_goes_by_the_released_rule():
    points = torch.zeros(68, 2)
    points[:17, 1] = torch.linspace(20, 60, 17)  # the jaw: the lowest point is 60
    points[29, 1] = 40
    points[48, 0], points[54, 0] = 30, 50  # 20 wide, and 20 from the nose to the chin
    reach = 1.1 * 20 / 2
    assert mouth_boxes(points).tolist() == pytest.approx([40 - 1.25 * reach, 40, 40 + 1.25 * reach, 40 + 2.25 * reach])
    points[54, 0] = 70  # a mouth that is wider than the nose is far from the chin
    assert mouth_boxes(points)[3] == pytest.approx(40 + 2.25 * 1.1 * 40 / 2)


def test_all_of_the_mouth_lies_in_the_box_and_no_eye():
    boxes = mouth_boxes(LANDMARKS)[:, None]
    inside = ((LANDMARKS - boxes[..., :2] > 0) & (LANDMARKS - boxes[..., 2:] < 0)).all(-1)
    assert inside[:, 48:].all()
    assert not inside[:, 36:48].any()


def test_the_mouth_lies_in_the_lower_half_of_the_face():
    mouth, face = mouth_boxes(LANDMARKS), face_boxes(LANDMARKS)
    assert torch.allclose(face[:, 2] - face[:, 0], face[:, 3] - face[:, 1])
    assert torch.allclose(mouth[:, 1], (face[:, 1] + face[:, 3]) / 2)
    assert torch.allclose(mouth[:, 3], face[:, 3])
    assert (mouth[:, 0] > face[:, 0]).all()


def test_the_mask_is_the_box():
    mask, boxes = mouth_mask(LANDMARKS, 64), mouth_boxes(LANDMARKS) * 64
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert torch.allclose(mask.sum((1, 2, 3)).float(), area, rtol=0.15)


def test_a_box_of_whole_pixels_is_cut_out_as_it_is_and_passes_gradients_there_only():
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    boxes = torch.tensor([[0.25, 0.5, 0.5, 0.75], [0.0, 0.0, 0.25, 0.25]])
    found = cut(images, boxes, 4)
    assert torch.allclose(found[0], images[0, :, 8:12, 4:8], atol=1e-6)
    assert torch.allclose(found[1], images[1, :, :4, :4], atol=1e-6)
    found.sum().backward()
    assert torch.allclose(images.grad[0, :, 8:12, 4:8], torch.ones(3, 4, 4))
    assert images.grad[0].sum() == pytest.approx(48)


def test_the_lips_fill_the_square_round_them():
    boxes = lip_boxes(LANDMARKS)
    assert torch.allclose(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    lips = (LANDMARKS[:, 48:] - boxes[:, None, :2]) / (boxes[:, None, 2:] - boxes[:, None, :2])
    assert lips.min() > 0
    assert lips.max() < 1
    assert (lips[..., 0].amax(1) - lips[..., 0].amin(1) > 0.6).all()


def test_only_what_is_shown_near_the_lips_counts():
    target = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert mouth_loss(target, target, LANDMARKS) == 0
    elsewhere, lips = target.clone(), target.clone()
    elsewhere[..., :8, :] = 1
    for image, (x, y) in zip(lips, (LANDMARKS[:, 48:].mean(1) * 64).long().tolist(), strict=True):
        image[:, y - 1 : y + 2, x - 1 : x + 2] = 1
    assert mouth_loss(elsewhere, target, LANDMARKS) == 0
    assert mouth_loss(lips, target, LANDMARKS) > 0.05


def test_pictures_without_landmarks_do_not_count():
    image, target = torch.rand(4, 3, 64, 64, requires_grad=True), torch.rand(4, 3, 64, 64)
    unknown = LANDMARKS.clone()
    unknown[1:] = torch.nan
    assert mouth_loss(image, target, unknown) == mouth_loss(image[:1], target[:1], LANDMARKS[:1])
    nothing = mouth_loss(image, target, torch.full_like(LANDMARKS, torch.nan))
    nothing.backward()
    assert nothing == 0
    assert not image.grad.any()


def test_other_landmarks_are_refused():
    with pytest.raises(ShapeError, match="landmarks"):
        mouth_boxes(torch.zeros(2, 5, 2))
