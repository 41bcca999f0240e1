import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from hornbook.report.config import ReportConfig
from hornbook.report.html import clean, duration, percent, signed, size
from hornbook.report.page import report_step
from hornbook.report.plots import differences, learning_curves, short_number, standalone
from tests.report.sample_run import ARMS, RATES, folders

VOID = {"meta", "br", "hr", "path", "use", "rect", "img", "input", "line", "circle", "polygon"}


@pytest.fixture(scope="module")
def out(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    report_step(folders(sample), out, ReportConfig(title="sample"))
    return out


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    return (out / "report.html").read_text()


def test_the_verdict_stands_at_the_top(page: str, out: Path) -> None:
    verdict = json.loads((out / "results.json").read_text())["comparison"]
    headline = re.sub(r"<[^>]*>", "", page[page.index("<h1>") : page.index("</h1>")])
    assert verdict["best_arm"] == "textbook" and headline.startswith("textbook: worth")
    assert "the raw tokens [" in headline
    assert "indicative, one seed" in page


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert set(re.findall(r'(?:src|href)="([^#"][^"]*)"', page)) == {"comparison.html"}
    assert "<script" not in page and "@import" not in page and "url(http" not in page
    assert len(page) < 600_000


def test_every_section_is_there(page: str) -> None:
    for section in ("curves", "way", "passages", "classifier", "completions", "llama", "leaks", "steps", "versions"):
        assert f'id="{section}"' in page
    assert page.count("<svg") == 3 + 2  # learning curves; scores and calibration
    assert "leak: humaneval HumanEval/31" in page
    for words in ("generated <b>1</b>", "7 of 8<small>", "Q8_0", "torch 2.13.0", "412 345", "files left out, 5 folds"):
        assert words.replace(" ", "\u202f" if words[0] == "4" else " ") in page


def test_texts_of_documents_and_models_cannot_break_the_page(page: str) -> None:
    assert "&lt;/pre&gt;&lt;script&gt;alert" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", page)
    assert clean("a\x00\ud800b") == "a\ufffd?b"
    assert clean("x" * 5000).endswith("…")


def check_balance(page: str) -> None:
    """Every tag of a page is closed where it should be."""

    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in VOID:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in VOID:
                assert self.open.pop() == tag, (tag, self.getpos())

    checker = Checker()
    checker.feed(page)
    assert checker.open == []


def test_tags_are_balanced(page: str) -> None:
    check_balance(page)


def test_plots_take_the_colours_of_the_page_and_keep_their_text(page: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert all("var(--arm-0)" in plot and "training tokens" in plot for plot in plots[:3])
    assert not re.search(r"#0[12]0[12][0-9a-f]{2}", page)
    assert not re.search(r"(fill|stroke): #000000", page), "a plot with a colour that vanishes in the dark"
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_plots_keep_the_digits_of_their_text() -> None:
    row = {"set": "humaneval", "arm": "a", "base": "b", "value": 0.004, "low": 0.003, "high": 0.005, "decided": True}
    svg = differences({"reference_arm": "raw", "differences": [row]}, "humaneval")
    assert re.search(r">0\.00[1-9]\d*</text>", svg)
    assert not re.search(r'[ "]\d+\.\d{3}', re.sub(r'aria-label="[^"]*"', "", svg))


def test_a_plot_alone_is_a_picture_with_its_own_colours_and_legend(sample: Path) -> None:
    judged = json.loads((sample / "steps" / "ablation.verdict" / "verdict.json").read_text())
    picture = standalone(learning_curves(judged, "humaneval", ARMS), ARMS)
    fromstring(picture)  # it is XML
    assert set(re.findall(r"var\(--([\w-]+)\)", picture)) <= set(re.findall(r"--([\w-]+):", picture))
    assert all(f">{arm}</text>" in picture for arm in ARMS)


def test_results_hold_every_number(out: Path) -> None:
    results = json.loads((out / "results.json").read_text())
    measured = {(row["set"], row["arm"], row["budget"], row["seed"]) for row in results["bits_per_byte"]}
    assert len(measured) == len(RATES) * (4 + 2 + 2 + 2)
    for name in RATES:
        assert list(results["verdict"][name]) == [arm for arm in ARMS if arm != "raw"]
        for row in results["verdict"][name].values():
            assert row["low"] <= row["multiplier"] <= row["high"]
    assert results["classifier"]["cross_validation"]["metrics"]["spearman_edu"]["value"] == 0.83
    assert "out_of_fold" not in results["classifier"]
    steps = {row["name"]: row for row in results["steps"]}
    assert steps["training.raw"]["seconds"] == 48.2 and steps["training.raw"]["peak_memory_mb"] == 812.5
    assert steps["curation.passage_rules"]["dropped"]["held out for evaluation"] == 5
    assert steps["corpus.files"]["bytes_out"] == 182_000_000
    assert results["arms"]["textbook"]["epochs"].keys() == {"corpus", "lessons"}
    assert results["leaks"] == {"leak: humaneval": 1}
    assert results["versions"]["torch"] == "2.13.0"


@pytest.mark.parametrize(
    "kept",
    [
        (),
        ("corpus.files", "corpus.passages", "curation.passage_rules"),
        ("curation.scores", "curation.validation"),
        ("ablation.verdict",),
        ("deployment.export", "curation.decontamination"),
    ],
)
def test_sections_without_their_step_are_left_out(sample: Path, tmp_path: Path, kept: tuple[str, ...]) -> None:
    some = {name: folder for name, folder in folders(sample).items() if name in kept}
    report_step(some, tmp_path, None)
    page = (tmp_path / "report.html").read_text()
    assert ('id="curves"' in page) == ("ablation.verdict" in kept)
    assert ('id="way"' in page) == any(name.startswith(("corpus.", "curation.")) for name in kept)
    assert ('id="llama"' in page) == ("deployment.export" in kept)
    assert json.loads((tmp_path / "results.json").read_text())["leaks"] == (
        {"leak: humaneval": 1} if "curation.decontamination" in kept else None
    )


def test_the_same_run_gives_the_same_page(sample: Path, tmp_path: Path, page: str) -> None:
    report_step(folders(sample), tmp_path, ReportConfig(title="sample"))
    assert (tmp_path / "report.html").read_text() == page


def test_numbers_are_written_for_people() -> None:
    assert [short_number(x) for x in (0.5, 950, 4_000, 300_000, 2_400_000)] == ["0.5", "950", "4 k", "0.3 M", "2.4 M"]
    assert [duration(x) for x in (3.14, 125, 3730, None)] == ["3.1 s", "2 min 05 s", "1 h 02 min", "–"]
    assert [size(x) for x in (999, 1500, 182_000_000, None)] == ["999 B", "1.5 kB", "182 MB", "–"]
    assert [signed(x) for x in (0.0312, -0.5, -0.0001)] == ["+0.031", "\u22120.500", "+0.000"]
    shares = (1, 0.99997, 0.5, 0.034, 0.0002, 0)
    texts = ["100 %", "99.9 %", "50 %", "3.4 %", "< 0.1 %", "0 %"]
    assert [percent(x).replace("\u00a0", " ") for x in shares] == texts
