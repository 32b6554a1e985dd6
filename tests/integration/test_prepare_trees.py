"""A made-up tree of each named data set becomes a set: who is seen, in which split, in what mood, with which sound."""

import shutil

import pytest

from media_files import make_sound, make_video, tone
from prepare_toys import SMALL
from talkingface import registry
from talkingface.core.media import VideoReader
from talkingface.prepare.manifest import read_rows
from talkingface.prepare.run import prepare

ROWS = "FRAME X Y W H\n" + "".join(f"{frame:06d} 0.1 0.1 0.8 0.8\n" for frame in range(60))
META = "FPS: 25\nH: 96\nW: 96\nCROP: 5 5 90 90\n"
TREES = {  # file → a person's video, "sound", or the text of an annotation
    "folder": {"anna/deep/1.mp4": "a", "2.mp4": "b"},
    "voxceleb1": {
        "videos/v.mp4": "a",
        "videos/w.mp4": "b",
        "txt/id10001/v/00001.txt": ROWS,
        "txt/id10270/w/00001.txt": ROWS,
    },
    "voxceleb2": {
        "dev/mp4/id00012/v/00001.mp4": "silent",
        "dev/aac/id00012/v/00001.m4a": "sound",
        "videos/w.mp4": "b",
        "test/txt/id00017/w/00001.txt": ROWS,
    },
    "hdtf": {
        "videos/WDA_Ann0.mp4": "a",
        "videos/Radio1.mp4": "b",
        "HDTF_dataset/WDA_annotion_time.txt": "Ann0.mp4 00:00-00:02\n",
        "HDTF_dataset/RD_annotion_time.txt": "Radio1.mp4 00:00-00:02\n",
    },
    "vfhq": {"Clip+x+P1+C0+F1-60.mp4": "a", "videos/y.mp4": "b", "meta/Clip+y+P0+C0+F0-59.txt": META},
    "mead": {
        "M003/video/front/happy/level_2/001.mp4": "silent",
        "M003/audio/happy/level_2/001.m4a": "sound",
        "W009/video/left_30/neutral/level_1/001.mp4": "b",
    },
}
MADE = {  # layout → person, frames, split where the data set has one, emotion and intensity
    "folder": [("2", 60, "", "", 0), ("anna", 60, "", "", 0)],
    "voxceleb1": [("id10001", 60, "dev", "", 0), ("id10270", 60, "test", "", 0)],
    "voxceleb2": [("id00012", 60, "dev", "", 0), ("id00017", 60, "test", "", 0)],
    "hdtf": [("RD_Radio1", 50, "", "", 0), ("WDA_Ann", 50, "", "", 0)],
    "vfhq": [("x+P1", 60, "", "", 0), ("y+P0", 57, "", "", 0)],
    "mead": [("M003", 60, "", "happy", 2), ("W009", 60, "", "neutral", 1)],
}


@pytest.mark.parametrize("layout", registry.names("layout"))
def test_a_tree_becomes_a_set_with_its_people_splits_and_emotions(raw, tmp_path, layout):
    source = tmp_path / "raw"
    for name, content in TREES[layout].items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if content in ("a", "b"):
            shutil.copy(raw / content / "take one.mp4", source / name)
        elif content == "silent":
            make_video(source / name, VideoReader(raw / "a" / "take one.mp4").read(list(range(60))))
        elif content == "sound":
            make_sound(source / name, tone(2.4))
        else:
            (source / name).write_text(content)
    prepare(layout, source, tmp_path / "set", SMALL)
    rows = sorted(read_rows(tmp_path / "set" / "manifest.parquet"), key=lambda row: row["identity"])
    assert list(read_rows(tmp_path / "set" / "dropped.parquet")) == []
    found = [(row["identity"], row["frames"], row["emotion"], row["intensity"]) for row in rows]
    assert found == [(person, frames, emotion, level) for person, frames, _, emotion, level in MADE[layout]]
    allowed = {"test": {"test"}, "dev": {"train", "val"}, "": {"train", "val", "test"}}
    for row, (_, _, split, *_) in zip(rows, MADE[layout], strict=True):
        assert row["split"] in allowed[split]
        assert row["sound"]
