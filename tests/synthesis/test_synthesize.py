"""A section of `synthesis` from the recipe to lessons: real HTTP, real batch files, real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.corpus.builtin import read_lessons
from hornbook.services.batch_files import import_answers
from hornbook.services.llm import default_cache, open_batch
from hornbook.services.llm_config import BudgetConfig
from hornbook.services.request_cache import RequestCache
from hornbook.synthesis.command import print_dry_run, print_written
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.journal import Journal
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.synthesize import JOURNAL, require_whole, synthesize
from tests.services.chat_server import chat_server
from tests.synthesis.canned import clever, dull, reply, teacher_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))


WRITERS = {"exercise": {"items": 6, "votes": 1}, "section": {"items": 4, "revise": True}, "reasoning": 3, "dialogue": 2}


def plan(server, writers=WRITERS, **fields) -> Plan:
    teacher = teacher_of(server, **fields.pop("teacher", {}))
    return Plan("lessons", SynthesisConfig(writers=writers, teacher=teacher, **fields))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_lessons_of_a_good_teacher_are_there_with_their_provenance(tmp_path, capsys):
    with chat_server(clever) as server:
        written = synthesize(plan(server), tmp_path / "store")
        assert (written.planned, written.done, written.accepted) == (15, 15, 15)
        assert sum(server.asked.values()) == 6 * 2 + 4 * 3 + 3 + 2
    items = lines(written.lessons)
    assert Counter(item["kind"] for item in items) == {"exercise": 6, "section": 4, "reasoning": 3, "dialogue": 2}
    exercise = items[0]
    assert "\n# tests\nassert" in exercise["text"] and exercise["evidence"] == {"checks": 4, "votes": "2 of 2"}
    assert {"topic", "subtopic", "level", "words", "function"} <= set(exercise)
    [first, second] = exercise["requests"]
    assert first["prompt"] == "exercise" and second["prompt"] == "solve" and len(first["prompt_hash"]) == 16
    assert first["model"] == "playback" and first["request_id"].startswith("chatcmpl-") and first["key"]
    id, text, about = next(iter(read_lessons(written.lessons)))
    assert id == exercise["id"] and "assert" not in text and about["tests"].startswith("assert")
    section = next(item for item in items if item["kind"] == "section")
    assert section["evidence"]["revised"] and section["text"].startswith("# Counting")
    print_written("lessons", written)
    assert "15 accepted of 15" in capsys.readouterr().out
    quality = json.loads((tmp_path / "store" / "quality.json").read_text())
    assert quality["spent"]["requests"] == 29 and quality["coverage"]["subtopics"] == 160
    assert 0 < quality["diversity"]["distinct_3"] < 1


def test_rubbish_is_counted_by_its_reason_and_nothing_of_it_is_a_lesson(tmp_path):
    with chat_server(dull) as server:
        written = synthesize(plan(server), tmp_path)
    assert written.accepted == 0 and written.done == 15 and sum(written.reasons.values()) == 15
    assert len(written.reasons) > 2 and written.lessons.read_text() == ""
    assert all(entry["answer"] and entry["reason"] for entry in lines(tmp_path / JOURNAL))
    with pytest.raises(HornbookError, match="none of 15 items was accepted"):
        require_whole("lessons", written)


def test_a_second_run_asks_nothing_and_a_larger_plan_asks_for_what_is_new(tmp_path):
    with chat_server(clever) as server:
        first = synthesize(plan(server), tmp_path)
        before = first.lessons.read_bytes()
        asked = sum(server.asked.values())
        assert synthesize(plan(server), tmp_path).lessons.read_bytes() == before
        assert sum(server.asked.values()) == asked
        more = synthesize(plan(server, {**WRITERS, "dialogue": 5}), tmp_path)
        assert sum(server.asked.values()) == asked + 3 and more.accepted == 18
        (tmp_path / JOURNAL).unlink()  # the answers are in the cache
        assert synthesize(plan(server), tmp_path).lessons.read_bytes() == before
        assert sum(server.asked.values()) == asked + 3


def test_the_order_of_answers_leaves_no_trace(tmp_path):
    import asyncio
    import random

    async def slow(exchange):
        await asyncio.sleep(random.random() / 20)
        return exchange.answer(reply(exchange.said))

    with chat_server(slow) as server:
        one = synthesize(plan(server), tmp_path / "a")
        os.environ["HORNBOOK_CACHE"] = str(tmp_path / "other")
        two = synthesize(plan(server), tmp_path / "b")
    assert one.lessons.read_bytes() == two.lessons.read_bytes()


def test_the_budget_stops_it_and_a_larger_one_goes_on(tmp_path):
    small = {"budget": BudgetConfig(requests=10)}
    with chat_server(clever) as server:
        written = synthesize(plan(server, teacher=small), tmp_path)
        assert sum(server.asked.values()) == 10 and 0 < written.done < 15
        with pytest.raises(HornbookError, match="budget"):
            require_whole("lessons", written)
        assert synthesize(plan(server), tmp_path).done == 15
        assert sum(server.asked.values()) == 29


def test_errors_of_the_endpoint_lose_no_item(tmp_path):
    async def shaky(exchange):
        if exchange.times == 1:
            return await exchange.drop()
        return exchange.answer(reply(exchange.said))

    with chat_server(shaky) as server:
        assert synthesize(plan(server, {"section": 5}), tmp_path).accepted == 5


def test_batch_files_in_rounds_give_the_same_lessons_as_an_endpoint(tmp_path, monkeypatch):
    with chat_server(clever) as server:
        direct = synthesize(plan(server), tmp_path / "direct")
        monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "batch-cache"))
        asked = dict(server.asked)
        batched, rounds = plan(server), 0
        while rounds < 10:
            written = synthesize(
                batched, tmp_path / "store", lambda: open_batch(batched.config.teacher, tmp_path / "files")
            )
            if written.done == written.planned:
                break
            rounds += 1
            answers = tmp_path / f"answers-{rounds}.jsonl"
            with answers.open("w") as file:
                for path in sorted((tmp_path / "files").glob("requests-*.jsonl")):
                    for request in lines(path):
                        text = reply(request["body"]["messages"][-1]["content"])
                        message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                        body = {"id": "b", "model": "playback", "choices": [message]}
                        line = {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}}
                        file.write(json.dumps(line) + "\n")
            with RequestCache(default_cache()) as cache:
                import_answers([answers], cache)
        assert rounds == 3  # draft, then critique or vote, then the better draft
        assert dict(server.asked) == asked  # nothing was asked over HTTP
    texts = [[item["text"] for item in lines(w.lessons)] for w in (direct, written)]
    assert texts[0] == texts[1] and len(texts[0]) == 15


RUN = """
import sys
from pathlib import Path
from hornbook.services.llm_config import TeacherConfig
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.synthesize import synthesize
teacher = TeacherConfig(url=sys.argv[1], model="playback", concurrency=4)
writers = {"exercise": {"items": 20, "votes": 1}, "section": {"items": 10, "revise": True}}
synthesize(Plan("lessons", SynthesisConfig(writers=writers, teacher=teacher)), Path(sys.argv[2]))
"""


def test_killed_at_any_moment_it_goes_on_and_asks_nothing_twice(tmp_path):
    import asyncio

    async def steady(exchange):
        await asyncio.sleep(0.02)
        return exchange.answer(reply(exchange.said))

    store = tmp_path / "store"
    with chat_server(steady) as server:
        command = [sys.executable, "-c", RUN, server.url, str(store)]
        kills = 0
        for wait in (3, 14):  # journal lines after which it is killed
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                if (store / JOURNAL).exists() and (store / JOURNAL).read_bytes().count(b"\n") >= wait:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
                time.sleep(0.01)
            process.wait()
        if store.exists():
            with (store / JOURNAL).open("ab") as journal:
                journal.write(b'{"id": "half a li')
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        assert kills >= 1
        asked = sum(server.asked.values())
        assert 70 <= asked <= 70 + 4 * kills  # at most what was in flight at a kill is asked again
        before = (store / "lessons.jsonl").read_bytes()
        other = tmp_path / "other"
        subprocess.run([*command[:-1], str(other)], check=True, stderr=subprocess.DEVNULL)  # all from the cache
        assert sum(server.asked.values()) == asked
    assert (other / "lessons.jsonl").read_bytes() == before and before.count(b"\n") == 30


def test_half_a_line_at_the_end_of_a_journal_is_cut_off(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add({"id": "a", "fingerprint": "1"})
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"id": "b", "finger')
    with Journal(tmp_path / "j") as journal:
        assert journal.knows("a", "1") and not journal.knows("b", "1")
        journal.add({"id": "b", "fingerprint": "2"})
    assert [line["id"] for line in lines(tmp_path / "j")] == ["a", "b"]


def test_a_dry_run_prints_prompts_counts_and_cost_and_asks_nothing(tmp_path, capsys):
    with chat_server(clever) as server:
        made = plan(server, teacher={"prices": {"prompt": 1, "completion": 2}})
        print_dry_run(made)
        assert not server.asked
    shown = capsys.readouterr().out
    assert "Name the function" in shown and "Write a section of a textbook" in shown
    assert "together" in shown and " 29 " in shown and "At most 0.0" in shown


def test_another_prompt_or_option_is_another_item(tmp_path, monkeypatch):
    with chat_server(clever) as server:
        synthesize(plan(server, {"dialogue": 2}), tmp_path)
        asked = sum(server.asked.values())
        synthesize(plan(server, {"dialogue": 2}, temperature=0.3), tmp_path)
        assert sum(server.asked.values()) == asked + 2
