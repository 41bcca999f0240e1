import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from hornbook.report.attack import holm, weak_points
from hornbook.report.comparison import render, sentence
from hornbook.report.conditions import differed, equal
from hornbook.report.config import ReportConfig
from hornbook.report.page import report_step
from hornbook.report.pairs import rivals
from hornbook.report.results import read_steps, results, run_steps, verdict
from tests.report.sample_run import folders
from tests.report.test_page import check_balance


@pytest.fixture(scope="module")
def pages(compared: dict[str, Path], sample: Path) -> dict[str, str]:
    runs = compared | {"arms": sample}
    return {kind: render(run_steps(run), ReportConfig(title=kind)) for kind, run in runs.items()}


def words(page: str, part: str = "") -> str:
    """What a reader sees of a page, or of the section with this id."""
    if part:
        page = re.split(r"<h2", page[page.index(f'id="{part}"') :])[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_step_writes_the_page_beside_the_report_and_they_link_to_each_other(sample: Path, tmp_path: Path) -> None:
    report_step(folders(sample), tmp_path, ReportConfig(title="sample"))
    assert 'href="comparison.html"' in (tmp_path / "report.html").read_text()
    assert 'href="report.html"' in (tmp_path / "comparison.html").read_text()


def test_the_page_needs_nothing_but_itself(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert set(re.findall(r'(?:src|href)="([^#"][^"]*)"', page)) == {"report.html"}
        assert "<script" not in page and "@import" not in page and "url(http" not in page
        check_balance(page)
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_verdict_stands_on_top_with_its_numbers(pages: dict[str, str], sample: Path) -> None:
    row = next(
        row
        for row in verdict(run_steps(sample))["multipliers"]
        if (row["set"], row["arm"]) == ("humaneval", "textbook")
    )
    head = words(pages["arms"][pages["arms"].index("<h1") : pages["arms"].index("</h1>")])
    for key in ("multiplier", "low", "high"):
        assert f"{row[key]:.1f}" in head
    assert "one seed says nothing of luck" in head and "120 texts" in head


def test_a_sweep_is_judged_by_pairs_with_the_best_value(pages: dict[str, str], compared: dict[str, Path]) -> None:
    steps = run_steps(compared["sweep"])
    judged = verdict(steps)
    rows = {row["arm"]: row for row in rivals(steps, judged)}
    assert set(rows) == {"mix-0", "mix-0.2", "mix-0.5", "mix-0.8"}
    assert all(row["base"] == "mix-0.3" for row in rows.values())
    known = next(row for row in judged["differences"] if (row["set"], row["arm"]) == ("humaneval", "mix-0.3"))
    assert rows["mix-0"]["value"] == pytest.approx(-known["value"])  # the verdict has this pair the other way round
    assert "0.2 to 0.5 are not distinguishable" in sentence(steps, judged)
    assert pages["sweep"].count("by lesson_share") == 4 and "0.2 to 0.5" in words(pages["sweep"])


def test_without_one_decision(pages: dict[str, str]) -> None:
    page = pages["leave-one-out"]
    assert "1 is decided to help (classifier" in words(page) and "1 is open (decontamination" in words(page)
    assert page.count("Differences from textbook on") == 4


def test_a_ladder_shows_sizes_the_law_and_what_was_executed(pages: dict[str, str], compared: dict[str, Path]) -> None:
    page, judged = pages["ladder"], verdict(run_steps(compared["ladder"]))
    assert "Bits per byte on humaneval by parameters, at 2400000 tokens" in page
    assert "a model of 0.33 M parameters" in words(page)
    law = {row["set"]: row for row in judged["law"]}
    assert law["humaneval"]["identified"] and not law["explained"]["identified"]
    assert page.count("Predicted against measured") == 3  # one set has a note instead
    assert law["explained"]["note"] in words(page, "law")
    assert f"{law['humaneval']['data_multiplier']['textbook']['value']:.3g}" in words(page, "law")
    row = next(row for row in judged["executed"] if row["arm"] == "raw")
    assert f"{100 * row['pass_rate']:.1f} %" in words(page, "executed")
    assert "The same at other budgets" in words(page, "ladder")


def test_the_table_of_arms_has_cost_and_repetition(pages: dict[str, str]) -> None:
    table = words(pages["arms"], "arms")
    assert "lessons 204 331" in table and "6 × parameters × tokens" in table
    assert "classifier" in table and "0.8" in table  # 48.2 seconds of training
    counted = words(pages["leave-one-out"], "arms")
    assert f"{6 * 1_330_000 * 688_128 * 2:.1e}" in counted, "FLOPs of two seeds"


def test_equal_settings_are_those_that_all_arms_share(compared: dict[str, Path]) -> None:
    same = equal(run_steps(compared["ladder"]))
    assert same["training"]["context"] == 512 and same["training"]["optimizer.muon_lr"] == 0.01
    assert "seed" not in same["training"] and "model.hidden_size" not in same["training"]
    assert same["tokenizers"] == ["a1b2c3"] and same["choices"]["dtype"] == "bfloat16"


def test_only_keys_that_differ_from_the_base_arm_are_listed(compared: dict[str, Path], pages: dict[str, str]) -> None:
    arms = ("raw", "textbook", "no-classifier", "no-passage-rules", "no-decontamination")
    found = differed(run_steps(compared["leave-one-out"]), arms, "textbook")
    rows = {arm: [tuple(row.values()) for row in found[arm]] for arm in found}
    assert "textbook" not in rows
    assert rows["no-passage-rules"] == [("curation.passage_rules", "enabled", False, True)]
    assert rows["no-decontamination"] == [("curation.decontamination", "", "not used", "used")]
    assert rows["no-classifier"] == [
        ("curation.select", "filter", "rules", "classifier"),
        ("curation.scores", "", "not used", "used"),
    ]
    assert ("training", "budgets", [300_000, 600_000, 1_200_000, 2_400_000], [600_000]) in rows["raw"]
    assert "curation.passage_rules enabled: false textbook: true" in words(pages["leave-one-out"], "equal")


def test_an_arm_that_takes_the_variant_of_another_is_compared_by_it(compared: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(compared["leave-one-out"] / "steps", tmp_path / "steps")
    path = tmp_path / "steps" / "curation.select.no-decontamination" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["inputs"]["rules"] = "identity of curation.passage_rules.no-passage-rules"
    path.write_text(json.dumps(manifest))
    found = differed(run_steps(tmp_path), ["no-decontamination"], "textbook")["no-decontamination"]
    assert {"where": "curation.passage_rules", "key": "enabled", "value": False, "base": True} in found


def test_an_arm_with_the_data_of_another_is_compared_by_what_that_selects(sample: Path, tmp_path: Path) -> None:
    shutil.copytree(sample / "steps", tmp_path / "steps")
    for name in ("tokenization.curated", "training.raw"):
        folder = tmp_path / "steps" / name
        folder.mkdir(exist_ok=True)
        file = folder / "manifest.json"
        manifest = json.loads(file.read_text()) if file.exists() else {"name": name, "counters": {}, "inputs": {}}
        manifest |= {"identity": "same"} if name.startswith("token") else {"inputs": {"tokens": "same"}}
        file.write_text(json.dumps(manifest))
    rows = differed(run_steps(tmp_path), ["raw"], "curated")["raw"]
    assert not [row for row in rows if row["key"] == "filter"]


def test_weak_points_are_those_that_apply(compared: dict[str, Path], sample: Path) -> None:
    steps = run_steps(sample)
    points = dict(weak_points(steps, verdict(steps)))
    assert "One seed" in points and "One size of model" not in points
    assert "Random raw passages" in points["textbook loses to raw on 1 set"]
    assert "textbook" in points["Sets that choose are close to the lessons"]
    assert "Neutral helper functions" in points["Sets that choose are close to the lessons"]
    assert "Repeated data" not in points and "Few texts" not in " ".join(points)
    steps = run_steps(compared["leave-one-out"])
    points = dict(weak_points(steps, verdict(steps)))
    assert "One seed" not in points and "Neutral explained code (59)" in points["Fewer than 100 texts in 2 sets"]
    assert "3 of 3 stay decided" in points["4 tests"]
    assert re.search(
        r"no-decontamination: [\d\u202f]+ (seeds|texts)", points["1 of 4 differences from textbook not decided"]
    )
    steps = run_steps(compared["ladder"])
    points = dict(weak_points(steps, verdict(steps)))
    assert "One size of model" not in points and "alpha is not known" in points["The law is not pinned down"]


def test_repeated_data_longer_training_and_mixed_versions_are_found(compared: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(compared["sweep"] / "steps", tmp_path / "steps")
    path = tmp_path / "steps" / "training.mix-0.5" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["counters"]["epochs"] = {"corpus": 0.4, "lessons": 7.25}
    manifest["config"]["finetune"] = {"start_from": "raw", "tokens": 50_000}
    manifest["versions"] = {"torch": "2.14.0"}
    manifest["inputs"]["tokenizer"] = "another"
    path.write_text(json.dumps(manifest))
    steps = run_steps(tmp_path)
    points = dict(weak_points(steps, verdict(steps)))
    assert "mix-0.5 reads lessons 7.2 times" in points["Repeated data"]
    assert "mix-0.5 by 50 k tokens on top of raw" in points["Arms that were trained longer"]
    assert "torch 2.13.0, 2.14.0" in points["Steps made with different versions"]
    assert "2 tokenizers" in points["Different tokenizers"]
    page = render(steps, ReportConfig(title="mixed"))
    assert "training finetune.start_from: raw mix-0: not set" in words(page, "equal")


def test_holm_is_kinder_than_bonferroni_and_keeps_the_order() -> None:
    found = holm({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.5})
    assert found == pytest.approx({"b": 0.04, "c": 0.09, "a": 0.09, "d": 0.5})
    assert holm({}) == {}


def test_cost_is_told_by_station_with_the_overhead_of_the_verdict(pages: dict[str, str]) -> None:
    cost = words(pages["arms"], "cost")
    assert "evaluation 44.0 s + ablation 2.0 s, over 3 min 13 s of training: 24 %" in cost
    assert "812 MB" in cost
    assert re.search(r"\d+ steps, seed 0\.", words(pages["arms"], "repeat"))


def test_parts_without_data_are_left_out(pages: dict[str, str], compared: dict[str, Path], tmp_path: Path) -> None:
    for part in ("sweep", "ladder", "law", "executed", "decisions"):
        assert f'id="{part}"' not in pages["arms"]
    steps = read_steps({"ablation.verdict": compared["ladder"] / "steps" / "ablation.verdict"})
    page = render(steps, ReportConfig(title="alone"))
    assert "What they were trained on" not in page and 'id="ladder"' in page
    old = tmp_path / "ablation.verdict"
    shutil.copytree(compared["ladder"] / "steps" / "ablation.verdict", old)
    judged = json.loads((old / "verdict.json").read_text())
    for key in ("parameter_multipliers", "law", "executed", "executed_differences", "ladder", "sweep", "differences"):
        del judged[key]
    for row in judged["curves"]:
        del row["parameters"]
    (old / "verdict.json").write_text(json.dumps(judged))
    page = render(read_steps({"ablation.verdict": old}), ReportConfig(title="old"))
    assert 'id="ladder"' not in page and 'id="against"' not in page and "are worth 2.5 times" in words(page)
    assert "The arms have not been compared yet" in render({}, ReportConfig(title="none"))


def test_results_hold_the_tables_of_the_ladder(compared: dict[str, Path]) -> None:
    steps = run_steps(compared["ladder"])
    found, judged = results(steps), verdict(steps)
    for key in ("parameter_multipliers", "law", "executed", "executed_differences"):
        assert found[key] == judged[key] and found[key]
        assert key not in found["comparison"]
    assert found["comparison"]["ladder"]["data"]["textbook-small"] == "textbook"


def test_the_report_of_every_kind_says_the_verdict_and_links_to_the_page(
    compared: dict[str, Path], tmp_path: Path
) -> None:
    for kind, run in compared.items():
        out = tmp_path / kind
        out.mkdir()
        report_step(folders(run), out, ReportConfig(title=kind))
        report, steps = (out / "report.html").read_text(), run_steps(run)
        check_balance(report)
        assert sentence(steps, verdict(steps)) in unescape(report) and 'href="comparison.html"' in report
