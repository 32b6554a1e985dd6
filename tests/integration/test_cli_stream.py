"""``talkingface stream``: raw sound from one pipe, raw pictures into another."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import talkingface
from speech_toys import murmur
from talkingface.audio import MelSpeech
from talkingface.cli.main import main
from talkingface.core.media import write_picture
from talkingface.generators import ConformerDiffusion
from talkingface.motion import LatentMotion
from talkingface.pipelines import SpeechStream
from talkingface.renderers import LIARenderer

SIZE, SAMPLES = 64, 20000  # 32 frames
PCM = (murmur(SAMPLES)[0].numpy() * 32767).astype("<i2")


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """Folder with a model of both stages and random weights, and a portrait."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("live")
    encoder, hearing = LatentMotion(size=SIZE, width=0.0625, code_dim=32), MelSpeech(dim=8, blocks=0)
    parts = {
        "motion_encoder": encoder,
        "renderer": LIARenderer(encoder, size=SIZE, width=0.0625),
        "audio_encoder": hearing,
        "motion_generator": ConformerDiffusion(encoder, hearing, dim=16, blocks=1, static=8, hidden=8),
    }
    talkingface.save_model(home / "model", parts, {})
    write_picture(home / "face.png", np.full((SIZE, SIZE, 3), 90, np.uint8))
    return home


def command(talker, *more: str) -> list[str]:
    model, face = str(talker / "model"), str(talker / "face.png")
    return ["stream", "--model", model, "--source", face, "--crop", "none", "--device", "cpu", "--steps", "2", *more]


def test_pictures_come_out_as_python_makes_them(talker):
    """Through real pipes, and cut within a sample."""
    line = [sys.executable, "-m", "talkingface", *command(talker, "--pose", "-10,0,5", "--seed", "3", "--json")]
    process = subprocess.run(line, input=PCM.tobytes(), capture_output=True, timeout=300)
    assert process.returncode == 0, process.stderr
    begin, end = map(json.loads, process.stderr.decode().strip().splitlines()[-2:])
    assert begin == {"width": SIZE, "height": SIZE, "pixels": "rgb24", "fps": 25, "delay": 0.52}
    assert end["frames"] == 32
    assert end["real_time_factor"] > 0
    pictures = np.frombuffer(process.stdout, np.uint8).reshape(-1, SIZE, SIZE, 3)
    animator = talkingface.load(talker / "model", "cpu")
    stream = SpeechStream(animator, talker / "face.png", seed=3, pose=(-10, 0, 5), steps=2, crop="none")
    wanted = np.concatenate([stream.push(PCM.astype(np.float32) / 32768), stream.finish()])
    assert pictures.shape == (32, SIZE, SIZE, 3)
    assert np.abs(pictures.astype(int) - wanted).max() <= 1  # another number of threads rounds otherwise


def test_a_player_that_is_closed_ends_it_quietly(talker):
    line = [sys.executable, "-m", "talkingface", *command(talker)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stdin.write(PCM.tobytes())
    process.stdin.close()
    told = process.stderr.read().decode()
    assert process.wait(timeout=300) == 0
    assert "Traceback" not in told
    assert "BrokenPipe" not in told


def test_a_terminal_is_no_sound(talker, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(command(talker)) == 2
    assert "raw 16-bit samples, mono, 16 kHz" in capsys.readouterr().err


def test_a_track_is_refused(talker, capsys):
    assert main(command(talker, "--pose", "track.csv")) == 2
    assert "a live head keeps numbers" in capsys.readouterr().err
