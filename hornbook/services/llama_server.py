"""llama.cpp's server, started on loopback for one GGUF file and surely stopped again.

The server (from the wheel `xllamacpp`) runs in a process of its own: a file that makes llama.cpp abort costs
an error message, not our process. It listens on a port that the system chooses, and it ends when its standard
input closes, which also happens when our process is killed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Any

from hornbook.core.errors import HornbookError

START_SECONDS = 120.0  # a large file on a slow disk
STOP_SECONDS = 5.0
REQUEST_SECONDS = 300.0
_READY = "hornbook-llama-server "


@dataclass(frozen=True)
class LlamaServer:
    """A running server with one model; make it with `serve`."""

    model: Path
    host: str
    port: int

    @property
    def openai_url(self) -> str:
        """The base of its OpenAI-compatible endpoints."""
        return f"http://{self.host}:{self.port}/v1"

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text as llama.cpp splits it; nothing is added, no special token recognised."""
        return self._post("/tokenize", {"content": text, "add_special": False, "parse_special": False})["tokens"]

    def next_token_logprobs(self, ids: Sequence[int], n_probs: int) -> dict[int, float]:
        """The `n_probs` most likely tokens after `ids`, best first, each with its natural log-probability.

        Probabilities are those of the whole vocabulary at temperature 1, before any sampling rule.
        """
        # The drawn token is forced to be a plain letter: the server is silent about one that ends inside a
        # character. The bias acts on the draw, after the probabilities were taken.
        letter = [self.tokenize("a")[0], 1e4]
        request = {"prompt": list(ids), "n_predict": 1, "n_probs": n_probs, "logit_bias": [letter]}
        answer = self._post("/completion", request)
        return {top["id"]: top["logprob"] for top in answer["completion_probabilities"][0]["top_logprobs"]}

    def _post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        # http.client goes straight to the address: no proxy of the environment gets between.
        connection = HTTPConnection(self.host, self.port, timeout=REQUEST_SECONDS)
        try:
            connection.request("POST", route, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise HornbookError(f"llama.cpp with {self.model.name} stopped answering ({error}).") from error
        finally:
            connection.close()
        if response.status != 200:
            reason = answer.get("error", {}).get("message", response.reason)
            raise HornbookError(f"llama.cpp with {self.model.name} refused a request: {reason}.")
        return answer


@contextmanager
def serve(model: Path, *, context: int = 0, threads: int = 1, slots: int = 1) -> Iterator[LlamaServer]:
    """Run llama.cpp's server for a GGUF file while the block lasts.

    `context` is the number of positions (0: as many as the file says), shared by all `slots`: answers that are written
    at the same time. Raises HornbookError when xllamacpp is
    missing, or with llama.cpp's own reason when it cannot open the file.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise HornbookError("xllamacpp, which brings llama.cpp, is not installed.", "Run `pip install xllamacpp`.")
    model = Path(model)
    if not model.is_file():
        raise HornbookError(f"There is no file {model}.", "Name a GGUF file, such as the final-F16.gguf of a run.")
    # The log goes to a file, because a pipe that nobody reads would stop the server when it is full.
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(model), str(context), str(threads), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield _wait_until_ready(process, model, log)
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[str], model: Path, log: IO[str]) -> LlamaServer:
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith(_READY)), "")
    if not line:
        log.seek(0)
        raise HornbookError(
            f"llama.cpp cannot open {model}: {_reason(log.read())}.",
            "Export the model again with `hornbook run`.",
        )
    host, port = line.removeprefix(_READY).split()
    server = LlamaServer(model, host, int(port))
    deadline = time.monotonic() + START_SECONDS
    while not _healthy(server):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            raise HornbookError(f"llama.cpp did not get ready for {model}: {_reason(log.read())}.")
        time.sleep(0.01)
    return server


def _healthy(server: LlamaServer) -> bool:
    connection = HTTPConnection(server.host, server.port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _reason(log: str) -> str:
    """The first error llama.cpp reported, without its time stamp and function name."""
    errors = [line.split(" E ", 1)[1] for line in log.splitlines() if " E " in line]
    lines = errors or log.splitlines()[-1:]
    return lines[0].split(":", 1)[-1].strip().rstrip(".") if lines else "it ended without a word"


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _run_server(model: str, context: int, threads: int, slots: int) -> None:
    """The child process: serve until standard input closes."""
    ready = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints goes to the log
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {Path(model).stem}  # what it calls itself in answers: not where the file lies
    parameters.n_ctx = context
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = threads
    parameters.n_gpu_layers = 0
    parameters.fit_params = False
    parameters.warmup = False
    parameters.ui = False
    parameters.verbosity = 1  # errors only
    server = xllamacpp.Server(parameters)
    host, port = server.listening_address.removeprefix("http://").rsplit(":", 1)
    print(f"{_READY}{host} {port}", file=ready, flush=True)
    sys.stdin.read()
    os._exit(0)  # the server's own way out can hang; there is nothing to save


if __name__ == "__main__":
    _run_server(sys.argv[1], *map(int, sys.argv[2:]))
