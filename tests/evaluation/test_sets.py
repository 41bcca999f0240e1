"""The frozen sets: what is in them, always the same, and apart from everything that is trained on."""

import ast
import json

import pyarrow as pa
import pytest

from hornbook.core.documents import VERDICTS, read_table, write_table
from hornbook.core.errors import HornbookError
from hornbook.core.step import content_hash
from hornbook.evaluation import sets
from hornbook.evaluation.config import SetsConfig
from tests.tokenization.documents import write_documents

CONFIG = SetsConfig(distributions=("click", "joblib"), functions_per_distribution=12)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_sets_are_written_and_never_change(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        counters = sets.sets_step({}, tmp_path / name, CONFIG)
    assert content_hash(tmp_path / "first") == content_hash(tmp_path / "second")
    neutral = {path.stem for path in sets.NEUTRAL.glob("*.jsonl")}
    assert set(counters["sets"]) == {"humaneval", "functions", "exercises"} | neutral
    for name in counters["sets"]:
        items = lines(tmp_path / "first" / f"{name}.jsonl")
        assert all(set(item) == {"id", "prompt", "text"} and item["text"].strip() for item in items)
        assert len({item["id"] for item in items}) == len(items) == counters["sets"][name]["texts"]


def test_human_eval_is_solutions_given_prompts():
    items = sets.human_eval()
    assert len(items) == 164
    for item in items:
        ast.parse(item.prompt + item.text)
        assert item.prompt.rstrip().endswith(('"""', "'''"))


def test_functions_are_documented_whole_and_unique():
    items = sets.functions(CONFIG)
    assert len(items) == 24
    assert {item.id.split("/")[0] for item in items} == {"click", "joblib"}
    assert len({item.text for item in items}) == len(items)
    for item in items:
        (node,) = ast.parse(item.text).body
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(node)
        assert 200 <= len(item.text) <= 2000


def test_a_missing_distribution_is_named():
    config = SetsConfig(distributions=("no-such-distribution",))
    for read in (sets.functions, sets.fingerprint):
        with pytest.raises(HornbookError, match=r"no-such-distribution.*pip install"):
            read(config)
    with pytest.raises(HornbookError, match="no documented function"):
        sets.functions(SetsConfig(distributions=("click",), min_chars=1, max_chars=2))


def test_the_fingerprint_follows_what_is_read(monkeypatch, tmp_path):
    before = sets.fingerprint(CONFIG)
    assert before == sets.fingerprint(CONFIG)
    assert before != sets.fingerprint(SetsConfig(distributions=("click",)))
    (tmp_path / "own.jsonl").write_text('{"id": "1", "prompt": "", "text": "x"}\n')
    monkeypatch.setattr(sets, "NEUTRAL", tmp_path)
    assert before != sets.fingerprint(CONFIG)


def held_out_inputs(folder, verdicts_of_files):
    """40 passages of four files; passage 3 of each file is a duplicate of something trained on."""
    documents = write_documents(folder / "documents", [f"text {number}\n" for number in range(40)], shard_rows=15)
    table = read_table(documents)
    parents = pa.array([f"{number // 10:032x}" for number in range(40)])
    table = table.set_column(table.schema.get_field_index("parent"), "parent", parents)
    for number, path in enumerate(sorted(documents.glob("*.parquet"))):
        write_table(table.slice(15 * number, 15), path)

    def verdicts(name, ids, keep):
        (folder / name).mkdir()
        reasons = ["" if kept else "because" for kept in keep]
        write_table(pa.table([ids, keep, reasons], schema=VERDICTS), folder / name / "selected-0000.parquet")
        return folder / name

    exact = verdicts("exact", table["id"], [number % 10 != 3 for number in range(40)])
    files = verdicts("files", [f"{number:032x}" for number in range(4)], verdicts_of_files)
    return {"documents": documents, "held_out_files": files, "exact": exact}


def test_held_out_passages_come_from_held_out_files_and_are_no_duplicates(tmp_path):
    inputs = held_out_inputs(tmp_path, [True, False, True, False])
    written = []
    for count in (5, 100):
        sets.held_out_step(inputs, tmp_path, SetsConfig(held_out_passages=count))
        written.append([item["text"] for item in lines(tmp_path / "held_out.jsonl")])
    small, large = written
    possible = {f"text {number}\n" for number in (*range(10, 20), *range(30, 40)) if number % 10 != 3}
    assert set(large) == possible
    assert len(small) == 5
    assert small == large[:5]  # a larger sample adds to a smaller one


def test_no_held_out_file_is_an_error(tmp_path):
    with pytest.raises(HornbookError, match="No passage is held out"):
        sets.held_out_step(held_out_inputs(tmp_path, [True] * 4), tmp_path, SetsConfig())
