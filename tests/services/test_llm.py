"""A teacher answers every request once, keeps the answers, stays within its budget and keeps its key to itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Request, Sampling
from hornbook.services.llm import TeacherConfig, open_teacher
from tests.services.chat_server import MODEL, Exchange, ask, asker, chat_server, questions, teacher_of

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 5}},
    "required": ["score"],
    "additionalProperties": False,
}


def test_every_request_gets_its_own_answer(tmp_path: Path) -> None:
    with chat_server() as server:
        answers, teacher = ask(teacher_of(server), tmp_path / "cache", questions(200))
    assert {a.request.tag: a.text for a in answers} == {str(i): f"answer to q{i}" for i in range(200)}
    assert all(not a.failure and not a.cached and a.model == MODEL and a.request_id for a in answers)
    assert teacher.counts.answered == 200 and teacher.counts.models == {MODEL: 200}
    assert set(server.paid.values()) == {1}


def test_what_is_sent_is_what_was_configured(tmp_path: Path) -> None:
    own = Sampling(temperature=0.7, top_p=0.9, max_tokens=7, seed=3)
    with chat_server() as server:
        config = teacher_of(server, temperature=0.5, max_tokens=99, extra={"stop": ["END"]})
        ask(config, tmp_path / "cache", questions(1))
        ask(config, tmp_path / "cache", questions(1, sampling=own, schema=SCHEMA))
        ask(teacher_of(server, max_tokens_key="max_completion_tokens"), tmp_path / "cache", questions(1))
    first, second, _, third = server.bodies  # the answer to the second was no JSON, and was repaired
    assert first == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "q0"}],
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 99,
        "stop": ["END"],
    }
    assert (second["temperature"], second["top_p"], second["max_tokens"], second["seed"]) == (0.7, 0.9, 7, 3)
    assert third["max_completion_tokens"] == 1024 and "max_tokens" not in third
    assert second["response_format"]["json_schema"]["schema"] == SCHEMA


def test_the_second_run_asks_nobody_and_edits_ask_only_for_themselves(tmp_path: Path) -> None:
    with chat_server() as server:
        config = teacher_of(server)
        ask(config, tmp_path / "cache", questions(50))
        again, _ = ask(config, tmp_path / "cache", questions(60))
        assert sum(server.asked.values()) == 60 and sum(a.cached for a in again) == 50
        for changed in (teacher_of(server, temperature=1), teacher_of(server, max_tokens=5), config):
            before = sum(server.asked.values())
            fields = {"repeat": 1} if changed is config else {}
            ask(changed, tmp_path / "cache", questions(10, **fields))
            assert sum(server.asked.values()) == before + 10
    answers, _ = ask(config, tmp_path / "cache", questions(60))  # the server is gone
    assert {a.text for a in answers} == {f"answer to q{i}" for i in range(60)}


def test_equal_requests_in_flight_are_asked_once(tmp_path: Path) -> None:
    async def slow(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return exchange.answer()

    with chat_server(slow) as server:
        requests = [request for _ in range(20) for request in questions(2)]
        answers, teacher = ask(teacher_of(server), tmp_path / "cache", requests)
    assert server.asked == {"q0": 1, "q1": 1}
    assert len(answers) == 40 and sum(a.cached for a in answers) == 38
    assert teacher.budget.tokens == 30


def test_requests_may_come_from_an_asynchronous_source(tmp_path: Path) -> None:
    async def source() -> AsyncIterator[Request]:
        for request in questions(30):
            await asyncio.sleep(0)
            yield request

    with chat_server() as server:
        answers, _ = ask(teacher_of(server), tmp_path / "cache", source())
    assert sorted(int(a.request.tag) for a in answers) == list(range(30))


def test_requests_are_read_no_further_than_needed(tmp_path: Path) -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        for request in questions(10**9):
            read += 1
            yield request

    async def run() -> None:
        async with asker(teacher_of(server, concurrency=4), tmp_path / "cache") as teacher:
            answers = teacher.answers(endless())
            async for _ in answers:
                await asyncio.sleep(0.2)
                break
            await answers.aclose()  # type: ignore[attr-defined]

    with chat_server() as server:
        asyncio.run(run())
    assert read <= 16


def test_an_error_of_the_source_is_not_swallowed(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from questions(3)
        raise ZeroDivisionError

    with chat_server() as server, pytest.raises(ZeroDivisionError):
        ask(teacher_of(server), tmp_path / "cache", broken())


@pytest.mark.parametrize("text", ['{"score": 3}', '```json\n{"score": 3}\n```'])
def test_structured_answers_are_parsed(tmp_path: Path, text: str) -> None:
    async def json_answer(exchange: Exchange) -> web.StreamResponse:
        return exchange.answer(text)

    with chat_server(json_answer) as server:
        answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(3, schema=SCHEMA))
    assert [a.parsed for a in answers] == [{"score": 3}] * 3 and not any(a.failure or a.repaired for a in answers)


@pytest.mark.parametrize("bad", ["no JSON", '{"score": 9}', "{}", "", "[" * 100_000, '{"score": 1e999}'])
def test_a_wrong_answer_is_repaired_once_and_the_teacher_is_told_why(tmp_path: Path, bad: str) -> None:
    async def second_time(exchange: Exchange) -> web.StreamResponse:
        return exchange.answer('{"score": 4}' if len(exchange.body["messages"]) > 1 else bad)

    with chat_server(second_time) as server:
        config = teacher_of(server)
        answers, teacher = ask(config, tmp_path / "cache", questions(1, schema=SCHEMA))
        again, _ = ask(config, tmp_path / "cache", questions(1, schema=SCHEMA))
    (answer,) = answers
    assert answer.parsed == {"score": 4} and answer.repaired and not answer.failure
    assert answer.usage.prompt == 20 and teacher.counts.repaired == 1
    assert "cannot be used" in server.bodies[1]["messages"][-1]["content"]
    assert sum(server.asked.values()) == 2 and again[0].parsed == {"score": 4} and again[0].cached


def test_an_answer_that_stays_wrong_is_a_failure_and_is_not_paid_again(tmp_path: Path) -> None:
    async def stubborn(exchange: Exchange) -> web.StreamResponse:
        return exchange.answer('{"score": "high"}')

    with chat_server(stubborn) as server:
        for cached in (False, True):
            answers, teacher = ask(teacher_of(server), tmp_path / "cache", questions(5, schema=SCHEMA))
            assert {a.failure for a in answers} == {"schema"} and teacher.counts.failures == {"schema": 5}
            assert "is not of type 'integer'" in answers[0].detail
            assert all(a.cached is cached for a in answers)
    assert sum(server.asked.values()) == 10


@pytest.mark.parametrize(
    ("budget", "answered"),
    [({"requests": 40}, 40), ({"tokens": 600}, 40), ({"money": 0.0006}, 40), ({"requests": 0}, 0)],
)
def test_the_budget_is_a_hard_stop_also_after_a_restart(tmp_path: Path, budget: Any, answered: int) -> None:
    with chat_server() as server:
        config = teacher_of(server, budget=budget, prices={"prompt": 1, "completion": 1}, concurrency=8)
        for _ in range(2):
            answers, teacher = ask(config, tmp_path / "cache", questions(100))
            assert len(answers) == 100
            assert {a.failure for a in answers} == ({"", "budget"} if answered else {"budget"})
            assert answered - 8 <= sum(server.paid.values()) <= answered + 8
            if "requests" in budget:
                assert sum(server.paid.values()) == answered
    assert teacher.budget.paid_requests <= 8  # the second run had no more to spend


def test_a_budget_counts_what_a_killed_run_has_paid(tmp_path: Path) -> None:
    with chat_server() as server:
        ask(teacher_of(server), tmp_path / "cache", questions(30))
        config = teacher_of(server, budget={"requests": 40})
        answers, _ = ask(config, tmp_path / "cache", questions(100))
    assert sum(server.paid.values()) == 40 and sum(not a.failure for a in answers) == 40


@pytest.mark.parametrize("where", ["answer", "error"])
def test_the_key_goes_to_the_endpoint_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    key = "sk-very/secret-0123456789"
    monkeypatch.setenv("TEACHER_KEY", f"{key}\n")

    async def echo(exchange: Exchange) -> web.StreamResponse:
        sent = exchange.http.headers["Authorization"]
        if where == "error":
            return web.json_response({"error": {"message": f"Incorrect API key provided: {sent}"}}, status=400)
        return exchange.answer(f"You sent {sent}", id=sent, model=sent)

    with chat_server(echo) as server:
        config = teacher_of(server, key_env="TEACHER_KEY")
        answers, teacher = ask(config, tmp_path / "cache", questions(3))
        assert server.headers[0]["Authorization"] == f"Bearer {key}"
        shown = [repr(answers), repr(teacher.counts), config.model_dump_json(), *capsys.readouterr()]
        if where == "error":
            assert answers[0].failure == "refused" and "[API key]" in answers[0].detail
            with pytest.raises(HornbookError, match="refused the first") as caught:
                ask(config, tmp_path / "cache", questions(30))
            shown.append(str(caught.value))
    assert not any(key in text for text in shown)
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_key_that_is_missing_or_in_the_wrong_place_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match=r"NO_SUCH_KEY .* is not set"):
        ask(TeacherConfig(url="http://127.0.0.1:9/v1", model="m", key_env="NO_SUCH_KEY"), tmp_path / "c", [])
    for url in ("http://user:password@host/v1", "https://host/v1?api_key=secret", "ftp://host", "host:80"):
        with pytest.raises(ValidationError):
            TeacherConfig(url=url, model="m")


def test_a_proxy_of_the_environment_does_not_get_between_us_and_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with chat_server() as server:
        answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(2))
        assert not any(a.failure for a in answers)
        elsewhere = teacher_of(server).model_copy(update={"url": "http://teacher.invalid/v1", "attempts": 1})
        with pytest.raises(HornbookError, match=r"Nothing answers.*127\.0\.0\.1:9"):
            ask(elsewhere, tmp_path / "cache2", questions(1))


def test_a_changed_model_is_counted_or_stops_the_run(tmp_path: Path) -> None:
    async def changes(exchange: Exchange) -> web.StreamResponse:
        return exchange.answer(model=f"{MODEL}-2026-11-01" if int(exchange.said[1:]) < 10 else "cheaper")

    with chat_server(changes) as server:
        _, teacher = ask(teacher_of(server), tmp_path / "a", questions(20))
        assert teacher.counts.models == {f"{MODEL}-2026-11-01": 10, "cheaper": 10}
        ask(teacher_of(server, other_model="stop"), tmp_path / "b", questions(10))
        with pytest.raises(HornbookError, match="playback was asked, and cheaper answered"):
            ask(teacher_of(server, other_model="stop"), tmp_path / "c", questions(20))


@pytest.mark.parametrize(
    ("status", "match"), [(401, "API key"), (403, "API key"), (404, "url and model"), (302, "url")]
)
def test_what_concerns_every_request_stops_at_once(tmp_path: Path, status: int, match: str) -> None:
    async def no(exchange: Exchange) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:9/"}, text="<html>no</html>")

    with chat_server(no) as server:
        with pytest.raises(HornbookError, match=str(status)) as caught:
            ask(teacher_of(server), tmp_path / "cache", questions(1000))
        assert match in caught.value.remedy and sum(server.asked.values()) < 100


def test_an_endpoint_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    config = TeacherConfig(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(HornbookError, match=r"Nothing answers at http://127\.0\.0\.1:9/v1"):
        ask(config, tmp_path / "cache", questions(3))


def test_a_cache_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not a database" * 1000)
    with pytest.raises(HornbookError, match=r"request cache .* cannot be used"):
        ask(TeacherConfig(url="http://127.0.0.1:9/v1", model="m"), tmp_path / "cache", [])


CLIENT = """
import asyncio, sys
from pathlib import Path
from tests.services.chat_server import asker, questions
from hornbook.services.llm_config import TeacherConfig
async def main():
    config = TeacherConfig(url=sys.argv[1], model="playback", concurrency=8)
    async with asker(config, Path(sys.argv[2])) as teacher:
        async for answer in teacher.answers(questions(int(sys.argv[3]))):
            print(answer.request.tag, flush=True)
asyncio.run(main())
"""


def kill_and_go_on(tmp_path: Path, kills: int, count: int) -> None:
    async def slow(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return exchange.answer()

    with chat_server(slow) as server:
        command = [sys.executable, "-c", CLIENT, server.url, str(tmp_path / "cache"), str(count)]
        for kill in range(kills):
            before = sum(server.paid.values())
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            for _ in range(before + 5 + 17 * kill % 40):  # as far as the last time, and a bit further
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            seen = {int(line) for line in process.stdout.read().split()[:-1]}
            process.wait()
            process.stdout.close()
            time.sleep(0.05)  # for the server to end what was under way
            paid = dict(server.paid)
            answers, _ = ask(teacher_of(server, budget={"requests": 0}), tmp_path / "cache", questions(count))
            kept = {int(a.request.tag) for a in answers if not a.failure}
            assert seen <= kept, "an answer that was handed on is not in the cache"
            assert dict(server.paid) == paid
        answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(count))
        assert len(answers) == count and not any(a.failure for a in answers)
        # Only what was in flight at a kill can have been paid for twice.
        assert sum(server.paid.values()) <= count + 8 * kills


def test_after_a_kill_the_cache_answers_what_was_answered(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kills=2, count=150)


@pytest.mark.stress
def test_many_kills(tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, kills=25, count=3000)


def test_two_runs_may_share_a_cache(tmp_path: Path) -> None:
    with chat_server() as server:
        command = [sys.executable, "-c", CLIENT, server.url, str(tmp_path / "cache"), "300"]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        tags = [sorted(map(int, run.communicate(timeout=60)[0].split())) for run in runs]
    assert tags == [list(range(300))] * 2


def test_the_embedded_teacher_is_asked_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hornbook.model.gguf import export
    from tests.model.tiny import tiny_folder

    export(tiny_folder(tmp_path), tmp_path / "tiny.gguf", "F16")
    monkeypatch.setattr("hornbook.services.llm.fetch_teacher", lambda: tmp_path / "tiny.gguf")

    async def run() -> list[str]:
        config = TeacherConfig(max_tokens=8, slots=2)
        async with open_teacher(config, tmp_path / "cache") as teacher:
            return [a.detail or a.model async for a in teacher.answers(questions(5)) if a.failure in ("", "empty")]

    assert asyncio.run(run()) == ["tiny"] * 5


def test_the_command_line_starts_without_the_client() -> None:
    script = "import sys, hornbook.cli; print([m for m in ('aiohttp', 'jsonschema') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert json.loads(done.stdout) == []
