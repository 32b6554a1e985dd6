"""Networks that are folders of transformers: found in the own folder and in the Hub's cache, fetched from the Hub."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from talkingface import weights
from talkingface.core.errors import WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "pytorch_model.bin": b"weights", "tf_model.h5": b"not wanted", "README.md": b"read"}
REPOSITORY = "facebook/hubert-large-ll60k"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Nothing of this machine's own caches is seen or touched."""
    from huggingface_hub import constants

    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    return tmp_path


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Answers as the Hub does, for one repository; its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(self.path)
            path = self.path.partition("?")[0]
            listing = [{"type": "file", "path": n, "size": len(c), "oid": COMMIT} for n, c in FILES.items()]
            siblings = [{"rfilename": name} for name in FILES]
            if path == f"/api/models/{REPOSITORY}/revision/main":
                self.answer(json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode())
            elif path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
                self.answer(json.dumps(listing).encode())
            elif path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/"):
                self.answer(FILES[path.rsplit("/", 1)[1]])
            else:
                self.answer(b'{"error": "Repository not found"}', 404, {"X-Error-Code": "RepoNotFound"})

        def answer(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            tag = f'"{abs(hash(content)):x}"'
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
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("file", weights.MODEL_FILES)
@pytest.mark.parametrize("name", ["hubert-large", "hubert-large-ll60k"])
def test_a_folder_among_the_own_networks_is_found(home, monkeypatch, name, file):
    folder = put(home / "own" / name, "config.json", file)
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(home / "own"))
    assert weights.find_weights("hubert-large") == folder
    assert weights.model_file(folder).name == file


def test_a_folder_that_lacks_its_weights_is_passed_over(home, monkeypatch):
    put(home / "own/hubert-large", "config.json")
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(home / "own"))
    with pytest.raises(WeightsError, match=r"doctor --fetch hubert-large.*put hubert-large-ll60k or hubert-large into"):
        weights.find_weights("hubert-large")


def test_a_folder_that_is_given_is_taken_and_a_file_is_not(home):
    folder = put(home / "mine", "config.json", "model.safetensors")
    assert weights.find_weights("hubert-large", folder) == folder
    with pytest.raises(WeightsError, match=r"is not a folder with config\.json"):
        weights.find_weights("hubert-large", folder / "model.safetensors")


def test_a_folder_is_no_file(home):
    with pytest.raises(WeightsError, match="is not a file"):
        weights.find_weights("vgg19", put(home / "vgg19"))


def test_a_network_is_fetched_into_the_cache_of_the_hub_and_found_there(server):
    address, asked = server
    folder = weights.fetch_weights("hubert-large", url=address)
    assert weights.find_weights("hubert-large") == folder
    assert {path.name for path in folder.iterdir()} == {"config.json", "pytorch_model.bin"}
    assert not any("tf_model" in path for path in asked)


def test_a_network_is_fetched_into_the_own_folder_where_there_is_one(server, home, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(home / "own"))
    folder = weights.fetch_weights("hubert-large", url=server[0])
    assert folder == home / "own/hubert-large-ll60k" == weights.find_weights("hubert-large")
    assert weights.model_file(folder).read_bytes() == b"weights"


def test_a_repository_that_is_not_there_is_one_clear_error(server):
    with pytest.raises(WeightsError, match=r"^chinese-hubert-large could not be fetched from .*Offline\?") as caught:
        weights.fetch_weights("chinese-hubert-large", url=server[0])
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_one_clear_error(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"could not be fetched from https://huggingface\.co/"):
        weights.fetch_weights("hubert-large")
