"""The real teacher: our decoder and tokenizer beside llama.cpp, at a thousand positions of real code and prose."""

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hornbook.deployment.agreement import Agreement, Row, compare
from hornbook.deployment.complete import complete
from hornbook.deployment.engines import Ask
from hornbook.model.load import load_any
from hornbook.model.sampling import SamplingOptions
from hornbook.services.teacher import fetch_teacher
from tests.model.llama_files import expand
from tests.model.test_gguf_tokenizer import hard_texts

POSITIONS = 500  # of each of two texts
PROSE = """
A hornbook was a child's first textbook: one sheet, chosen with care, protected by a thin layer of horn. It taught the
letters, a few syllables and a prayer, and it was meant to be carried about and used every day.
"""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HORNBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield fetch_teacher()


def measure(path: Path, file_type: str) -> Agreement:
    model, tokenizer = load_any(path)
    source = inspect.getsource(textwrap)  # code, with prose in its comments and docstrings
    texts = [PROSE + source, source[source.index("def _munge_whitespace") :]]
    context = model.config.max_position_embeddings
    rows = [Row(tokenizer.encode(text).ids[:POSITIONS], context) for text in texts]
    assert [len(row.ids) for row in rows] == [POSITIONS] * 2
    return compare(model, tokenizer, path, hard_texts(), rows, file_type)


@pytest.mark.stress
def test_the_teacher_computes_what_llama_cpp_computes(teacher: Path, tmp_path: Path) -> None:
    # With 4-bit weights llama.cpp rounds what they are multiplied with to 8 bits, and we do not.
    rounded = measure(teacher, "Q8_0")
    print(f"Q4_1: {rounded}")
    assert rounded.kl_divergence < 0.01 and rounded.top_token > 0.96
    # The same weights in float32 leave it nothing to round.
    exact = measure(expand(teacher, tmp_path / "float32.gguf"), "F32")
    print(f"F32: {exact}")
    assert exact.positions == 2 * POSITIONS
    assert exact.kl_divergence < 1e-3 and exact.top_token >= 0.98


@pytest.mark.stress
def test_the_teacher_writes_code(teacher: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    complete("def fibonacci(n):", model=teacher, ask=Ask(40, SamplingOptions(temperature=0.0)))
    assert torch.get_num_threads() == threads
    assert "return" in capsys.readouterr().out
