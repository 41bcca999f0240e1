"""An endpoint that misbehaves in every way loses no request, is paid for none twice, and is not buried."""

import asyncio
import gzip
import random
import re
import time
from pathlib import Path

import pytest
from aiohttp import web

from hornbook.core.errors import HornbookError
from tests.services.chat_server import MODEL, Exchange, ask, chat_server, questions, teacher_of


async def fault(exchange: Exchange, kind: str) -> web.StreamResponse:
    """A bad end of an exchange, none of which is a whole answer."""
    match kind:
        case "storm":
            return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0.01"})
        case "500":
            return web.Response(status=500, text="<h1>oops</h1>")
        case "hang":
            await asyncio.sleep(5)
            return web.Response()
        case "drop":
            return await exchange.drop()
        case "truncated":
            return web.Response(
                body=b'{"id": "x", "choices": [{"message": {"content": "ans', content_type="application/json"
            )
        case "cut off":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(exchange.http)
            await response.write(b'{"choices": [')
            return await exchange.drop()
        case "no choices":
            return web.json_response({"id": "x", "choices": []})
        case "nonsense":
            return web.json_response([{"choices": "many"}, None])
        case "binary":
            return web.Response(body=bytes(range(256)) * 10)
    raise ValueError(kind)


KINDS = ["storm", "500", "hang", "drop", "truncated", "cut off", "no choices", "nonsense", "binary"]
QUICK = [kind for kind in KINDS if kind != "hang"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_delays_an_answer_and_loses_none(tmp_path: Path, kind: str) -> None:
    async def first_fails(exchange: Exchange) -> web.StreamResponse:
        return await fault(exchange, kind) if exchange.times == 1 else exchange.answer()

    with chat_server(first_fails) as server:
        answers, _ = ask(teacher_of(server, timeout=0.3), tmp_path / "cache", questions(20))
    assert sorted(int(a.request.tag) for a in answers) == list(range(20))
    assert not any(a.failure for a in answers) and set(server.paid.values()) == {1}


@pytest.mark.parametrize("kind", ["500", "truncated", "hang"])
def test_a_fault_that_stays_is_a_failure_of_that_request_and_is_asked_again_next_time(
    tmp_path: Path, kind: str
) -> None:
    healed = False

    async def some_fail(exchange: Exchange) -> web.StreamResponse:
        bad = exchange.said in ("q1", "q2") and not healed
        return await fault(exchange, kind) if bad else exchange.answer()

    with chat_server(some_fail) as server:
        config = teacher_of(server, timeout=0.2, attempts=3)
        answers, _ = ask(config, tmp_path / "cache", questions(10))
        assert {a.request.tag: a.failure for a in answers if a.failure} == {"1": "gave up", "2": "gave up"}
        assert server.asked["q1"] == 3
        healed = True
        answers, _ = ask(config, tmp_path / "cache", questions(10))
    assert sum(a.cached for a in answers) == 8 and not any(a.failure for a in answers)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.stress) for seed in range(1, 15))])
def test_all_faults_at_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def anything(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(chance.random() * 0.01)  # so that the order is another
        if exchange.said in ("q7", "q8") and exchange.times == 1:
            return await fault(exchange, "hang")
        if chance.random() < 0.3:
            return await fault(exchange, chance.choice(QUICK))
        return exchange.answer(id="the same", model=chance.choice([MODEL, "another"]))

    with chat_server(anything) as server:
        config = teacher_of(server, timeout=3, attempts=30, concurrency=32)
        answers, _ = ask(config, tmp_path / "cache", questions(300))
        again, _ = ask(config, tmp_path / "cache", questions(300))
    assert {a.request.tag: a.text for a in answers} == {str(i): f"answer to q{i}" for i in range(300)}
    assert sum(server.paid.values()) == 300
    assert all(a.cached for a in again)


def test_the_budget_holds_among_faults(tmp_path: Path) -> None:
    chance = random.Random(1)

    async def anything(exchange: Exchange) -> web.StreamResponse:
        return await fault(exchange, chance.choice(QUICK)) if chance.random() < 0.3 else exchange.answer()

    with chat_server(anything) as server:
        config = teacher_of(server, attempts=30, concurrency=16, budget={"requests": 100})
        answers, teacher = ask(config, tmp_path / "cache", questions(300))
    assert len(answers) == 300 and sum(server.paid.values()) <= 100 and teacher.budget.requests == 100


def test_an_empty_answer_is_a_failure_that_is_paid_once(tmp_path: Path) -> None:
    async def nothing(exchange: Exchange) -> web.StreamResponse:
        if exchange.said == "q0":
            exchange.server.paid["q0"] += 1
            return web.json_response(exchange.completion(None))
        return exchange.answer(" \n")

    with chat_server(nothing) as server:
        for _ in range(2):
            answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(4))
            assert [a.failure for a in answers] == ["empty"] * 4
    assert sum(server.paid.values()) == 4


def peak_mb(anew: bool = False) -> float:
    """The most memory that this process has had; `anew`: from now on."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.parametrize("declared", [True, False])
def test_answers_of_10_mb_are_cut_off_and_do_not_fill_the_memory(tmp_path: Path, declared: bool) -> None:
    async def huge(exchange: Exchange) -> web.StreamResponse:
        exchange.server.paid[exchange.said] += 1
        response = web.StreamResponse(headers={"Content-Length": "10000000"} if declared else {})
        await response.prepare(exchange.http)
        try:
            for _ in range(100):
                await response.write(b"x" * 100_000)
        except ConnectionError:
            pass
        return response

    with chat_server(huge) as server:
        before = peak_mb(anew=True)
        for _ in range(2):
            answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(40))
            assert {a.failure for a in answers} == {"too long"}
        grown = peak_mb() - before
    assert set(server.paid.values()) == {1}
    assert grown < 200, "of 400 MB that were sent"


def test_text_that_no_file_takes_is_kept(tmp_path: Path) -> None:
    async def odd(exchange: Exchange) -> web.StreamResponse:
        return exchange.answer("half \ud800 and nul \x00", usage={"prompt_tokens": -1, "completion_tokens": "many"})

    with chat_server(odd) as server:
        for _ in range(2):
            (answer,), _ = ask(teacher_of(server), tmp_path / "cache", questions(1))
            assert answer.text == "half ? and nul \x00" and answer.usage.completion > 0


def test_an_endpoint_that_takes_few_at_a_time_is_soon_asked_no_more_than_that(tmp_path: Path) -> None:
    refused = 0

    async def few(exchange: Exchange) -> web.StreamResponse:
        nonlocal refused
        if exchange.server.in_flight > 10:
            refused += 1
            return web.Response(status=429)
        await asyncio.sleep(0.005)
        return exchange.answer()

    with chat_server(few) as server:
        answers, _ = ask(teacher_of(server, concurrency=200), tmp_path / "cache", questions(1000))
    assert not any(a.failure for a in answers) and sum(server.paid.values()) == 1000
    assert refused < 500 and server.peak < 100


def test_an_endpoint_with_a_queue_is_not_buried(tmp_path: Path) -> None:
    places = asyncio.Semaphore(8)

    async def queued(exchange: Exchange) -> web.StreamResponse:
        async with places:
            await asyncio.sleep(0.005)
        return exchange.answer()

    with chat_server(queued) as server:
        ask(teacher_of(server, concurrency=256), tmp_path / "cache", questions(1500))
    assert 8 <= server.peak < 128


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    opened = time.monotonic() + 1.0

    async def later(exchange: Exchange) -> web.StreamResponse:
        if time.monotonic() < opened:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return exchange.answer()

    with chat_server(later) as server:
        answers, _ = ask(teacher_of(server), tmp_path / "cache", questions(50))
    assert not any(a.failure for a in answers)
    assert sum(server.asked.values()) <= 50 + 8  # those that were under way when the first refusal came


def test_an_endpoint_that_only_puts_off_is_one_clear_error(tmp_path: Path) -> None:
    async def never(exchange: Exchange) -> web.StreamResponse:
        return web.json_response({"error": {"message": "Loading model"}}, status=503)

    with chat_server(never) as server, pytest.raises(HornbookError, match=r"not answered anything.*Loading model"):
        ask(teacher_of(server, patience=0.3), tmp_path / "cache", questions(50))


def test_a_request_that_is_put_off_for_ever_holds_nobody_up(tmp_path: Path) -> None:
    async def but_one(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(0.005)
        return web.Response(status=503) if exchange.said == "q3" else exchange.answer()

    with chat_server(but_one) as server:
        answers, _ = ask(teacher_of(server, patience=0.5, concurrency=2), tmp_path / "cache", questions(600))
    assert {a.request.tag: a.failure for a in answers if a.failure} == {"3": "gave up"} and len(answers) == 600


def test_a_compressed_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(300_000_000), 1)

    async def explode(exchange: Exchange) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    with chat_server(explode) as server:
        before = peak_mb(anew=True)
        answers, _ = ask(teacher_of(server, attempts=2, concurrency=1), tmp_path / "cache", questions(2))
        grown = peak_mb() - before
    assert all(a.failure in ("too long", "gave up") for a in answers)
    assert grown < 150, "of 300 MB"
