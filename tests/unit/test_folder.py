"""Real clips: found, split by person, read at random; what does not decode is named and left out."""

import csv
import gc
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from media_files import make_sound, make_video, numbered, numbers_of, tone
from talkingface.core.errors import ConfigError, MediaError
from talkingface.data.folder import ClipFile, scan_folder, split_of
from talkingface.data.pairs import PairDataset

DATA = Path(__file__).parents[3] / "shared" / "data"
SHARES = (0.8, 0.1, 0.1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Folder with two clips of anna, one of ben, two bad files of carl, and things that are no clips."""
    root = tmp_path_factory.mktemp("people")
    for name in ("anna", "ben", "carl"):
        (root / name).mkdir()
    (root / "anna" / "deep").mkdir()
    make_video(root / "anna" / "one.mp4", numbered(range(20)), sound=tone(0.8))
    make_video(root / "anna" / "deep" / "two.webm", numbered(range(30)), codec="libvpx-vp9")
    make_video(root / "ben" / "one.mp4", numbered(range(60)), fps=50)
    (root / "carl" / "text.mp4").write_text("no video")
    make_sound(root / "carl" / "sound.mp4", tone(0.5))
    (root / "carl" / "._hidden.mp4").write_text("left by a Mac")
    (root / "notes.txt").write_text("text")
    return root


def manifest_of(root, rows):
    path = root / f"manifest{len(list(root.iterdir()))}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_sub_folders_are_people(people):
    clips, _ = scan_folder(people)
    assert [(clip.clip_id, clip.identity, clip.frames, clip.audio) for clip in clips] == [
        ("anna/deep/two", "anna", 30, False),
        ("anna/one", "anna", 20, True),
        ("ben/one", "ben", 30, False),  # 60 frames at 50 fps
    ]


def test_videos_in_a_flat_folder_are_a_person_each(tmp_path):
    for name in ("x", "y"):
        make_video(tmp_path / f"{name}.mp4", numbered(range(5)))
    assert [clip.identity for clip in scan_folder(tmp_path)[0]] == ["x", "y"]


def test_files_that_do_not_decode_are_counted_and_named(people):
    _, summary = scan_folder(people)
    assert (summary.clips, summary.identities, summary.frames) == (3, 2, 80)
    assert [path.name for path, _ in summary.skipped] == ["sound.mp4", "text.mp4"]
    lines = str(summary).splitlines()
    assert lines[0].startswith("3 clips of 2 identities, 80 frames")
    assert lines[0].endswith("2 files skipped")
    assert "sound.mp4 has sound but no video" in lines[1]
    assert "text.mp4 is not a video" in lines[2]


def test_the_summary_counts_each_split(people):
    clips, summary = scan_folder(people)
    for name, (count, persons) in summary.per_split.items():
        assert count == sum(clip.split == name for clip in clips)
        assert persons == len({clip.identity for clip in clips if clip.split == name})


def test_names_that_differ_in_suffix_only_stay_apart(tmp_path):
    for suffix in ("mp4", "mov"):
        make_video(tmp_path / f"a.{suffix}", numbered(range(3)))
    assert [clip.clip_id for clip in scan_folder(tmp_path)[0]] == ["a.mov", "a.mp4"]


def test_a_person_keeps_the_split_when_clips_are_added(tmp_path):
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        make_video(tmp_path / name / "1.mp4", numbered(range(2)))
    before = {clip.identity: clip.split for clip in scan_folder(tmp_path, splits=(0.4, 0.3, 0.3))[0]}
    assert len(set(before.values())) > 1
    (tmp_path / "aa").mkdir()
    for name in ("a", "aa"):
        make_video(tmp_path / name / "2.mp4", numbered(range(2)))
    after = [(clip.identity, clip.split) for clip in scan_folder(tmp_path, splits=(0.4, 0.3, 0.3))[0]]
    assert all(split == before.get(person, split) for person, split in after)
    assert len({split for person, split in after if person == "a"}) == 1


def test_shares_are_met_on_average_and_the_seed_draws_others():
    names = [f"person{n}" for n in range(2000)]
    drawn = [split_of(name, SHARES, 0) for name in names]
    assert [drawn.count(split) / 2000 for split in ("train", "val", "test")] == pytest.approx(SHARES, abs=0.03)
    assert drawn != [split_of(name, SHARES, 1) for name in names]


def test_a_manifest_names_people_and_splits(people):
    rows = [
        {"path": "anna/one.mp4", "identity": "a", "split": "test", "kind": "clip"},
        {"path": "anna/deep/two.webm", "identity": "a", "split": "", "kind": "clip"},
        {"path": "ben/one.mp4", "identity": "b", "split": "val", "kind": ""},
        {"path": "ben/gone.mp4", "identity": "b", "split": "", "kind": "clip"},
        {"path": "speech.wav", "identity": "c", "split": "", "kind": "speech"},
    ]
    clips, summary = scan_folder(people, manifest=manifest_of(people, rows))
    assert [(clip.clip_id, clip.identity, clip.split) for clip in clips] == [
        ("anna/deep/two", "a", "test"),  # a person has one split
        ("anna/one", "a", "test"),
        ("ben/one", "b", "val"),
    ]
    assert [path.name for path, _ in summary.skipped] == ["gone.mp4"]


def test_a_manifest_may_name_emotions(people):
    rows = [
        {"path": "anna/one.mp4", "identity": "a", "emotion": "happy"},
        {"path": "ben/one.mp4", "identity": "b", "emotion": ""},
    ]
    assert [clip.emotion for clip in scan_folder(people, manifest=manifest_of(people, rows))[0]] == ["happy", ""]
    assert {clip.emotion for clip in scan_folder(people)[0]} == {""}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"file": "a.mp4", "identity": "a"}], "has no column path; it has file, identity"),
        ([{"path": "a.mp4", "identity": "a", "split": "trian"}], "split 'trian' of a.mp4 is unknown. Known: train"),
        ([{"path": "", "identity": "a"}], "has no path or no identity"),
        (
            [{"path": "a", "identity": "a", "split": "val"}, {"path": "b", "identity": "a", "split": "test"}],
            "a is in val and in test",
        ),
    ],
)
def test_a_bad_manifest_gives_one_clear_line(tmp_path, rows, reason):
    with pytest.raises(ConfigError) as caught:
        scan_folder(tmp_path, manifest=manifest_of(tmp_path, rows))
    assert reason in str(caught.value)


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="holds no video that can be read"):
        scan_folder(tmp_path)
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(MediaError, match=r"The first of 1 skipped: .*a\.mp4 is not a video"):
        scan_folder(tmp_path)
    with pytest.raises(MediaError, match="is not a folder"):
        scan_folder(tmp_path / "missing")
    with pytest.raises(MediaError, match=r"missing\.csv does not exist"):
        scan_folder(tmp_path, manifest=tmp_path / "missing.csv")


@pytest.mark.parametrize("splits", [(0.8, 0.1), (0.9, 0.2, -0.1), (0.5, 0.1, 0.1)])
def test_shares_that_do_not_add_up_are_refused(tmp_path, splits):
    with pytest.raises(ConfigError, match="add up to 1"):
        scan_folder(tmp_path, splits=splits)


def test_a_clip_gives_frames_at_random(people):
    clip = scan_folder(people)[0][1]
    assert numbers_of(clip.read([13, 4])) == [13, 4]
    assert len(clip) == 20
    assert numbers_of(pickle.loads(pickle.dumps(clip)).read([7])) == [7]


def test_many_clips_share_a_few_open_decoders(tmp_path):
    for n in range(20):
        make_video(tmp_path / f"{n:02}.mp4", numbered(range(n, n + 4)))
    clips = scan_folder(tmp_path)[0]
    for _ in range(2):
        assert [numbers_of(clip.read([3])) for clip in clips] == [[n + 3] for n in range(20)]


def pairs_of(clips, **options):
    return PairDataset(clips, size=32, pairs_per_clip=8, **{"seed": 0, **options})


def test_pairs_are_square_centred_and_from_one_clip(people):
    clips = scan_folder(people)[0]
    item = pairs_of(clips)[len(clips) + 1]  # neighbours come from different clips
    assert item["clip_id"] == clips[1].clip_id == "anna/one"
    for name in ("source", "driving"):
        assert item[name].shape == (3, 32, 32)
        assert item[name].dtype == torch.float32
        assert -1 <= item[name].min() < item[name].max() <= 1
        assert item[name][:, 24:].abs().max() < 0.1  # the grey lower half
    assert int(item["identity"]) == 0
    assert int(pairs_of(clips)[2]["identity"]) == 1


def test_worker_processes_load_what_one_process_loads(people):
    pairs = pairs_of(scan_folder(people)[0])
    pairs[0]  # a decoder is open before the fork
    alone = [pairs[index] for index in range(len(pairs))]
    loaded = DataLoader(pairs, batch_size=None, num_workers=2)
    assert all(torch.equal(one["driving"], two["driving"]) for one, two in zip(alone, loaded, strict=True))


def _collect_garbage(worker):
    gc.collect()  # also frees decoders that the parent had let go of in a cycle


def test_workers_may_drop_decoders_that_the_parent_opened(tmp_path):
    for n in range(40):  # more than stay open, so that the workers close inherited ones
        make_video(tmp_path / f"{n:02}.mp4", numbered(range(8), height=256, width=256))
    pairs = PairDataset(scan_folder(tmp_path)[0], size=32, pairs_per_clip=4)
    alone = [pairs[index]["driving"] for index in range(len(pairs))]
    for _ in range(2):
        loaded = DataLoader(pairs, batch_size=None, num_workers=2, timeout=30, worker_init_fn=_collect_garbage)
        assert all(torch.equal(one, item["driving"]) for one, item in zip(alone, loaded, strict=True))


def test_a_clip_that_breaks_is_replaced_and_named_once(people, tmp_path):
    good = scan_folder(people)[0]
    gone = ClipFile(tmp_path / "gone.mp4", "zoe", "train", 20, False, "zoe/gone")
    make_video(tmp_path / "short.mp4", numbered(range(4)))
    short = ClipFile(tmp_path / "short.mp4", "zoe", "train", 90, False, "zoe/short")
    pairs = pairs_of([gone, short, *good], adjacent=0.0)
    with pytest.warns(UserWarning, match=r"gone\.mp4 does not exist.*Another clip takes its place") as first:
        items = [pairs[index] for index in range(16)]
    assert len([w for w in first if "gone.mp4" in str(w.message)]) == 1
    assert len([w for w in first if "short.mp4 has become shorter" in str(w.message)]) == 1
    assert "anna/deep/two" in {item["clip_id"] for item in items}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs[0]
    with pytest.raises(MediaError, match="not one clip"), pytest.warns(UserWarning, match="gone"):
        pairs_of([gone])[0]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_the_manifest_of_real_clips_is_read_as_it_says():
    with (DATA / "manifest.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file) if row["kind"] == "clip"}
    clips, summary = scan_folder(DATA, manifest=DATA / "manifest.csv")
    assert len(clips) == len(rows)
    assert summary.skipped == ()
    for clip in clips:
        row = rows[f"{clip.clip_id}.mp4"]
        assert (clip.identity, clip.split, clip.frames) == (row["identity"], row["split"], int(row["frames"]))
        assert clip.audio == (row["audio"] == "1")
