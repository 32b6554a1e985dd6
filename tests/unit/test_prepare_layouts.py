"""Trees of the named data sets, made up: people, splits, spans, boxes, emotions and sound are read off them."""

import re
from pathlib import Path

import pytest

from talkingface import registry
from talkingface.prepare import trees
from talkingface.prepare.jobs import plan
from talkingface.prepare.settings import Settings

TXT = """Identity  : \tid00017
Reference : \tabc
Offset : \t2
FV Conf : \t16.1
ASD Conf : \t5.1

FRAME \tX \tY \tW \tH
000050 \t0.10 \t0.20 \t0.30 \t0.40
000051 \t0.10 \t0.20 \t0.30 \t0.40
000149 \t0.12 \t0.20 \t0.30 \t0.40
"""


def put(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def sources(layout, root):
    return list(registry.load("layout", layout)().sources(root))


def splits(layout, root):
    jobs = plan(sources(layout, root), root, {}, Settings())
    return {source.identity: source.split for job in jobs for source in job.sources}


def test_voxceleb1_has_spans_of_originals_and_its_official_test(tmp_path):
    files = {f"txt/{person}/vid-{person}/00001.txt": TXT for person in ("id10001", "id10270", "id10309", "id10310")}
    put(tmp_path, {**files, "videos/vid-id10001.webm": "x"})
    first, *_ = found = sources("voxceleb1", tmp_path)
    assert (first.name, first.path.name, first.start, first.seconds) == (
        "id10001/vid-id10001/00001",
        "vid-id10001.webm",
        2.0,
        4.0,
    )
    assert first.box is None  # pixels of a download of unknown size
    assert found[1].path.name == "vid-id10270.mp4"  # missing, as the report will say
    assert {person: split == "test" for person, split in splits("voxceleb1", tmp_path).items()} == {
        "id10001": False,
        "id10270": True,
        "id10309": True,
        "id10310": False,
    }


def test_voxceleb2_is_read_as_released_and_as_spans(tmp_path):
    put(
        tmp_path,
        {
            "dev/mp4/id00012/vid/00001.mp4": "x",
            "dev/aac/id00012/vid/00001.m4a": "x",
            "test/mp4/id00017/vid/00001.mp4": "x",
            "test/txt/id00018/other/00003.txt": TXT,
        },
    )
    dev, test, span = sources("voxceleb2", tmp_path)
    assert (dev.identity, dev.sound and dev.sound.suffix) == ("id00012", ".m4a")
    assert (test.identity, test.sound) == ("id00017", None)
    assert span.box == pytest.approx((0.1, 0.2, 0.4, 0.6))
    found = splits("voxceleb2", tmp_path)
    assert (found["id00017"], found["id00018"]) == ("test", "test")
    assert found["id00012"] in ("train", "val")


def test_hdtf_has_time_stamps_and_several_videos_of_a_person(tmp_path):
    put(
        tmp_path,
        {
            "HDTF_dataset/WDA_annotion_time.txt": (
                "AmyKlobuchar1.mp4 00:35-02:45 03:25-04:00\nAmyKlobuchar0.mp4 00:10-01:00\n"
            ),
            "HDTF_dataset/RD_annotion_time.txt": "Radio11.mp4 00:30-01:00\n",
            "HDTF_dataset/WDA_video_url.txt": "AmyKlobuchar0 https://youtube",
            "videos/WDA_AmyKlobuchar0.mp4": "x",
            "videos/AmyKlobuchar1.mp4": "x",
        },
    )
    found = [(one.name, one.identity, one.path.name, one.start, one.seconds) for one in sources("hdtf", tmp_path)]
    assert found == [
        ("RD_Radio11/Radio11_0", "RD_Radio11", "Radio11.mp4", 30.0, 30.0),
        ("WDA_AmyKlobuchar/AmyKlobuchar0_0", "WDA_AmyKlobuchar", "WDA_AmyKlobuchar0.mp4", 10.0, 50.0),
        ("WDA_AmyKlobuchar/AmyKlobuchar1_0", "WDA_AmyKlobuchar", "AmyKlobuchar1.mp4", 35.0, 130.0),
        ("WDA_AmyKlobuchar/AmyKlobuchar1_1", "WDA_AmyKlobuchar", "AmyKlobuchar1.mp4", 205.0, 35.0),
    ]


def test_vfhq_names_the_person_in_the_file_and_the_face_in_its_meta_info(tmp_path):
    meta = "Video: x\nH: 1080\nW: 1920\nFPS: 30.0\n\nCROP: 480 270 960 810\n"
    put(tmp_path, {"clips/Clip+a_b+P1+C0+F10-99.mp4": "x", "meta_info/Clip+xyz+P0+C2+F299-601.txt": meta})
    clip, span = sources("vfhq", tmp_path)
    assert (clip.identity, clip.name) == ("a_b+P1", "a_b=2BP1/Clip=2Ba_b=2BP1=2BC0=2BF10-99")
    assert (span.identity, span.path.name, span.start, span.seconds) == ("xyz+P0", "xyz.mp4", 10.0, 10.0)
    assert span.box == (0.25, 0.25, 0.5, 0.75)


def test_mead_has_emotions_intensities_and_sound_apart(tmp_path):
    put(
        tmp_path,
        {
            "M003/video/front/happy/level_2/001.mp4": "x",
            "M003/video/left_30/neutral/level_1/004.mp4": "x",
            "M003/audio/happy/level_2/001.m4a": "x",
        },
    )
    happy, neutral = sources("mead", tmp_path)
    assert (happy.identity, happy.emotion, happy.intensity) == ("M003", "happy", 2)
    assert happy.sound == tmp_path / "M003/audio/happy/level_2/001.m4a"
    assert (neutral.emotion, neutral.intensity, neutral.sound) == ("neutral", 1, None)
    assert happy.name != neutral.name


BROKEN = {
    "voxceleb1": ("txt/id1/v/00001.txt", "FRAME X Y W H\n", "no row of frame"),
    "voxceleb2": ("dev/txt/id1/v/00001.txt", "000050 0.1 wide 0.3 0.4\n", "could not convert string to float: 'wide'"),
    "hdtf": ("RD_annotion_time.txt", "Radio1.mp4 00:10-01:00\nRadio2.mp4 01:00-00:10\n", "1 lines .* 'Radio2.mp4 01"),
    "vfhq": ("Clip+x+P0+C0+F1-99.txt", "H: 1080\n", "KeyError, 'W'"),
    "mead": ("M003/video/front/happy/loud/001.mp4", "x", "'loud'"),
}
GOOD = {
    "voxceleb1": ("txt/id2/v/00001.txt", TXT),
    "voxceleb2": ("dev/txt/id2/v/00001.txt", TXT),
    "hdtf": ("WRA_annotion_time.txt", "Ann0.mp4 00:10-01:00"),
    "vfhq": ("Clip+y+P0+C0+F1-99.mp4", "x"),
    "mead": ("M004/video/front/happy/level_1/001.mp4", "x"),
}


@pytest.mark.parametrize("layout", BROKEN)
def test_an_annotation_that_cannot_be_used_is_named_and_the_others_go_on(tmp_path, layout):
    name, content, reason = BROKEN[layout]
    put(tmp_path, {name: content, **dict([GOOD[layout]])})
    found = sources(layout, tmp_path)
    (broken,) = [one for one in found if one.fault]
    assert broken.path == tmp_path / name
    assert re.search(reason, broken.fault)
    assert len(found) == (3 if layout == "hdtf" else 2)  # the first line of the broken file is good


@pytest.mark.parametrize("layout", registry.names("layout"))
def test_a_folder_that_may_not_be_read_is_named(tmp_path, layout, monkeypatch):
    put(tmp_path, {"secret/a.mp4": "x"})
    monkeypatch.setattr(trees.os, "access", lambda path, mode: Path(path).name != "secret")  # root may read all
    (found,) = sources(layout, tmp_path)
    assert (found.path, found.fault) == (tmp_path / "secret", "a folder that may not be read")
