"""The neutral sets: well formed; every text written for them is a program that runs and keeps its doctests."""

import doctest
import json
import sys
import types
from pathlib import Path

import pytest

import hornbook.evaluation

FOLDER = Path(hornbook.evaluation.__file__).parent / "neutral"
WRITTEN = {"programs": 80, "explained": 50}  # the least number of texts
SETS = {**WRITTEN, "helpers": 100}


def items(name: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def load(item: dict, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Execute a text as a module that is not the main one, so that scripts with a `main` only define it."""
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # dataclasses look their module up
    exec(compile(item["prompt"] + item["text"], item["id"], "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("name", SETS)
def test_schema(name):
    rows = items(name)
    assert len(rows) >= SETS[name]
    assert [row["id"] for row in rows] == [f"{name}/{i:03d}" for i in range(1, len(rows) + 1)]
    for row in rows:
        assert set(row) == {"id", "prompt", "text"} | ({"source", "path", "license"} if name == "helpers" else set())
        assert all(isinstance(value, str) for value in row.values())
        assert row["text"].strip() and row["text"].endswith("\n")
    assert len({row["prompt"] + row["text"] for row in rows}) == len(rows)


def test_what_each_set_holds():
    for row in items("programs"):
        assert "def " in row["prompt"] or "class " in row["prompt"], row["id"]
        assert '"""' in row["prompt"] and row["prompt"].endswith("\n"), row["id"]
    notice = (FOLDER / "NOTICE").read_text()
    for row in items("helpers"):
        assert '"""' in row["prompt"] and 100 <= len(row["text"]) <= 700, row["id"]
        assert row["source"] in notice and row["license"] in notice
        compile(row["prompt"] + row["text"], row["id"], "exec")
    for row in items("explained"):
        assert row["prompt"] == "" and 300 <= len(row["text"]) <= 1500, row["id"]
        assert "#" in row["text"] or '"""' in row["text"], row["id"]


@pytest.mark.parametrize("item", [row for name in WRITTEN for row in items(name)], ids=lambda row: row["id"])
def test_runs(item, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    module = load(item, monkeypatch)
    failed, _ = doctest.testmod(module)
    assert failed == 0, capsys.readouterr().out


def defining(name: str) -> dict:
    return next(row for row in items("programs") if name in row["prompt"])


def test_programs_without_examples(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    parse_log_line = load(defining("def parse_log_line"), monkeypatch).parse_log_line
    fields = parse_log_line("2024-03-01 12:30:05 [WARNING] disk: only 3% left\n")
    assert (fields["level"], fields["message"]) == ("WARNING", "only 3% left")
    assert parse_log_line("no log") == {}

    account = load(defining("class BankAccount"), monkeypatch).BankAccount
    a, b = account("a", 10), account("b")
    a.transfer(b, 4)
    assert (a.balance, b.balance) == (6, 4)
    with pytest.raises(ValueError):
        a.transfer(b, 40)

    read_config = load(defining("def read_config"), monkeypatch).read_config
    assert read_config("a=1\n# x\n[db]\nhost = h\n") == {"main": {"a": "1"}, "db": {"host": "h"}}

    build_order = load(defining("def build_order"), monkeypatch).build_order
    assert build_order({"app": ["lib", "ui"], "ui": ["lib"], "lib": []}) == ["lib", "ui", "app"]
    with pytest.raises(ValueError):
        build_order({"a": ["b"], "b": ["a"]})

    schedule = load(defining("def schedule"), monkeypatch).schedule
    for teams in ("abcd", "abcde"):
        games = [frozenset(game) for games in schedule(list(teams)) for game in games]
        assert len(games) == len(set(games)) == len(teams) * (len(teams) - 1) // 2

    loan_plan = load(defining("def loan_plan"), monkeypatch).loan_plan
    assert loan_plan(200, 0.12, 101) == [(1, 2.0, 101.0), (2, 1.01, 1.01), (3, 0.01, 0)]

    unique_name = load(defining("def unique_name"), monkeypatch).unique_name
    for expected in ("a.txt", "a (1).txt", "a (2).txt"):
        path = unique_name(tmp_path, "a.txt")
        path.touch()
        assert path.name == expected
