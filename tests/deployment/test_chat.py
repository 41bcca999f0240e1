"""`hornbook chat` as a user has it: a process that reads messages and prints answers, on either engine."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.deployment.chat import Conversation, chat
from hornbook.deployment.engines import Ask, open_engine
from hornbook.model import huggingface
from hornbook.model.chat_template import builtin_template
from hornbook.model.generate import generate
from hornbook.model.gguf import export
from hornbook.model.load import load_any
from hornbook.model.sampling import SamplingOptions
from tests.model.llama_files import tiny_llama, write_llama_gguf
from tests.model.tiny import tiny_folder

ASK = Ask(max_new_tokens=12, sampling=SamplingOptions(1.5), seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_folder(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)
    huggingface.save(load_any(folder)[0], folder, chat_template=builtin_template("phi-4-mini"))
    return folder


@pytest.fixture(scope="module")
def gguf(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    export(folder, path, "F32")
    return path


def answers(model: Path, text: str, **settings) -> list[str]:
    chat(model, source=io.StringIO(text), out=(out := io.StringIO()), **{"ask": ASK, **settings})
    return out.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("engine", ["hornbook", "llama.cpp"])
def test_a_process_answers_every_line_of_its_input(folder: Path, gguf: Path, engine: str) -> None:
    command = [sys.executable, "-m", "hornbook.cli", "chat", str(folder if engine == "hornbook" else gguf)]
    command += ["--engine", engine, "--max-new-tokens", "4", "--temperature", "0", "--system", "Be brief."]
    done = subprocess.run(
        command, input="def f\n\n/what\n/reset\ndef f\n/quit\nnever\n", capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    first, _, second = done.stdout[:-1].partition("\n")
    assert first and first == second  # forgotten, so the same again
    assert done.stderr.count("/reset forgets") == 1


def test_answers_depend_on_what_was_said_before(folder: Path) -> None:
    assert answers(folder, "a\nb\n")[1] != answers(folder, "c\nb\n")[1]
    assert answers(folder, "a\n/reset\nb\n")[1] == answers(folder, "b\n")[0]
    assert answers(folder, "a\n") != answers(folder, "a\n", system="return")


def test_a_conversation_is_asked_in_the_form_of_its_template(folder: Path) -> None:
    with open_engine(folder) as engine:
        conversation = Conversation(engine, builtin_template("phi-4-mini"), ASK, system="S")
        said = "".join(conversation.answer("one"))
        asked = "<|system|>S<|end|><|user|>one<|end|><|assistant|>"
        assert said == "".join(engine.stream(asked, replace(ASK, is_whole=True))).lstrip()


def test_when_the_context_is_full_the_oldest_turns_are_forgotten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answers(folder, "def f(n): return n\n" * 6)
    assert len([line for line in said if line]) >= 6
    assert "no longer fit" in capsys.readouterr().err
    answers(folder, "漢字" * 100 + "\n")
    assert "too long" in capsys.readouterr().err


def test_a_model_without_a_template_is_asked_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_folder(tmp_path, tie_word_embeddings=False)
    with open_engine(model) as engine:
        direct = "".join(engine.stream("Instruct: a\nOutput:", ASK))
    assert "\n".join(answers(model, "a\n")) == direct.lstrip()
    assert "no chat template" in capsys.readouterr().err


def test_every_end_token_of_a_model_ends_an_answer(folder: Path) -> None:
    free = answers(folder, "def f\n", ask=Ask(12))
    model, _ = load_any(folder)
    with open_engine(folder) as engine:
        ids = engine.encode("<|user|>def f<|end|><|assistant|>", Ask(is_whole=True))
        second = list(generate(model, ids, max_new_tokens=2))[1]
    path = folder / "generation_config.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "eos_token_id": [model.config.eos_token_id, second]}))
    assert answers(folder, "def f\n", ask=Ask(12)) != free
    path.write_text(before)


@pytest.mark.parametrize(
    "sampling", [SamplingOptions(), SamplingOptions(repetition_penalty=1.3), SamplingOptions(1.0, top_k=1)]
)
def test_both_engines_mean_the_same_by_the_same_options(folder: Path, gguf: Path, sampling: SamplingOptions) -> None:
    told = []
    for model, name in ((folder, "hornbook"), (gguf, "hornbook"), (gguf, "llama.cpp")):
        with open_engine(model, name) as engine:
            text = "".join(engine.stream("def fibonacci(n", Ask(30, sampling)))
            told.append(text.rstrip("�"))  # llama.cpp is silent about a character that never gets complete
    assert told[0] == told[1] == told[2] and len(told[0]) > 5


def test_stop_strings_mean_the_same_to_both_engines(gguf: Path) -> None:
    with open_engine(gguf, "hornbook") as engine:
        free = "".join(engine.stream("def fibonacci(n", Ask(30)))
    stop = free[6:9]
    for name in ("hornbook", "llama.cpp"):
        with open_engine(gguf, name) as engine:
            assert "".join(engine.stream("def fibonacci(n", Ask(30, stop=(stop,)))) == free[: free.find(stop)]


def test_what_only_llama_cpp_runs_goes_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_llama_gguf(tmp_path / "scaled.gguf", tiny_llama(), llama__rope__scaling__type="linear")
    with open_engine(path) as engine:
        assert "".join(engine.stream("def f(x):", Ask(5)))
    assert "llama.cpp runs it instead" in capsys.readouterr().err
    with pytest.raises(HornbookError, match="scaling"), open_engine(path, "hornbook"):
        pass


def test_a_folder_is_nothing_for_llama_cpp_and_the_error_says_what_is(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match="GGUF file of the model"), open_engine(folder, "llama.cpp"):
        pass
    with pytest.raises(HornbookError, match="hornbook run"), open_engine(tmp_path / "none", "llama.cpp"):
        pass
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(HornbookError, match="no GGUF file"), open_engine(tmp_path / "text.gguf"):
        pass
