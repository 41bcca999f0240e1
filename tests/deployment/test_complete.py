"""`hornbook complete`: text as it comes, speed on standard error, clear refusals."""

import io
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.deployment.complete import complete as complete_with
from hornbook.deployment.engines import Ask
from hornbook.model.gguf import export
from hornbook.model.sampling import SamplingOptions
from tests.model.llama_files import tiny_llama, write_llama_gguf
from tests.model.tiny import tiny_folder


def complete(prompt: str, *, model: Path, out=None, temperature: float = 0.2, max_new_tokens: int = 20, seed: int = 0):
    complete_with(prompt, model=model, out=out, ask=Ask(max_new_tokens, SamplingOptions(temperature), seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model"))


def test_prompt_and_continuation_are_printed_and_repeat_with_the_seed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 1, 2):
        complete("def f(x):", model=folder, max_new_tokens=20, temperature=2.0, seed=seed)
    printed = capsys.readouterr()
    assert printed.out.count("def f(x):") == 3
    first, again, other = printed.out.split("def f(x):")[1:]
    assert first == again != other
    assert "pieces of text of about a token, the first after" in printed.err and "a second" in printed.err


def test_text_is_written_as_it_comes(folder: Path) -> None:
    class Log(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    out = Log()
    complete("a", model=folder, max_new_tokens=20, temperature=2.0, out=out)
    assert out.flushed > 10


def test_a_gguf_file_is_continued_as_the_folder_it_was_made_of(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "model.gguf", "F32")
    continued = []
    for model in (folder, tmp_path / "model.gguf"):
        complete("def f(x):", model=model, max_new_tokens=20, temperature=0.0, out=(out := io.StringIO()))
        continued.append(out.getvalue())
    assert continued[0] == continued[1]


def test_a_llama_is_continued_and_its_tokenizer_says_how_a_text_starts(tmp_path: Path) -> None:
    continued = []
    for adds in (True, False):
        path = write_llama_gguf(tmp_path / f"{adds}.gguf", tiny_llama(), tokenizer__ggml__add_bos_token=adds)
        complete("def f(x):", model=path, max_new_tokens=20, temperature=0.0, out=(out := io.StringIO()))
        continued.append(out.getvalue())
    assert continued[0] != continued[1]
    complete("", model=path, max_new_tokens=5, out=io.StringIO())  # without BOS and text, BOS begins it


def test_what_is_no_model_is_refused_with_the_remedy(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    for path, remedy in (
        (tmp_path, "hornbook run"),
        (tmp_path / "none.gguf", "hornbook run"),
        (tmp_path / "text.gguf", "again"),
    ):
        with pytest.raises(HornbookError) as caught:
            complete("a", model=path)
        assert remedy in caught.value.remedy
    with pytest.raises(HornbookError, match="wants 1 to 127"):
        complete("a b " * 200, model=folder)
