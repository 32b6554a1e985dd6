import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from talkingface import hub
from talkingface.core.errors import ConfigError, WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def parts(plugin):
    from toy_plugin import ColourMotion, TintRenderer

    encoder = ColourMotion(gain=0.5)
    encoder.gain.data += torch.rand(3)
    return {"motion_encoder": encoder, "renderer": TintRenderer(encoder, size=16)}


@pytest.fixture
def folder(parts, tmp_path) -> Path:
    hub.save_model(tmp_path / "model", parts, {"Data": "none"})
    return tmp_path / "model"


def test_a_model_folder_holds_what_the_format_says(folder):
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    parts = {
        f"{part}/{file}" for part in ("motion_encoder", "renderer") for file in ("config.json", "model.safetensors")
    }
    assert files == {"model_index.json", "README.md", *parts}


def test_saving_and_loading_keeps_every_number_and_the_wiring(parts, folder):
    again = hub.load_model(folder)
    assert list(again) == list(parts)
    assert torch.equal(again["motion_encoder"].gain, parts["motion_encoder"].gain)
    assert again["renderer"]._encoder[0] is again["motion_encoder"]
    assert again["renderer"].config == parts["renderer"].config


def test_a_loaded_model_is_in_evaluation_mode(folder):
    assert not any(part.training for part in hub.load_model(folder).values())


def test_parts_may_be_given_in_any_order(parts, tmp_path):
    hub.save_model(tmp_path / "m", dict(reversed(parts.items())), {})
    assert list(hub.load_model(tmp_path / "m")) == ["renderer", "motion_encoder"]


def test_the_index_is_read_without_the_parts(folder):
    index = hub.read_index(folder)
    assert index.parts == {"motion_encoder": (), "renderer": ("motion_encoder",)}
    assert index.order() == ["motion_encoder", "renderer"]


def test_the_card_says_what_was_given_and_asks_for_consent(parts, tmp_path):
    card = {"Data": "synthetic heads", "Metrics": {"psnr": 21.5}, "Settings": {"loss": {"l1": 1.0}}}
    hub.save_model(tmp_path / "m", parts, card)
    text = (tmp_path / "m/README.md").read_text()
    assert "## Data\n\nsynthetic heads" in text
    assert "| psnr | 21.5 |" in text
    assert '"l1": 1.0' in text
    assert "## Consent" in text
    assert "toy_plugin.TintRenderer" in text


def test_a_part_that_is_wired_to_an_absent_one_is_refused(parts, tmp_path):
    with pytest.raises(ConfigError, match="motion_encoder"):
        hub.save_model(tmp_path / "m", {"renderer": parts["renderer"]}, {})
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "a.b", "/etc"])
def test_a_name_that_is_no_plain_name_is_refused(parts, tmp_path, name):
    with pytest.raises(ConfigError, match="cannot name a part"):
        hub.save_model(tmp_path / "m", {name: parts["motion_encoder"]}, {})


def test_saving_that_fails_leaves_the_old_model(parts, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError):
        hub.save_model(folder, parts, {"x": ""} | {"Settings": _Unprintable()})
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before


class _Unprintable:
    def __str__(self) -> str:
        raise ConfigError("no")


def test_saving_again_replaces_the_model(parts, folder):
    hub.save_model(folder, {"motion_encoder": parts["motion_encoder"]}, {})
    assert not (folder / "renderer").exists()


def test_a_folder_with_other_things_is_left_alone(parts, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="no model folder"):
        hub.save_model(tmp_path, parts, {})
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="not a model folder"):
        hub.load_model(tmp_path)


def test_a_checkpoint_in_the_place_of_a_model_is_refused(tmp_path):
    (tmp_path / "x.ckpt").write_text("x")
    with pytest.raises(WeightsError, match="talkingface export"):
        hub.load_model(tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "/nowhere", "plain"])
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(name):
    with pytest.raises(WeightsError, match="there is no model folder"):
        hub.load_model(name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 2}, "update talkingface"),
        ({"format": "x"}, "damaged"),
        ({"parts": []}, "damaged"),
        ({"parts": {"renderer": {"wired": ["renderer"]}}}, "circle"),
        ({"parts": {"renderer": {"wired": ["nobody"]}}}, "circle or to unknown"),
        ({"parts": {"../x": {"wired": []}}}, "damaged|cannot name"),
    ],
)
def test_a_crooked_index_is_refused(folder, change, complaint):
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((WeightsError, ConfigError), match=complaint):
        hub.load_model(folder)


def test_a_model_that_names_a_foreign_class_is_refused(folder):
    path = folder / "renderer/config.json"
    path.write_text(json.dumps({"class_path": "subprocess.Popen", "init_args": {"args": "true"}}))
    with pytest.raises(ConfigError, match="refused"):
        hub.load_model(folder)


def test_tensors_of_another_architecture_are_named(folder):
    (folder / "renderer/model.safetensors").write_bytes((folder / "motion_encoder/model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="missing: bias; unknown: gain"):
        hub.load_model(folder)


@pytest.fixture
def hub_server(folder, monkeypatch, tmp_path) -> Iterator[list[str]]:
    """Answers as the Hugging Face Hub does, for one repository; gives the list of paths that were asked for."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files["evil.py"] = Path(__file__)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(self.path)
            path = self.path.partition("?")[0]
            siblings = [{"rfilename": name} for name in files]
            listing = [{"type": "file", "path": n, "size": f.stat().st_size, "oid": COMMIT} for n, f in files.items()]
            if path == "/api/models/someone/toy/revision/main":
                self.answer(json.dumps({"id": "someone/toy", "sha": COMMIT, "siblings": siblings}).encode())
            elif path == f"/api/models/someone/toy/tree/{COMMIT}":
                self.answer(json.dumps(listing).encode())
            elif path.startswith(f"/someone/toy/resolve/{COMMIT}/") and path.split(f"{COMMIT}/")[1] in files:
                self.answer(files[path.split(f"{COMMIT}/")[1]].read_bytes())
            else:
                self.answer(b'{"error": "Repository not found"}', 404, {"X-Error-Code": "RepoNotFound"})

        def answer(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            tag = f'"{hash(content):x}"'
            given = {"Content-Length": str(len(content)), "ETag": tag, "X-Repo-Commit": COMMIT, **(headers or {})}
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from huggingface_hub import constants

    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield asked
    server.shutdown()
    server.server_close()


def test_a_model_of_the_hub_is_fetched_and_loaded(parts, hub_server):
    again = hub.load_model("someone/toy")
    assert torch.equal(again["motion_encoder"].gain, parts["motion_encoder"].gain)


def test_only_configurations_and_tensors_are_fetched(hub_server):
    hub.load_model("someone/toy")
    assert any("model.safetensors" in path for path in hub_server)
    assert not any(path.endswith("evil.py") for path in hub_server)


def test_a_model_that_was_fetched_once_loads_offline(parts, hub_server, monkeypatch):
    hub.load_model("someone/toy")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub_server)
    assert torch.equal(hub.load_model("someone/toy")["motion_encoder"].gain, parts["motion_encoder"].gain)
    assert len(hub_server) == asked


def test_offline_a_model_that_was_never_fetched_is_one_clear_error(hub_server, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        hub.load_model("someone/toy")
    assert not hub_server


def test_a_model_that_is_not_on_the_hub_is_one_clear_error(hub_server):
    with pytest.raises(WeightsError, match="no model 'someone/else' on the Hugging Face Hub"):
        hub.load_model("someone/else")
