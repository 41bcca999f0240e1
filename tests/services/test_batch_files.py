"""Batch files carry requests out and answers back, in any order, in parts, with errors; nothing goes out twice."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from hornbook.core.errors import HornbookError
from hornbook.services import batch_files
from hornbook.services.asking import Asker
from hornbook.services.batch_files import Imported, import_answers
from hornbook.services.chat import Answer
from hornbook.services.llm import TeacherConfig, answer_batch, open_batch
from hornbook.services.request_cache import RequestCache
from tests.services.chat_server import MODEL, chat_server, questions, teacher_of

CONFIG = TeacherConfig(url="https://host.invalid/v1", model=MODEL)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def export(folder: Path, requests: Any, config: TeacherConfig = CONFIG) -> tuple[dict[str, Answer], Asker]:
    """Answers by tag; requests without one are written into `folder/batch`."""

    async def run() -> tuple[dict[str, Answer], Asker]:
        async with open_batch(config, folder / "batch", folder / "cache") as teacher:
            return {answer.request.tag: answer async for answer in teacher.answers(requests)}, teacher

    return asyncio.run(run())


def take_in(folder: Path, *paths: Path) -> Imported:
    with RequestCache(folder / "cache") as cache:
        return import_answers(paths, cache)


def lines(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "batch").glob("requests-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def answered(line: dict[str, Any], text: str | None = None, **fields: Any) -> dict[str, Any]:
    """What a host makes of a line."""
    text = f"answer to {line['body']['messages'][-1]['content']}" if text is None else text
    body = {
        "id": "chatcmpl-1",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }
    response = {"status_code": 200, "request_id": "req", "body": body}
    return {
        "id": f"batch_{line['custom_id'][:8]}",
        "custom_id": line["custom_id"],
        "response": response,
        "error": None,
    } | fields


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_a_request_is_one_line_of_the_batch_format(tmp_path: Path) -> None:
    answers, _ = export(tmp_path, questions(3))
    assert {a.failure for a in answers.values()} == {"waiting"}
    assert sorted(line["body"]["messages"][0]["content"] for line in lines(tmp_path)) == ["q0", "q1", "q2"]
    for line in lines(tmp_path):
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        assert line["body"]["model"] == MODEL and line["body"]["max_tokens"] == 1024
    assert {line["custom_id"] for line in lines(tmp_path)} == {a.key for a in answers.values()}


def test_answers_come_back_shuffled_and_in_parts(tmp_path: Path) -> None:
    export(tmp_path, questions(40))
    rows = [answered(line) for line in lines(tmp_path)]
    random.Random(0).shuffle(rows)
    assert take_in(tmp_path, write(tmp_path / "a.jsonl", rows[:25])) == Imported(new=25)
    answers, _ = export(tmp_path, questions(40))
    assert sum(not a.failure for a in answers.values()) == 25 and len(lines(tmp_path)) == 40
    assert take_in(tmp_path, write(tmp_path / "b.jsonl", rows[10:])) == Imported(new=15, known=15)
    answers, _ = export(tmp_path, questions(40))
    assert {tag: a.text for tag, a in answers.items()} == {str(i): f"answer to q{i}" for i in range(40)}
    assert all(a.cached and a.request_id for a in answers.values()) and len(lines(tmp_path)) == 40


def test_lines_with_errors_go_out_again_once_and_bad_lines_harm_nobody(tmp_path: Path) -> None:
    export(tmp_path, questions(8))
    out = lines(tmp_path)
    bad: list[Any] = [
        answered(out[0], response=None, error={"code": "batch_expired", "message": "This request expired."}),
        answered(out[1], response={"status_code": 500, "body": {"error": {"message": "oops"}}}),
        answered(out[2], response={"status_code": 200, "body": {"choices": []}}),
        {"custom_id": out[3]["custom_id"]},
        {"custom_id": "somebody else's", "response": {}},
        [1, 2],
        "null",
        "[" * 100_000,
    ]
    rows = [*bad, *(answered(line) for line in out[4:]), json.dumps(answered(out[4]))[:50], "\x00\xff"]
    path = write(tmp_path / "answers.jsonl", rows)
    found = take_in(tmp_path, path)
    assert (found.new, found.known, found.errors, found.unreadable) == (4, 0, 4, 6)
    assert found.first_error == "This request expired."
    assert take_in(tmp_path, path).errors == 0  # the same news
    for _ in range(2):
        answers, _ = export(tmp_path, questions(8))
        assert sum(a.failure == "waiting" for a in answers.values()) == 4
        assert len(lines(tmp_path)) == 12
    assert {line["custom_id"] for line in lines(tmp_path)[8:]} == {line["custom_id"] for line in out[:4]}
    take_in(tmp_path, write(tmp_path / "second.jsonl", [answered(line) for line in lines(tmp_path)[8:]]))
    answers, _ = export(tmp_path, questions(8))
    assert not any(a.failure for a in answers.values())


def test_of_two_answers_to_one_request_the_first_stays(tmp_path: Path) -> None:
    export(tmp_path, questions(1))
    (line,) = lines(tmp_path)
    found = take_in(tmp_path, write(tmp_path / "a.jsonl", [answered(line, "first"), answered(line, "second")]))
    assert (found.new, found.known) == (1, 1)
    assert export(tmp_path, questions(1))[0]["0"].text == "first"


def test_a_wrong_answer_is_repaired_by_the_next_batch(tmp_path: Path) -> None:
    export(tmp_path, questions(1, schema=SCHEMA))
    take_in(tmp_path, write(tmp_path / "a.jsonl", [answered(lines(tmp_path)[0], "no JSON")]))
    answers, _ = export(tmp_path, questions(1, schema=SCHEMA))
    assert answers["0"].failure == "waiting" and len(lines(tmp_path)) == 2
    take_in(tmp_path, write(tmp_path / "b.jsonl", [answered(lines(tmp_path)[1], '{"n": 7}')]))
    answers, _ = export(tmp_path, questions(1, schema=SCHEMA))
    assert answers["0"].parsed == {"n": 7} and answers["0"].repaired


def test_files_stay_below_the_limits_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_files, "MOST_LINES", 10)
    export(tmp_path, questions(25))
    sizes = [len(path.read_text().splitlines()) for path in sorted((tmp_path / "batch").iterdir())]
    assert sizes == [10, 10, 5]
    monkeypatch.setattr(batch_files, "MOST_BYTES", 2_000)
    export(tmp_path, questions(40))
    paths = sorted((tmp_path / "batch").iterdir())
    assert len(lines(tmp_path)) == 40 and all(path.stat().st_size <= 2_000 for path in paths[3:])


def test_a_run_that_breaks_off_leaves_nothing_to_be_sent(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from questions(5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export(tmp_path, broken())
    assert lines(tmp_path) == []
    export(tmp_path, questions(5))
    assert len(lines(tmp_path)) == 5 and len(list((tmp_path / "batch").iterdir())) == 1


def test_the_budget_bounds_what_is_written(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"budget": CONFIG.budget.model_copy(update={"requests": 7})})
    for _ in range(2):
        answers, _ = export(tmp_path, questions(20), config)
        assert len(lines(tmp_path)) == 7 and sum(a.failure == "budget" for a in answers.values()) == 13


def test_the_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-0123456789")
    export(tmp_path, questions(3), CONFIG.model_copy(update={"key_env": "TEACHER_KEY"}))
    assert all(b"sk-0123456789" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_folders_and_files_that_cannot_be_used_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match="Cannot read answers"):
        take_in(tmp_path, tmp_path / "missing.jsonl")
    (tmp_path / "batch").write_text("in the way")
    with pytest.raises(HornbookError, match="Cannot write batch files"):
        export(tmp_path, questions(1))
    (tmp_path / "batch").unlink()
    (tmp_path / "batch").mkdir()
    write(tmp_path / "batch" / "requests-00001.jsonl", ["no request"])
    with pytest.raises(HornbookError, match="no request of a batch"):
        export(tmp_path, questions(1))


def test_an_endpoint_without_a_batch_service_answers_the_file(tmp_path: Path) -> None:
    export(tmp_path, questions(30))
    requests, answers = tmp_path / "batch" / "requests-00001.jsonl", tmp_path / "answers.jsonl"
    with chat_server() as server:
        config = teacher_of(server)
        assert asyncio.run(answer_batch(config, requests, answers)) == (30, 0)
        kept = answers.read_bytes().splitlines(keepends=True)
        answers.write_bytes(b"".join(kept[:20]) + kept[20][:30])  # as a kill leaves it
        assert asyncio.run(answer_batch(config, requests, answers)) == (10, 0)
        assert sum(server.asked.values()) == 40
    assert take_in(tmp_path, answers) == Imported(new=30, unreadable=1)
    found, _ = export(tmp_path, questions(30))
    assert {tag: a.text for tag, a in found.items()} == {str(i): f"answer to q{i}" for i in range(30)}
