from typing import Any

import pytest

from hornbook.report.sentences import ONE_SEED, kind, verdict_sentence

FLAGS = ("beyond", "below", "low_beyond", "low_below", "high_beyond", "high_below")


def times(arm: str, value: float, low: float, high: float, *flags: str, **more: Any) -> dict[str, Any]:
    row = {"set": "humaneval", "arm": arm, "multiplier": value, "low": low, "high": high, **more}
    return row | {flag: flag in flags for flag in FLAGS}


def difference(arm: str, value: float, half: float = 0.01) -> dict[str, Any]:
    row = {"set": "humaneval", "arm": arm, "base": "textbook", "value": value}
    return row | {"low": value - half, "high": value + half, "decided": abs(value) > half}


def judged(**more: Any) -> dict[str, Any]:
    """A verdict of three seeds in which textbook is best, with what a test needs beside."""
    arms = {"raw": 2.5, "curated": 2.3, "textbook": 2.1}
    return {
        "reference_arm": "raw",
        "reference_budget": 600_000,
        "verdict_set": "humaneval",
        "choice_sets": ["programs", "helpers"],
        "best_arm": "textbook",
        "choice": arms,
        "seeds": [0, 1, 2],
        "sets": {"humaneval": {"texts": 164, "bytes": 29_662}},
        "multipliers": [times("curated", 1.9, 1.7, 2.2), times("textbook", 3.1, 2.8, 3.4)],
        "curves": [{"set": "humaneval", "arm": arm, "budget": 600_000} for arm in arms],
        **more,
    }


def said(*rivals: dict[str, Any], **more: Any) -> str:
    return verdict_sentence(judged(**more), rivals).replace("\u00a0", " ").replace("\u2212", "-")


def test_the_multiplier_of_the_best_arm_with_its_interval() -> None:
    assert said() == (
        "On HumanEval, 0.6 M tokens of textbook are worth 3.1 times as many tokens of raw "
        "(95 % interval 2.8 to 3.4, over 164 texts and 3 seeds)."
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            times("textbook", 4, 4, 4, "beyond", "low_beyond", "high_beyond"),
            ["worth at least 4.0", "interval: at least"],
        ),
        (times("textbook", 4, 3.2, 4, "beyond", "high_beyond"), ["worth at least 4.0", "interval 3.2 to at least 4.0"]),
        (times("textbook", 0.5, 0.5, 0.7, "below", "low_below"), ["textbook is worse than raw", "at most 0.50 times"]),
        (times("textbook", 0.8, 0.7, 0.9), ["textbook is worse than raw", "worth 0.80 times", "0.70 to 0.90"]),
        (times("textbook", 1.1, 0.96, 1.2), ["textbook is not distinguishable from raw", "1.1 times", "0.96 to 1.2"]),
        (times("textbook", 1, 1, 1, "beyond", "low_beyond", "high_beyond"), ["worth at least 1.0 times"]),
        (times("textbook", 1, 1, 1, "below", "low_below", "high_below"), ["worth at most 1.0 times"]),
    ],
)
def test_bounds_are_bounds_and_an_interval_with_one_in_it_decides_nothing(row: dict, words: list[str]) -> None:
    sentence = said(multipliers=[row])
    assert all(word in sentence for word in words), sentence
    assert ("not distinguishable" in sentence) == ("not distinguishable" in words[0])
    assert ("worse" in sentence) == ("worse" in words[0])


def test_no_arm_better_than_the_reference_is_said_with_the_next_one() -> None:
    sentence = said(best_arm="raw", choice={"raw": 2.0, "curated": 2.2, "textbook": 2.1})
    assert sentence.startswith(
        "No arm is better than raw on the sets that choose (programs, helpers); the next is textb"
    )
    assert "95 % interval 2.8 to 3.4" in sentence


def test_one_seed_is_indicative() -> None:
    assert said(seeds=[0]).endswith(f"over 164 texts). {ONE_SEED}")
    assert ONE_SEED not in said()


SWEEP = {"setting": "lesson_share", "values": {f"t-{x}": x for x in (0.0, 0.2, 0.3, 0.5, 0.8)}}


def swept(*rivals: dict[str, Any], **more: Any) -> str:
    choice = {"raw": 2.5} | {arm: 2.0 + abs(x - 0.3) for arm, x in SWEEP["values"].items()}
    curves = [{"set": "humaneval", "arm": arm, "budget": 600_000} for arm in choice]
    return said(*rivals, **({"sweep": SWEEP, "best_arm": "t-0.3", "choice": choice, "curves": curves} | more))


def test_a_sweep_names_the_neighbours_that_are_not_distinguishable() -> None:
    rivals = [
        difference("t-0.0", 0.1),
        difference("t-0.2", 0.002),
        difference("t-0.5", 0.004),
        difference("t-0.8", 0.2),
    ]
    sentence = swept(*rivals)
    assert sentence.startswith("The best value of lesson_share is 0.3, chosen on programs, helpers, but on HumanEval ")
    assert "0.2 to 0.5 are not distinguishable" in sentence
    assert "the closest, 0.2, differs by +0.002 [-0.008, +0.012]" in sentence
    rivals[0] = difference("t-0.0", 0.001)
    rivals[1] = difference("t-0.2", 0.1)
    assert "0, 0.3 and 0.5 are not distinguishable" in swept(*rivals)


def test_a_sweep_with_a_winner_says_so_and_one_beaten_on_the_test_too() -> None:
    rivals = [difference(arm, 0.1) for arm in SWEEP["values"] if arm != "t-0.3"]
    assert "on HumanEval every other value is worse" in swept(*rivals)
    rivals[0] = difference("t-0.0", -0.1)
    assert "but on HumanEval better than it: 0 by -0.100 [-0.110, -0.090]" in swept(*rivals)
    assert "every other value" not in swept(*rivals)
    worse = {"raw": 1.0} | dict.fromkeys(SWEEP["values"], 2.0)
    assert "where none is better than raw" in swept(*rivals, choice=worse)


def test_a_sweep_whose_pairs_are_unknown_says_that() -> None:
    assert "how far the other values are from it was not measured" in swept()


def test_leaving_one_out_counts_what_helps_hurts_and_is_open() -> None:
    rows = [difference("no-lessons", 0.05), difference("no-rules", -0.03), difference("no-leaks", 0.001)]
    sentence = said(differences=[difference("raw", 0.4), *rows])
    assert "of 3 decisions about the data of textbook" in sentence and "raw" not in sentence
    assert "1 is decided to help (lessons +0.050 [+0.040, +0.060])" in sentence
    assert "1 is decided to hurt (rules -0.030 [-0.040, -0.020])" in sentence
    assert "1 is open (leaks +0.001 [-0.009, +0.011])" in sentence
    sentence = said(differences=rows[2:])
    assert "of 1 decision about" in sentence and "none is decided to help, none is decided to hurt" in sentence
    assert kind(judged(differences=[*rows, difference("curated", 0.1)])) == "arms"


def laddered(*rows: dict[str, Any], **more: Any) -> str:
    arms = {"raw": 2.5, "raw-4m": 2.2, "textbook": 2.1, "textbook-4m": 2.0}
    ladder = {"data": {"raw-4m": "raw", "textbook-4m": "textbook"}}
    curves = [{"set": "humaneval", "arm": arm, "budget": 600_000} for arm in arms]
    return said(parameter_multipliers=list(rows), **({"ladder": ladder, "choice": arms, "curves": curves} | more))


def parameters(value: float, low: float, high: float, *flags: str, size: int = 1_300_000) -> dict[str, Any]:
    return times("", value, low, high, *flags, data="textbook", parameters=size, budget=600_000)


def test_a_ladder_says_how_many_times_more_parameters() -> None:
    large = parameters(1, 1, 1, "beyond", "low_beyond", "high_beyond", size=5_200_000)
    sentence = laddered(parameters(2.0, 1.7, 2.4), large)
    assert "a model of 1.3 M parameters trained on 0.6 M tokens of textbook is as good as a model of 2.0 times as " in (
        sentence
    )
    assert "trained on raw (95 % interval 1.7 to 2.4, over 164 texts and 3 seeds)" in sentence
    assert "at least 1.0 times as many parameters" in laddered(large)
    assert "is only as good as a model of 0.50 times" in laddered(parameters(0.5, 0.4, 0.7))
    assert "is not distinguishable from its equal in size trained on raw" in laddered(parameters(1.1, 0.9, 1.3))


def test_a_ladder_in_which_the_reference_is_best_says_so() -> None:
    sentence = laddered(parameters(0.5, 0.4, 0.7), best_arm="raw")
    assert sentence.startswith("No data is better than raw on the sets that choose; the next is textbook: on HumanEval")


def test_a_ladder_of_too_few_sizes_falls_back_to_tokens() -> None:
    assert "are worth 3.1 times as many tokens of raw" in laddered()
