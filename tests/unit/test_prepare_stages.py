"""Stages of preparing a set, on made-up detections: tracks, filters, crops, names and copies; no video is decoded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from talkingface.core.errors import ConfigError
from talkingface.core.geometry import rotation
from talkingface.metrics.head_pose import face_template
from talkingface.prepare.choose import Span, choose, pieces
from talkingface.prepare.jobs import find_copies, plan
from talkingface.prepare.layouts import FolderLayout
from talkingface.prepare.look import Faces, Look, sharpness
from talkingface.prepare.people import name_of_person, people_of
from talkingface.prepare.pose import PARTS, pose_of
from talkingface.prepare.records import Source
from talkingface.prepare.settings import Settings
from talkingface.prepare.tracks import Track, link
from talkingface.prepare.trees import walk

SETTINGS = Settings(size=64, min_face=80)
SOURCE = Source(Path("anna/a.mp4"), "anna/a", "anna")


def five(yaw: float = 0.0) -> torch.Tensor:
    """Five points of the average face, turned, 40 pixels wide."""
    head = (rotation(torch.tensor([yaw, 0.0, 0.0])).double() @ face_template().T).T
    points = torch.stack([head[list(part)].mean(0) for part in PARTS])[:, :2]
    return (points / 2 + 100).float()


def seen(frame, *lefts, side=100.0, blur=50.0, yaw=0.0, who=()):
    """Faces of one frame: squares at these places from the left, of these people where they are told apart."""
    boxes = torch.tensor([[left, 50.0, left + side, 50.0 + side] for left in lefts]).reshape(-1, 4)
    people = torch.eye(4)[list(who)] if who else torch.zeros(len(lefts), 0)
    return Faces(frame, boxes, five(yaw).repeat(len(lefts), 1, 1), torch.full((len(lefts),), blur), people)


def outcome(faces, shots=((0, 100),), settings=SETTINGS, source=SOURCE, width=640):
    look = Look(width, 360, shots[-1][1], list(shots), list(faces))
    return list(choose(look, source, "anna/a.mp4", settings))


def reason(found):
    assert not isinstance(found, Span)
    return found.stage


def test_a_face_that_stays_is_one_clip_with_a_box_around_it():
    (span,) = outcome(seen(frame, 200.0) for frame in range(0, 100, 5))
    assert (span.first, span.end, span.face) == (0, 100, 100.0)
    assert (span.left, span.top, span.side) == (170, 20, 160)  # 1.6 times the face, around its middle


@pytest.mark.parametrize(
    ("changed", "stage"),
    [
        ({"side": 60.0}, "face size"),
        ({"blur": 5.0}, "blur"),
        ({"yaw": 70.0}, "yaw"),
        ({"yaw": -70.0}, "yaw"),
    ],
)
def test_a_face_that_is_not_fit_is_dropped_by_the_stage_that_looks_for_it(changed, stage):
    (found,) = outcome(seen(frame, 200.0, **changed) for frame in range(0, 100, 5))
    assert reason(found) == stage


def test_one_turned_frame_is_enough_to_drop_a_clip():
    (found,) = outcome(seen(frame, 200.0, yaw=65.0 if frame == 50 else 0.0) for frame in range(0, 100, 5))
    assert reason(found) == "yaw"


def test_two_faces_side_by_side_are_both_dropped():
    found = outcome(seen(frame, 100.0, 400.0) for frame in range(0, 100, 5))
    assert [reason(one) for one in found] == ["one face", "one face"]


def test_a_small_face_far_away_does_not_matter_but_one_inside_the_crop_does():
    def with_small(left):
        for frame in range(0, 100, 5):
            large, small = seen(frame, 200.0), seen(frame, left, side=30.0)
            yield Faces(frame, *(torch.cat(pair) for pair in zip(parts(large), parts(small), strict=True)))

    def parts(faces):
        return faces.boxes, faces.points, faces.blur, faces.who

    assert isinstance(outcome(with_small(500.0))[0], Span)
    assert reason(outcome(with_small(175.0))[0]) == "one face"


def test_a_face_that_walks_out_of_its_crop_is_dropped():
    (found,) = outcome(seen(frame, 50.0 + 4 * frame) for frame in range(0, 100, 5))
    assert reason(found) == "crop"


def test_a_cut_ends_a_clip_and_what_is_left_may_be_too_short():
    found = outcome((seen(frame, 200.0) for frame in range(0, 100, 5)), shots=[(0, 70), (70, 100)])
    assert isinstance(found[0], Span)
    assert (found[0].end, reason(found[1])) == (70, "length")


def test_a_shot_without_a_face_says_so():
    (found,) = outcome(seen(frame) for frame in range(0, 100, 5))
    assert (reason(found), found.seconds) == ("faces", 4.0)


def test_a_face_that_is_gone_for_longer_ends_its_track():
    frames = [frame for frame in range(0, 200, 5) if not 80 <= frame < 110]
    samples = [seen(frame, 200.0) if frame in frames else seen(frame) for frame in range(0, 200, 5)]
    assert [(track.frames[0], track.frames[-1]) for track in link(samples)] == [(0, 75), (110, 195)]


def test_a_face_that_is_missed_twice_stays_the_same():
    samples = [seen(frame) if frame in (40, 45) else seen(frame, 200.0) for frame in range(0, 100, 5)]
    assert len(link(samples)) == 1


def test_faces_that_pass_each_other_apart_keep_their_tracks():
    samples = [seen(5 * step, 100.0 + 2 * step, 400.0 - 2 * step) for step in range(20)]
    assert [track.boxes[-1, 0].item() for track in link(samples)] == [138.0, 362.0]


def test_the_face_that_the_data_set_means_is_taken_and_the_other_still_counts():
    boxed = Source(Path("a.mp4"), "a", "a", box=(400 / 640, 50 / 360, 500 / 640, 150 / 360))
    found = outcome((seen(frame, 100.0, 400.0) for frame in range(0, 100, 5)), source=boxed)
    assert [one.left if isinstance(one, Span) else one.stage for one in found] == [370]
    nobody = Source(Path("a.mp4"), "a", "a", box=(0.0, 0.9, 0.1, 1.0))
    assert reason(outcome((seen(frame, 400.0) for frame in range(0, 100, 5)), source=nobody)[0]) == "faces"


def swapping(change, back=1000):
    """A face in one place that is another's from one frame on, and maybe the first one's again."""
    return [seen(frame, 200.0, who=(1 if change <= frame < back else 0,)) for frame in range(0, 200, 5)]


def test_a_face_that_becomes_another_ones_ends_a_clip():
    first, second = outcome(swapping(100), shots=[(0, 200)])
    assert (first.first, first.end, second.first, second.end) == (0, 96, 100, 200)
    (together,) = outcome((seen(frame, 200.0, who=(0,)) for frame in range(0, 200, 5)), shots=[(0, 200)])
    assert (together.first, together.end) == (0, 200)


def test_a_stranger_who_is_seen_too_shortly_for_a_clip_is_dropped_by_name():
    found = outcome(swapping(100, 120), shots=[(0, 200)])
    assert [one.first if isinstance(one, Span) else one.stage for one in found] == [0, "identity", 120]
    assert "another face takes its place" in found[1].reason


def test_one_face_that_is_hard_to_recognize_changes_nothing():
    def faces(hidden):
        for frame in range(0, 200, 5):
            face = seen(frame, 200.0, who=(0,))
            yield replace(face, who=torch.tensor([[0.6, 0.8, 0.0, 0.0]])) if frame in hidden else face

    assert [isinstance(one, Span) for one in outcome(faces([100]), shots=[(0, 200)])] == [True]


def test_without_recognition_a_swap_goes_unseen():
    (span,) = outcome((seen(frame, 200.0) for frame in range(0, 200, 5)), shots=[(0, 200)])
    assert len(span.track.likeness) == 0


def test_the_one_who_is_seen_longest_is_the_first_person():
    def span(first, end, person, other=0.0):
        who = torch.nn.functional.normalize(torch.eye(4)[[person]] + other, dim=1).repeat(5, 1)
        track = Track([0] * 5, torch.zeros(5, 4), torch.zeros(5, 5, 2), torch.zeros(5), who)
        return Span(first, end, 0, 0, 64, track, torch.zeros(5, 3))

    spans = [span(0, 100, 2), span(100, 180, 1), span(200, 290, 1, other=0.2), span(300, 350, 3)]
    assert people_of(spans, 0.5) == [1, 0, 0, 2]
    assert people_of(spans, 0.99) == [0, 2, 1, 3]  # the control: nobody is that much alike


def test_people_get_names_of_their_own_only_where_the_tree_does_not_name_them():
    named, unnamed = (Source(Path("a.mp4"), "a", "anna", named=named) for named in (True, False))
    assert [name_of_person(named, number) for number in range(3)] == ["anna", None, None]
    assert [name_of_person(unnamed, number) for number in range(3)] == ["anna", "anna/2", "anna/3"]


def test_long_spans_are_split_evenly():
    assert pieces(10, 1510, Settings(max_seconds=30)) == [(10, 760), (760, 1510)]
    assert pieces(0, 750, Settings(max_seconds=30)) == [(0, 750)]


@pytest.mark.parametrize("yaw", [-50.0, -20.0, 0.0, 35.0])
def test_yaw_of_five_points_is_that_of_the_head(yaw):
    assert pose_of(five(yaw)[None])[0, 0].item() == pytest.approx(yaw, abs=0.01)


def test_a_blurred_face_has_less_sharpness():
    noise = np.random.default_rng(0).integers(0, 255, (3, 200, 200)).astype(np.uint8)
    sharp = torch.from_numpy(noise)
    soft = torch.nn.functional.avg_pool2d(sharp[None].float(), 9, 1, 4)[0].byte()
    box = torch.tensor([50.0, 50.0, 150.0, 150.0])
    values = [sharpness(picture, box, 1.6, 64) for picture in (sharp, soft)]
    assert values[1] < values[0] / 10


def tree(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_mp4", ".mp4").replace("_mov", ".mov")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_folders_are_people_and_files_beside_them_are_a_person_each(tmp_path):
    root = tree(tmp_path, anna__deep__b_mp4=b"x", anna__a_mov=b"x", solo_mp4=b"x", anna___hidden_mp4=b"x", notes=b"x")
    (root / "anna" / "_hidden.mp4").rename(root / "anna" / "._hidden.mp4")
    found = [(source.name, source.identity, source.named) for source in FolderLayout().sources(root)]
    assert found == [("anna/a=mov", "anna", True), ("anna/deep/b", "anna", True), ("solo/solo", "solo", False)]


def test_files_of_the_same_bytes_are_found_and_only_those(tmp_path):
    root = tree(tmp_path, a_mp4=b"same", b_mp4=b"same", c_mp4=b"else", d_mp4=b"longer")

    def sources():
        return FolderLayout().sources(root)

    copies, count = find_copies(sources)
    assert (copies, count) == ({root / "b.mp4": root / "a.mp4"}, 4)


def test_a_few_clips_of_a_person_are_drawn_from_all_of_them_by_the_seed(tmp_path):
    root = tree(tmp_path, **{f"anna__{number}_mp4": b"x" for number in range(8)}, ben__0_mp4=b"x")

    def order(seed):
        settings = Settings(clips_per_identity=2, seed=seed)
        jobs = plan(FolderLayout().sources(root), root, {}, settings)
        return [[source.name for source in job.sources] for job in jobs]

    first, second = order(0), order(1)
    assert [len(job) for job in first] == [8, 1]
    assert first[0] != sorted(first[0])
    assert first != second
    assert first == order(0)


def test_a_person_is_in_one_split(tmp_path):
    root = tree(tmp_path, **{f"p{person}__{number}_mp4": b"x" for person in range(20) for number in range(2)})
    splits: dict[str, set[str]] = {}
    for job in plan(FolderLayout().sources(root), root, {}, Settings()):
        splits.setdefault(job.sources[0].identity, set()).add(job.sources[0].split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) >= {"train"}


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(Exception, match="nowhere is not a folder that can be read"):
        list(walk(tmp_path / "nowhere"))


def test_settings_that_no_clip_could_meet_are_refused():
    with pytest.raises(ConfigError, match="min_seconds is 20"):
        Settings(min_seconds=20, max_seconds=30)
    with pytest.raises(ConfigError, match="size is 0"):
        Settings(size=0)
