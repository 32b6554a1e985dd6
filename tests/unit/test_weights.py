import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from talkingface import weights
from talkingface.core.errors import WeightsError

CONTENT = b"weights " * 1000


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Nothing of this machine's own caches is seen or touched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TALKINGFACE_WEIGHTS", raising=False)
    return tmp_path


@pytest.fixture
def server() -> Iterator[str]:
    """A web server with one good file, one that breaks off, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in ("/good", "/cut"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/good" else CONTENT[:100])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def known(monkeypatch) -> weights.Network:
    """A network whose checksum is that of the served file."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    network = weights.Network("toy", "a toy", "toy-1.pth", "http://127.0.0.1:9/none", digest[:8], "CC0", ())
    monkeypatch.setattr(weights, "manifest", lambda: {"toy": network})
    return network


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", sorted(weights.manifest()))
def test_every_network_says_where_it_is_from_and_under_which_licence(name):
    network = weights.network(name)
    if network.files:
        assert network.url.startswith(weights.HUB)
        assert weights.CONFIG_FILE in network.files
        assert set(weights.MODEL_FILES) & set(network.files)
    elif network.url:
        assert network.url.startswith("https://")
        assert network.url.endswith(network.file)
        assert len(network.sha256) >= 8
        assert int(network.sha256, 16)
    else:
        assert "by hand" in network.about
    assert network.licence
    assert network.used_by


def test_a_network_that_only_a_person_can_fetch_says_how(home):
    with pytest.raises(WeightsError, match=r"insightface.*fetch it by hand.*arcface-r100\.pth"):
        weights.fetch_weights("arcface-r100")


def test_a_path_that_is_given_is_taken(tmp_path):
    path = put(tmp_path / "mine.safetensors")
    assert weights.find_weights("vgg19", path) == path


def test_a_path_that_is_given_and_wrong_is_refused_although_another_copy_is_there(home):
    put(home / "torch/hub/checkpoints/vgg19-dcbb9e9d.pth")
    with pytest.raises(WeightsError, match="does not exist"):
        weights.find_weights("vgg19", "nowhere.pth")


def test_the_cache_of_torch_is_searched(home):
    path = put(home / "torch/hub/checkpoints/vgg19-dcbb9e9d.pth")
    assert weights.find_weights("vgg19") == path


@pytest.mark.parametrize("file", ["vgg16.safetensors", "vgg16-397923af.pth"])
def test_the_own_folder_is_searched_first(home, monkeypatch, file):
    put(home / "torch/hub/checkpoints/vgg16-397923af.pth")
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(home / "own"))
    own = put(home / "own" / file)
    assert weights.find_weights("vgg16") == own


def test_a_missing_network_names_the_command_and_the_ways_to_point_at_a_copy():
    with pytest.raises(WeightsError, match=r"talkingface doctor --fetch vgg19.*TALKINGFACE_WEIGHTS"):
        weights.find_weights("vgg19")


def test_an_unknown_network_lists_the_known_ones_nearest_first():
    with pytest.raises(WeightsError, match="known: vgg19, vgg16"):
        weights.find_weights("vg19")


def test_a_network_is_fetched_to_where_it_is_found(known, server):
    heard = []
    path = weights.fetch_weights("toy", url=f"{server}/good", progress=lambda *seen: heard.append(seen))
    assert path.read_bytes() == CONTENT
    assert weights.find_weights("toy") == path
    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_it_goes_to_the_own_folder_where_there_is_one(known, server, home, monkeypatch):
    monkeypatch.setenv("TALKINGFACE_WEIGHTS", str(home / "own"))
    assert weights.fetch_weights("toy", url=f"{server}/good") == home / "own" / "toy-1.pth"


def test_a_good_copy_is_not_fetched_again(known, home):
    path = put(home / "torch/hub/checkpoints/toy-1.pth")
    assert weights.fetch_weights("toy") == path  # its address answers nobody


def test_a_damaged_copy_is_replaced(known, server, home):
    path = put(home / "torch/hub/checkpoints/toy-1.pth", b"rubbish")
    weights.fetch_weights("toy", url=f"{server}/good")
    assert path.read_bytes() == CONTENT


def test_a_file_with_another_checksum_is_not_kept(server, home):
    with pytest.raises(WeightsError, match="not the file that the manifest describes"):
        weights.fetch_weights("vgg19", url=f"{server}/good")
    assert not list(home.rglob("*.pth"))


@pytest.mark.parametrize("page", ["/cut", "/none"])
def test_a_failed_download_leaves_no_file_and_keeps_the_old_one(known, server, home, page):
    path = put(home / "torch/hub/checkpoints/toy-1.pth", b"old")
    with pytest.raises(WeightsError, match="toy"):
        weights.fetch_weights("toy", url=server + page)
    assert [file.read_bytes() for file in home.rglob("*") if file.is_file()] == [b"old"]
    assert path.exists()


def test_an_unreachable_server_is_one_clear_error(known):
    with pytest.raises(WeightsError, match=r"could not be fetched .* Offline\?"):
        weights.fetch_weights("toy")
