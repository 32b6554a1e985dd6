"""HuBERT and Whisper as frozen networks: what is read, from where, and that their numbers are transformers' own."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from speech_toys import CHANNELS, LAYERS, TOY_SIZE, murmur, toy_hubert, toy_whisper
from talkingface.audio import HubertSpeech, WhisperSpeech
from talkingface.audio.whisper import log_mel
from talkingface.core.errors import WeightsError

SMALL = {"dim": 16, "blocks": 0, **TOY_SIZE}


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    return toy_hubert(tmp_path_factory.mktemp("hubert"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return toy_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No networks of this machine are seen."""
    from huggingface_hub import constants

    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_huberts_states_are_those_of_transformers(hubert):
    from transformers import HubertModel, Wav2Vec2FeatureExtractor

    wave = murmur(5 * 640)[0] + 0.01
    normalise = Wav2Vec2FeatureExtractor(do_normalize=True)
    inputs = normalise(wave.numpy(), sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        wanted = HubertModel.from_pretrained(hubert).eval()(inputs, output_hidden_states=True)
    found = HubertSpeech(weights=str(hubert), **SMALL).features(wave[None])
    assert found.shape == (1, LAYERS, 10, CHANNELS)
    for layer in range(LAYERS - 1):
        torch.testing.assert_close(found[:, layer, :9], wanted.hidden_states[layer], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[:, -1, :9], wanted.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert torch.equal(found[:, :, 9], found[:, :, 8])  # the step that is missing is repeated


def test_the_last_state_of_hubert_is_the_normalised_one(hubert):
    """As transformers 4 gave it, which AniTalker was trained with."""
    states = HubertSpeech(weights=str(hubert), **SMALL).features(murmur(6400))
    assert states[:, -1].mean(-1).abs().max() < 1e-5
    variance = states.var(-1, unbiased=False)
    assert variance[:, -1].min() > 0.99  # the epsilon of the normalisation keeps it below 1
    assert variance[:, -2].max() < 0.1  # the control: before it, the toy's states are small


def test_hubert_does_not_hear_loudness_or_offset(hubert):
    encoder = HubertSpeech(weights=str(hubert), **SMALL)
    heard = encoder.features(murmur(16000))
    torch.testing.assert_close(encoder.features(0.3 * murmur(16000) + 0.1), heard, atol=1e-3, rtol=1e-3)


def test_a_pytorch_file_with_the_names_of_older_releases_is_read(hubert, tmp_path):
    """The published files of HuBERT-large are such."""
    old = {}
    for name, tensor in load_file(hubert / "model.safetensors").items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        old[f"hubert.{name.replace('parametrizations.weight.original1', 'weight_v')}"] = tensor
    torch.save(old | {"lm_head.bias": torch.zeros(8)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text((hubert / "config.json").read_text())
    assert any("weight_g" in name for name in old)
    found = HubertSpeech(weights=str(tmp_path), **SMALL).features(murmur(3200))
    assert torch.equal(found, HubertSpeech(weights=str(hubert), **SMALL).features(murmur(3200)))


def test_whispers_states_are_those_of_transformers(whisper):
    from transformers import WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    wave = murmur(50 * 640)
    inputs = WhisperFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    network = WhisperEncoder.from_pretrained(whisper).eval()
    with torch.no_grad():
        wanted = torch.stack(network(inputs, output_hidden_states=True).hidden_states, dim=1)
    found = WhisperSpeech(weights=str(whisper), **SMALL).features(wave)
    torch.testing.assert_close(found, wanted[:, :, :100], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bands", [80, 128])
def test_whispers_spectrogram_is_that_of_transformers(bands):
    from transformers import WhisperFeatureExtractor

    wave = murmur(480000)
    extractor = WhisperFeatureExtractor(feature_size=bands)
    wanted = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    assert (log_mel(wave, bands) - wanted).abs().max() < 1e-5


def test_the_encoder_of_a_whole_whisper_is_found(whisper, tmp_path):
    tensors = {f"model.encoder.{name}": tensor for name, tensor in load_file(whisper / "model.safetensors").items()}
    save_file(tensors | {"model.decoder.layer_norm.bias": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((whisper / "config.json").read_text())
    found = WhisperSpeech(weights=str(tmp_path), **SMALL).features(murmur(3200))
    assert torch.equal(found, WhisperSpeech(weights=str(whisper), **SMALL).features(murmur(3200)))


def test_half_precision_files_are_computed_in_full(whisper, tmp_path):
    save_file(
        {n: t.half() for n, t in load_file(whisper / "model.safetensors").items()}, tmp_path / "model.safetensors"
    )
    config = json.loads((whisper / "config.json").read_text()) | {"dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert WhisperSpeech(weights=str(tmp_path), **SMALL).features(murmur(3200)).dtype == torch.float32


def test_an_encoder_is_made_and_trained_without_its_network():
    encoder = HubertSpeech(dim=16, blocks=0)
    assert (encoder.rate, encoder.layers, encoder.channels) == (50, 25, 1024)
    assert encoder(torch.randn(1, 25, 8, 1024), 4).shape == (1, 4, 16)


def test_without_its_network_it_names_the_command_that_fetches_it():
    for ask in (lambda e: e.features(murmur(640)), lambda e: e.fingerprint()):
        with pytest.raises(WeightsError, match="talkingface doctor --fetch chinese-hubert-large"):
            ask(HubertSpeech(dim=16, blocks=0, network="chinese-hubert-large"))


@pytest.mark.parametrize("name", ["hubert-large", "hubert-large-ll60k"])
def test_the_own_folder_of_networks_is_searched(hubert, tmp_path, monkeypatch, name):
    (tmp_path / name).symlink_to(hubert)
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(tmp_path))
    assert HubertSpeech(**SMALL).features(murmur(640)).shape == (1, LAYERS, 2, CHANNELS)


def test_a_network_of_another_size_says_what_to_set(hubert):
    with pytest.raises(WeightsError, match="gives 4 layers of 32 channels, but HubertSpeech was set up for 25 of 1024"):
        HubertSpeech(dim=16, blocks=0, weights=str(hubert)).features(murmur(640))


def test_a_network_of_another_family_is_refused(hubert):
    with pytest.raises(WeightsError, match="of type 'hubert', not 'whisper'"):
        WhisperSpeech(weights=str(hubert), **SMALL).features(murmur(640))


def test_a_missing_tensor_is_never_replaced_by_chance(hubert, tmp_path):
    tensors = load_file(hubert / "model.safetensors")
    del tensors["encoder.layers.1.final_layer_norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((hubert / "config.json").read_text())
    with pytest.raises(WeightsError, match=r"missing: encoder\.layers\.1\.final_layer_norm\.weight"):
        HubertSpeech(weights=str(tmp_path), **SMALL).features(murmur(640))


class _Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_pickle_that_runs_code_is_refused(hubert, tmp_path):
    torch.save({"weights": _Evil()}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text((hubert / "config.json").read_text())
    with pytest.raises(WeightsError, match="refused, for it could run anything"):
        HubertSpeech(weights=str(tmp_path), **SMALL).features(murmur(640))


@pytest.mark.parametrize("path", ["nothing", "half"])
def test_a_folder_without_a_network_is_refused(hubert, tmp_path, path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_text((hubert / "config.json").read_text())
    with pytest.raises(WeightsError, match=r"does not exist|is not a folder with config\.json and model\.safetensors"):
        HubertSpeech(weights=str(tmp_path / path), **SMALL).features(murmur(640))


def test_a_damaged_configuration_is_one_clear_error(hubert, tmp_path):
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").symlink_to(hubert / "model.safetensors")
    with pytest.raises(WeightsError, match=r"config\.json is not valid JSON"):
        HubertSpeech(weights=str(tmp_path), **SMALL).features(murmur(640))


def test_the_fingerprint_is_of_the_content_not_of_the_place(hubert, tmp_path):
    def fingerprint(folder) -> str:
        return HubertSpeech(weights=str(folder), **SMALL).fingerprint()

    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((hubert / name).read_bytes())
    assert fingerprint(copy) == fingerprint(hubert)
    save_file({n: t + 1 for n, t in load_file(hubert / "model.safetensors").items()}, copy / "model.safetensors")
    assert fingerprint(copy) != fingerprint(hubert)


def test_transformers_is_not_imported_before_it_is_needed():
    code = (
        "import sys, talkingface.audio as a; a.HubertSpeech(); a.WhisperSpeech(); print('transformers' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
