"""The server is there while the block lasts, gone after it, and says why it could not start."""

import os
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.services.llama_server import serve
from tests.model.tiny import tiny_folder


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hornbook.model.gguf import export

    folder = tmp_path_factory.mktemp("model")
    export(tiny_folder(folder), folder / "tiny.gguf", "F16")
    return folder / "tiny.gguf"


def answers(host: str, port: int) -> bool:
    try:
        connection = HTTPConnection(host, port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_log_probabilities_are_those_of_the_whole_vocabulary(gguf_file: Path) -> None:
    with serve(gguf_file) as server:
        top = server.next_token_logprobs([0, 70, 80], 1000)
        best = server.next_token_logprobs([0, 70, 80], 5)
    assert sum(2.718281828459045**value for value in top.values()) == pytest.approx(1, abs=1e-4)
    assert list(best) == list(top)[:5]
    assert list(top.values()) == sorted(top.values(), reverse=True)


def test_every_token_can_be_followed_even_half_a_character(gguf_file: Path) -> None:
    with serve(gguf_file) as server:
        assert all(len(server.next_token_logprobs([0, token], 3)) == 3 for token in range(256))


def test_server_is_gone_after_the_block(gguf_file: Path) -> None:
    with serve(gguf_file) as server:
        assert answers(server.host, server.port)
    assert not answers(server.host, server.port)


def test_server_is_gone_after_an_error_in_the_block(gguf_file: Path) -> None:
    with pytest.raises(ZeroDivisionError), serve(gguf_file) as server:
        _ = 1 / 0
    assert not answers(server.host, server.port)


def test_server_ends_when_its_user_is_killed(gguf_file: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from hornbook.services.llama_server import serve\n"
        "with serve(Path(sys.argv[1])) as server: print(server.port, flush=True); time.sleep(60)"
    )
    user = subprocess.Popen([sys.executable, "-c", script, str(gguf_file)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    port = int(user.stdout.readline())
    assert answers("127.0.0.1", port)
    os.kill(user.pid, signal.SIGKILL)
    user.wait()
    user.stdout.close()
    deadline = time.monotonic() + 30
    while answers("127.0.0.1", port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers("127.0.0.1", port)


def test_a_request_beyond_the_context_is_one_clear_error(gguf_file: Path) -> None:
    with serve(gguf_file) as server, pytest.raises(HornbookError, match="exceeds the available context"):
        server.next_token_logprobs([1] * 1000, 5)


@pytest.mark.parametrize("damage", ["cut short", "not a GGUF file", "missing"])
def test_a_file_that_does_not_load_is_one_clear_error(gguf_file: Path, tmp_path: Path, damage: str) -> None:
    broken = tmp_path / "broken.gguf"
    if damage == "cut short":
        broken.write_bytes(gguf_file.read_bytes()[:-20_000])
    elif damage == "not a GGUF file":
        broken.write_text("hello")
    with pytest.raises(HornbookError, match=r"broken\.gguf") as caught, serve(broken):
        pass
    assert caught.value.remedy


def test_a_missing_library_is_one_clear_error(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HornbookError, match="pip install xllamacpp"), serve(gguf_file):
        pass
