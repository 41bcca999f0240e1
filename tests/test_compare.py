"""`hornbook compare`: arms of one recipe over several seeds, and the base arm without each of its decisions."""

import json

from tests.miniature import hornbook


def test_compare_runs_the_arms_over_seeds_and_tells_what_is_decided(workspace):
    command = ("compare", "recipe.yaml", "--arms", "curated,textbook", "--seeds", "2", "--run", "compared")
    done = hornbook(*command, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "against textbook" in done.stdout and "difference, 95 %" in done.stdout
    assert "corpus.files" in done.stdout and done.stdout.count("training.curated") == 2
    results = json.loads((workspace / "compared" / "results.json").read_text())
    assert results["comparison"]["seeds"] == [0, 1] and results["comparison"]["note"] == ""
    rows = {(row["set"], row["arm"]): row for row in results["differences"]}
    row = rows["humaneval", "curated"]
    assert row["base"] == "textbook" and row["low"] <= row["value"] <= row["high"]
    assert list(results["arms"]) == ["raw", "curated", "textbook"]
    page = (workspace / "compared" / "comparison.html").read_text()
    assert "Against textbook" in page and "2 seeds" in page
    again = hornbook(*command, cwd=workspace)
    assert "Nothing to do" in again.stdout


def test_sweep_draws_a_plot_per_set(workspace):
    command = ("sweep", "recipe.yaml", "curated", "top_share=0.1,0.5", "--run", "swept")
    done = hornbook(*command, cwd=workspace)
    assert done.returncode == 0, done.stderr
    page = (workspace / "swept" / "comparison.html").read_text()
    assert 'id="sweep"' in page and "humaneval by top_share. 0.1:" in page
    results = json.loads((workspace / "swept" / "results.json").read_text())
    assert results["comparison"]["sweep"]["values"] == {"curated-0.1": 0.1, "curated-0.5": 0.5}
    assert results["arms"]["curated-0.1"]["epochs"]["corpus"] > results["arms"]["curated-0.5"]["epochs"]["corpus"]


def test_a_ladder_tells_how_much_larger_a_model_must_be(workspace):
    command = ("ladder", "recipe.yaml", "--sizes", "0.3M,1M", "--budgets", "4_000", "--run", "laddered")
    done = hornbook(*command, cwd=workspace)
    assert done.returncode == 0, done.stderr
    results = json.loads((workspace / "laddered" / "results.json").read_text())
    sizes = {row["arm"]: row["parameters"] for row in results["bits_per_byte"]}
    assert len({sizes[name] for name in ("curated", "curated-0.3m", "curated-1m")}) == 3
    assert sizes["raw-1m"] == sizes["curated-1m"]
    rows = {(row["set"], row["data"], row["parameters"], row["budget"]) for row in results["parameter_multipliers"]}
    assert {("humaneval", "curated", size, budget) for size in set(sizes.values()) for budget in (4000, 8000)} <= rows
    assert {row["set"] for row in results["law"]} == set(results["comparison"]["sets"])
    assert {row["arm"] for row in results["differences"]} == {"raw"}  # never across sizes
    assert (workspace / "laddered" / "comparison.html").exists()
    assert len(list((workspace / "laddered" / "models").glob("curated*"))) == 3
