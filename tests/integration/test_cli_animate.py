"""``talkingface animate`` from files to a file, and what it says about bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from talkingface import hub
from talkingface.cli.main import main
from talkingface.core.media import VideoReader, VideoWriter, write_audio, write_picture

FRAMES = 6


@pytest.fixture
def files(plugin, tmp_path, monkeypatch) -> Path:
    """A folder with a model, a portrait and a driving clip; it is the working directory."""
    from toy_plugin import ColourMotion, TintRenderer

    monkeypatch.chdir(tmp_path)
    encoder = ColourMotion()
    hub.save_model("model", {"motion_encoder": encoder, "renderer": TintRenderer(encoder)}, {})
    write_picture("face.png", np.full((40, 40, 3), 120, np.uint8))
    with VideoWriter("clip.mp4") as writer:
        writer.write(np.full((FRAMES, 32, 32, 3), 90, np.uint8))
    return tmp_path


def animate(**changes: str) -> int:
    options = {
        "source": "face.png",
        "driving": "clip.mp4",
        "model": "model",
        "out": "out.mp4",
        "device": "cpu",
    } | changes
    return main(["animate", *(part for name, value in options.items() for part in (f"--{name}", value))])


def test_a_portrait_moves_after_a_clip(files, capsys):
    assert animate() == 0
    assert len(VideoReader("out.mp4")) == FRAMES
    out, err = capsys.readouterr()
    assert out == f"out.mp4: {FRAMES} frames\n"
    assert err == ""  # quiet where nobody watches


def test_relative_driving_from_the_command_line(files):
    command = [
        "animate",
        "--source",
        "face.png",
        "--driving",
        "clip.mp4",
        "--model",
        "model",
        "-o",
        "r.mp4",
        "--relative",
    ]
    assert main([*command, "--device", "cpu"]) == 0
    assert abs(float(VideoReader("r.mp4").read([3]).mean()) - 120) < 3  # nothing moves, so the portrait stays
    assert animate() == 0
    assert abs(float(VideoReader("out.mp4").read([3]).mean()) - 90) < 3  # the control: absolute takes the colour over


def test_the_answer_for_programs(files, capsys):
    command = [
        "animate",
        "--source",
        "face.png",
        "--driving",
        "clip.mp4",
        "--model",
        "model",
        "-o",
        "out.mp4",
        "--json",
    ]
    assert main([*command, "--device", "cpu"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"out": "out.mp4", "frames": FRAMES, "seconds": FRAMES / 25, "device": "cpu"}.items() <= told.items()
    assert told["real_time_factor"] * told["seconds"] >= told["first_frame"] - 0.01 > 0


@pytest.mark.parametrize("option", ["source", "driving"])
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("nothing.mp4", None, "does not exist"),
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"this is no video\n" * 50, "not a video|no video|cut off"),
    ],
)
def test_a_bad_file_is_one_clear_line_that_names_it(files, capsys, option, name, content, complaint):
    if content is not None:
        Path(name).write_bytes(content)
    assert animate(**{option: name}) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert name in err
    assert any(word in err for word in complaint.split("|")), err
    assert not Path("out.mp4").exists()


def test_a_truncated_clip_does_not_crash(files, capsys):
    whole = Path("clip.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) // 3])
    assert animate(driving="cut.mp4") in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_a_picture_that_is_too_small_is_told(files, capsys):
    write_picture("tiny.png", np.zeros((4, 4, 3), np.uint8))
    assert animate(source="tiny.png") == 1
    assert "too small" in capsys.readouterr().err


def test_a_missing_model_is_told(files, capsys):
    assert animate(model="modl") == 1
    assert "there is no model folder modl" in capsys.readouterr().err


def test_a_training_checkpoint_as_the_model_names_the_command_to_export_it(files, capsys):
    torch.save({"state_dict": {}}, "x.ckpt")
    assert animate(model="x.ckpt") == 1
    assert "talkingface export" in capsys.readouterr().err


def test_weights_of_another_architecture_are_named_tensor_by_tensor(files, capsys):
    config = Path("model/renderer/config.json")
    config.write_text(json.dumps({"class_path": "talkingface.renderers.LIADiscriminator", "init_args": {"size": 64}}))
    index = Path("model/model_index.json")
    index.write_text(index.read_text().replace('"wired": [\n        "motion_encoder"\n      ]', '"wired": []'))
    assert animate() == 1
    err = capsys.readouterr().err
    assert "does not fit LIADiscriminator" in err
    assert "unknown: bias" in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told(files, capsys):
    assert animate(device="cuda") == 1
    assert "--device cpu" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out.txt", "out"])
def test_an_output_that_is_no_video_is_told(files, capsys, out):
    assert animate(out=out) == 1
    assert ".mp4" in capsys.readouterr().err


def test_an_impossible_batch_is_told(files, capsys):
    assert animate(batch="0") == 1
    assert "batch" in capsys.readouterr().err
    assert animate(batch="many") == 2


@pytest.fixture
def talking(files) -> Path:
    """The folder as above, with a model that speaks and five frames of speech."""
    from toy_plugin import ColourMotion, TintRenderer

    from talkingface.audio import MelSpeech
    from talkingface.generators import ConformerDiffusion

    torch.manual_seed(0)
    encoder, hearing = ColourMotion(), MelSpeech(dim=8, blocks=0)
    parts = {
        "motion_encoder": encoder,
        "renderer": TintRenderer(encoder),
        "audio_encoder": hearing,
        "motion_generator": ConformerDiffusion(
            encoder, hearing, dim=16, blocks=1, static=8, hidden=8, attributes=("pose", "location")
        ),
    }
    hub.save_model("talker", parts, {})
    write_audio("speech.wav", np.sin(np.arange(3000) * 0.1).astype(np.float32) * 0.5)
    Path("track.csv").write_text("yaw,pitch,roll\n" + "1,2,3\n" * 3)
    return files


def speak(*flags: str, **changes: str) -> int:
    options = {"source": "face.png", "audio": "speech.wav", "model": "talker", "out": "out.mp4", "device": "cpu"}
    options |= {"steps": "2"} | changes
    return main(["animate", *(part for name, value in options.items() for part in (f"--{name}", value)), *flags])


def test_a_portrait_speaks(talking, capsys):
    assert speak() == 0
    assert len(VideoReader("out.mp4")) == 5
    assert VideoReader("out.mp4").info.audio
    assert capsys.readouterr().out == "out.mp4: 5 frames\n"


def test_the_answer_about_speech_for_programs(talking, capsys):
    assert speak("--json", seed="7", pose="track.csv") == 0
    told = json.loads(capsys.readouterr().out)
    assert {"frames": 5, "seconds": 0.2, "windows": 1, "seed": 7}.items() <= told.items()
    assert told["real_time_factor"] > 0
    assert ["held" in note for note in told["notes"]] == [False, True]  # the first: no face in that picture


def test_seeds_differ_and_one_seed_repeats(talking):
    shown = {}
    for name, seed in (("first", "0"), ("again", "0"), ("other", "1")):
        assert speak(out=f"{name}.mp4", seed=seed) == 0
        shown[name] = VideoReader(f"{name}.mp4").read(range(5)).tobytes()
    assert shown["first"] == shown["again"] != shown["other"]


def test_controls_reach_the_generator_also_negative_ones(talking, monkeypatch):
    from talkingface.generators import ConformerDiffusion

    told = []
    sample = ConformerDiffusion.sample
    monkeypatch.setattr(ConformerDiffusion, "sample", lambda *a, **k: told.append(a[1].controls) or sample(*a, **k))
    assert speak("--pose", "-10,0,5", "--location", ".25") == 0
    assert told[0]["pose"][0, 4].tolist() == [-10, 0, 5]
    assert told[0]["location"].tolist() == [[0.25] * 5]


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mkv"])
def test_speech_comes_from_any_file_with_sound(talking, suffix):
    if suffix == "mkv":
        with VideoWriter("other.mkv", audio=np.ones(6400, np.float32) * 0.1) as writer:
            writer.write(np.zeros((10, 32, 32, 3), np.uint8))
    else:
        write_audio(f"other.{suffix}", np.ones(6400, np.float32) * 0.1)
    assert speak(audio=f"other.{suffix}") == 0
    assert len(VideoReader("out.mp4")) in (10, 11, 12)  # AAC has a block before and fills its last one


def test_speech_of_a_tenth_of_a_second_and_silence_are_animated(talking):
    write_audio("short.wav", np.zeros(1600, np.float32))
    assert speak(audio="short.wav") == 0
    assert len(VideoReader("out.mp4")) == 3


def test_the_animated_face_is_put_back_into_the_full_picture(talking):
    write_picture("wide.png", np.full((60, 100, 3), 120, np.uint8))
    assert speak("--paste-back", source="wide.png", crop="30,10,40") == 0
    assert (VideoReader("out.mp4").info.width, VideoReader("out.mp4").info.height) == (100, 60)
    assert speak(source="wide.png", crop="30,10,40") == 0  # the control
    assert VideoReader("out.mp4").info.width == 32


@pytest.mark.parametrize(
    ("changes", "complaints"),
    [
        ({"audio": "nothing.wav"}, ("nothing.wav", "does not exist")),
        ({"audio": "face.png"}, ("face.png",)),
        ({"audio": "nan.wav"}, ("nan.wav", "NaN")),
        ({"audio": "clip.mp4"}, ("clip.mp4", "no sound track")),
        ({"source": "wide.png"}, ("no face found in wide.png (60×40)", "--crop")),
        ({"source": "wide.png", "crop": "50,0,40"}, ("60×40",)),
        ({"pose": "0,95,0"}, ("-90 to 90 degrees",)),
        ({"pose": "1,2"}, ("yaw, pitch, roll",)),
        ({"pose": "track.txt"}, ("track.txt",)),
        ({"location": "track.csv"}, ("track.csv", "no column location")),
        ({"scale": "0.3"}, ("cannot be told scale", "location, pose")),
        ({"guidance": "2"}, ("guidance",)),
        ({"steps": "60"}, ("60",)),
        ({"model": "model"}, ("speech cannot drive it", "stage 2")),
        ({"out": "speech.mp4", "audio": "speech.mp4"}, ("is the speech",)),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(talking, capsys, changes, complaints):
    write_picture("wide.png", np.full((40, 60, 3), 120, np.uint8))
    soundfile.write("nan.wav", np.full(3000, np.nan, np.float32), 16000, subtype="FLOAT")
    with VideoWriter("speech.mp4", audio=np.zeros(3200, np.float32)) as writer:
        writer.write(np.zeros((5, 32, 32, 3), np.uint8))
    before = Path("speech.mp4").read_bytes()
    assert speak(**changes) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(complaint in err for complaint in complaints), err
    assert not Path("out.mp4").exists()
    assert Path("speech.mp4").read_bytes() == before


@pytest.mark.parametrize(
    "flags",
    [
        ("--driving", "clip.mp4"),
        ("--crop", "1,2"),
        ("--crop", "middle"),
        ("--pose", "1.2.3,0,0"),
        ("--pose", "clip.mp4", "--controls", "labels:no=1"),
    ],
)
def test_flags_that_mean_nothing_are_wrong_usage(talking, capsys, flags):
    assert speak(*flags) == 2
    assert "Traceback" not in capsys.readouterr().err
