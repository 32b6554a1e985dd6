"""Emotions of the diffusion generator: what is told, what labels teach, what is withheld, what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from talkingface.audio import HubertSpeech, MelSpeech
from talkingface.core.errors import ConfigError, ShapeError
from talkingface.core.interfaces import MotionEncoder
from talkingface.core.motion_spec import MotionSpec
from talkingface.core.records import Condition
from talkingface.generators import ConformerDiffusion, EmotionCondition, Regression, over_window
from talkingface.generators.emotion import clean_columns
from talkingface.motion import LatentMotion, LivePortraitMotion

BATCH, FRAMES, HEARD = 2, 40, 16
SMALL = {"dim": 32, "blocks": 1, "dropout": 0.0, "static": 4, "attributes": []}
NAMES = ["neutral", "happy", "sad"]
SPEC = MotionSpec("vector", {"expression": 5, "pose": 2})


class Points(MotionEncoder):
    """Keypoints of a convention, without a network."""

    def __init__(self, spec: MotionSpec = SPEC) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


def build(spec: MotionSpec = SPEC, **settings: Any) -> ConformerDiffusion:
    torch.manual_seed(0)
    hearing = MelSpeech(dim=HEARD, blocks=0)
    return ConformerDiffusion(Points(spec), hearing, **{**SMALL, "emotions": NAMES, **settings})


def condition(emotion: Tensor | None = None) -> Condition:
    draw = torch.Generator().manual_seed(1)
    told = {} if emotion is None else {"emotion": emotion}
    audio = torch.randn(BATCH, FRAMES, HEARD, generator=draw)
    return Condition(audio, torch.zeros(BATCH, 7), torch.empty(BATCH, 0), told)


def track(value: float = 0.5, frames: int = FRAMES) -> Tensor:
    return torch.full((BATCH, frames, 5), value)


def moods() -> dict[str, Tensor]:
    """Motion whose expression is 0 for neutral, 2 for happy; the pose differs too, and is none of it."""
    rest = torch.randn(400, 7, generator=torch.Generator().manual_seed(2)) * 0.1
    rest = rest - rest.mean(0)
    return {"neutral": rest, "happy": rest + torch.tensor([2.0] * 5 + [9.0] * 2)}


def calibrated(**settings: Any) -> ConformerDiffusion:
    part = build(**settings)
    part.calibrate(torch.cat([*moods().values()]), moods())
    return part


def test_the_paper_sizes_add_up_on_keypoints():
    with torch.device("meta"):
        part = ConformerDiffusion(LivePortraitMotion(), HubertSpeech(), blocks=8, attributes=[], emotions=NAMES)
    assert isinstance(part.fuse, torch.nn.Identity)
    assert part.emotion is not None
    assert (part.emotion.dim, part.out.out_features, len(part.conformer.blocks)) == (45, 70, 8)


def test_the_mouth_is_no_emotion_where_its_keypoints_are_known():
    told = clean_columns(MotionSpec.of_keypoints("liveportrait", 21))
    assert {column // 3 for column in told} == set(range(21)) - {6, 12, 14, 17, 19, 20}
    assert clean_columns(SPEC) == [0, 1, 2, 3, 4]


def test_clean_expression_is_the_mean_of_a_second_cut_at_the_ends():
    ramp = torch.arange(60.0)[:, None].expand(-1, 2)
    clean = over_window(ramp)
    assert clean[30].tolist() == [30.0, 30.0]
    assert clean[0].tolist() == [6.0, 6.0]  # of frames 0 to 12
    assert clean[59].tolist() == [53.0, 53.0]
    torch.testing.assert_close(over_window(ramp.expand(3, -1, -1)), clean.expand(3, -1, -1))


def test_a_blink_averages_out_and_a_mood_stays():
    blink, mood = torch.zeros(100, 1), torch.zeros(100, 1)
    blink[50:55], mood[50:] = 1.0, 1.0
    assert over_window(blink).max() <= 0.2
    assert over_window(mood)[70:].min() == 1.0


def test_names_mean_the_difference_of_their_clips_from_neutral_ones():
    emotion = calibrated().emotion
    assert emotion is not None
    torch.testing.assert_close(emotion.named("happy"), torch.full((5,), 2.0))
    torch.testing.assert_close(emotion.named("neutral"), torch.zeros(5))
    torch.testing.assert_close(emotion.shown(moods()["happy"]).mean(0), torch.full((5,), 2.0), atol=0.05, rtol=0)


def test_without_neutral_clips_the_mean_of_all_is_neutral():
    part = build()
    part.calibrate(torch.cat([*moods().values()]), {"happy": moods()["happy"]})
    assert part.emotion is not None
    torch.testing.assert_close(part.emotion.named("happy"), torch.full((5,), 1.0))


def test_what_names_mean_is_saved_and_is_not_learnt_anew(tmp_path):
    part = calibrated()
    part.calibrate(torch.randn(100, 7), {})
    part.save_pretrained(tmp_path)
    again = ConformerDiffusion.from_pretrained(tmp_path, Points(), MelSpeech(dim=HEARD, blocks=0))
    assert again.emotion is not None
    torch.testing.assert_close(again.emotion.named("happy"), torch.full((5,), 2.0))


def test_an_unknown_emotion_is_refused_with_the_nearest_first():
    emotion = calibrated().emotion
    assert emotion is not None
    with pytest.raises(ConfigError, match=r"no emotion 'hapy'; this model has: happy"):
        emotion.named("hapy")
    with pytest.raises(ConfigError, match=r"'sad'; labelled were: neutral, happy"):
        emotion.named("sad")


def test_a_label_that_is_no_emotion_of_the_generator_is_refused():
    with pytest.raises(ConfigError, match="no emotion 'hapy'"):
        build().calibrate(torch.randn(9, 7), {"hapy": torch.randn(9, 7)})


def test_a_motion_without_expression_is_refused():
    with pytest.raises(ConfigError, match=r"has none apart from the rest \(it has latent\)"):
        ConformerDiffusion(LatentMotion(size=64, width=0.125), MelSpeech(dim=HEARD, blocks=0), emotions=NAMES)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_dropout_that_trains_only_one_side_is_refused(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        build(emotion_dropout=share)


def test_training_tells_the_emotion_of_the_motion_itself(monkeypatch):
    part, told = calibrated(), []
    monkeypatch.setattr(EmotionCondition, "forward", record(told, EmotionCondition.forward))
    motion = torch.randn(BATCH, FRAMES, 7)
    part.eval().loss(motion, condition(track(99.0)), torch.Generator().manual_seed(0))
    assert part.emotion is not None
    torch.testing.assert_close(told[0], over_window(motion[..., :5]) - part.emotion.neutral)


def record(told: list[Tensor], forward: Any) -> Any:
    def recording(self: EmotionCondition, track: Tensor, scale: Tensor) -> Tensor:
        told.append(track)
        return forward(self, track, scale)

    return recording


def test_it_is_withheld_from_the_named_share_of_clips_in_training_only(monkeypatch):
    part, told = calibrated(emotion_dropout=0.3), []
    monkeypatch.setattr(EmotionCondition, "forward", record(told, EmotionCondition.forward))
    many = Condition(torch.randn(1000, 3, HEARD), torch.zeros(1000, 7), torch.empty(1000, 0))
    with torch.no_grad():
        for mode in (True, False):
            part.train(mode).loss(torch.randn(1000, 3, 7), many, torch.Generator().manual_seed(0))
    withheld = [track.isnan().all(-1).all(-1).float().mean().item() for track in told]
    assert withheld[0] == pytest.approx(0.3, abs=0.05)
    assert withheld[1] == 0
    assert told[0].isnan().any(-1).any(-1).equal(told[0].isnan().all(-1).all(-1))  # whole clips


def predicted(part: ConformerDiffusion, told: Condition, **settings: float) -> Tensor:
    noise = torch.randn(BATCH, FRAMES, 7, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return part.eval().noise_predictor(told, **settings)(noise, torch.full((BATCH,), 500))


def test_guidance_of_the_emotion_goes_from_untold_to_exaggerated():
    part = calibrated()
    free, plain = predicted(part, condition()), predicted(part, condition(track()))
    assert not free.equal(plain)
    assert predicted(part, condition(track()), emotion_guidance=0.0).equal(free)
    found = predicted(part, condition(track()), emotion_guidance=3.0)
    torch.testing.assert_close(found, 3 * plain - 2 * free, atol=1e-5, rtol=1e-5)


def test_both_guidances_work_together():
    part = calibrated(condition_dropout=0.1)
    assert part.unheard is not None
    told, deaf = condition(track()), replace(condition(track()), audio=torch.zeros(BATCH, FRAMES, HEARD))
    each = [predicted(part, c) for c in (told, condition(), deaf, replace(deaf, controls={}))]
    found = predicted(part, told, guidance=2.0, emotion_guidance=3.0)
    expected = 3 * (2 * each[0] - each[2]) - 2 * (2 * each[1] - each[3])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_guidance_of_an_emotion_is_refused_without_emotions():
    with pytest.raises(ConfigError, match="knows no emotions"):
        predicted(build(emotions=[]), condition(), emotion_guidance=2.0)


def test_frames_that_are_not_told_are_free_and_others_are_not():
    part = calibrated()
    half = track()
    half[:, 20:] = torch.nan
    assert part.emotion is not None
    codes = part.emotion(half, part.motion_range.scale)
    assert codes[:, 20:].equal(part.emotion.untold.expand(BATCH, 20, -1))
    assert not codes[:, :20].equal(part.emotion.untold.expand(BATCH, 20, -1))


@pytest.mark.parametrize(("told", "moved", "matters"), [(True, 1, False), (False, 1, True), (True, 6, True)])
def test_the_expression_of_the_start_does_not_matter_once_an_emotion_is_told(told, moved, matters):
    part, plain = calibrated(), condition(track() if told else None)
    start = plain.start_motion.clone()
    start[:, moved] += 1.0  # 1 is expression, 6 is pose
    other = replace(plain, start_motion=start)
    assert predicted(part, plain).equal(predicted(part, other)) is not matters
    assert start[:, moved].eq(1.0).all()  # what is told is left alone


@pytest.mark.parametrize("shape", [(BATCH, FRAMES - 1, 5), (BATCH, FRAMES, 4), (BATCH, FRAMES)])
def test_a_track_of_another_shape_is_refused(shape):
    with pytest.raises(ShapeError, match="control 'emotion'"):
        calibrated().eval().sample(condition(torch.zeros(shape)), torch.Generator(), steps=2)


def test_what_is_at_rest_is_neither_learnt_nor_moved():
    part = build()
    still = torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    still[:, 2] = 0.25
    part.calibrate(still)
    assert part.eval().sample(condition(), torch.Generator().manual_seed(0), steps=2)[..., 2].eq(0.25).all()
    losses = []
    for value in (0.25, 50.0):
        motion = torch.zeros(BATCH, FRAMES, 7)
        motion[..., 2] = value
        losses.append(part.loss(motion, condition(), torch.Generator().manual_seed(0))["diffusion"])
    assert losses[0].equal(losses[1])
    motion[..., 1] = 3.0  # the control: a dimension that moves
    assert not part.loss(motion, condition(), torch.Generator().manual_seed(0))["diffusion"].equal(losses[0])


@pytest.mark.parametrize("cls", [ConformerDiffusion, Regression])
def test_a_generator_of_15_keypoints_is_refused_by_a_model_of_21_with_both_sizes(cls, tmp_path):
    few, many = (Points(MotionSpec.of_keypoints("liveportrait", count)) for count in (15, 21))
    hearing = MelSpeech(dim=HEARD, blocks=0)
    settings = {"dim": 32, "blocks": 1}
    cls(few, hearing, **settings).save_pretrained(tmp_path)
    assert cls.from_pretrained(tmp_path, few, hearing).spec.num_keypoints == 15  # the control
    with pytest.raises(ConfigError, match=r"52 numbers a frame \(15 keypoints\).* 70 numbers a frame \(21 keypoints\)"):
        cls.from_pretrained(tmp_path, many, hearing)
