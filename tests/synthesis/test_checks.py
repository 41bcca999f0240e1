"""Verification: code is believed when it was run, its tests were reached, and a trivial solution fails them."""

import pytest

from hornbook.services.sandbox import Limits
from hornbook.synthesis.checks import check_exercise, check_printed, check_snippets, overlap, same_answer
from hornbook.synthesis.diversity import coverage, diversity

GOOD = 'def double(x: int) -> int:\n    """Twice x.\n\n    >>> double(3)\n    6\n    """\n    return 2 * x\n'
TESTS = "assert double(0) == 0\nassert double(-4) == -8\nassert double(5) == 10\n"


def test_a_good_exercise_passes_with_its_checks_counted():
    verdict = check_exercise(GOOD, TESTS)
    assert verdict.reason == "" and verdict.evidence == {"checks": 4}


@pytest.mark.parametrize(
    ("code", "tests", "reason"),
    [
        (GOOD.replace("2 * x", "3 * x"), TESTS, "an example is wrong"),
        (GOOD.replace(">>> double(3)\n    6", "It doubles."), TESTS.replace("10", "11"), "a test fails"),
        (GOOD.replace("2 * x", "2 * y"), TESTS, "code raises NameError"),
        (GOOD.replace("return 2 * x", "while True: pass"), TESTS, "code was stopped: time"),
        (GOOD.replace("return 2 * x", "import os; os._exit(0)"), TESTS, "code was stopped: exit"),
        (GOOD, "import sys\nsys.exit(0)\n" + TESTS, "code was stopped: exit"),
        (GOOD.replace(">>> double(3)\n    6", ""), "def test():\n    assert double(1) == 2\n", "nothing was tested"),
        (GOOD.replace(">>> double(3)\n    6", ""), "if double(1) == 3:\n    assert False\n", "nothing was tested"),
        (GOOD.replace(">>> double(3)\n    6", ""), "for n in []:\n    assert double(n) == 0\n", "nothing was tested"),
        (
            GOOD.replace(">>> double(3)\n    6", ""),
            "assert double(0) == 0\nassert double(0) is not None\n",
            "tests let a trivial solution through",
        ),
        (
            'def first(x, y):\n    """The larger one."""\n    return max(x, y)\n',
            "assert first(2, 1) == 2\nassert first(3, 0) == 3\n",
            "tests let a trivial solution through",
        ),
    ],
)
def test_what_is_wrong_with_an_exercise_is_said(code, tests, reason, monkeypatch):
    monkeypatch.setattr("hornbook.synthesis.checks.LIMITS", Limits(seconds=2.0))
    assert check_exercise(code, tests).reason == reason


def test_methods_of_a_class_are_tested_against_trivial_ones_too():
    code = (
        'class Jar:\n    """Counts."""\n\n    n = 0\n\n    def add(self):\n        self.n += 1\n        return self.n\n'
    )
    assert check_exercise(code, "j = Jar()\nassert j.add() == 1\nassert j.add() == 2\n").reason == ""
    weak = check_exercise(code, "j = Jar()\nassert j.add() == 1\nassert j.n in (0, 1)\n")
    assert weak.reason == "tests let a trivial solution through"


def test_several_solutions_vote():
    right, wrong = GOOD, GOOD.replace("2 * x", "x * x")
    assert check_exercise(GOOD, TESTS, (right, wrong)).evidence["votes"] == "2 of 3"
    assert check_exercise(GOOD, TESTS, (wrong, "raise SyntaxError")).reason == "other solutions fail the tests"


def test_examples_are_compared_as_people_write_them():
    code = '''def halve(x):
    """Half of x.

    >>> halve(3)
    Traceback (most recent call last):
        ...
    ValueError: odd
    >>> [halve(n)
    ...  for n in (2, 4)]
    [1, 2]
    >>> print("a", "b")
    a b
    """
    if x % 2:
        raise ValueError("odd")
    return x // 2
'''
    verdict = check_exercise(code, "assert halve(8) == 4\nassert halve(0) == 0\n")
    assert verdict.reason == "" and verdict.evidence["checks"] == 5


def test_snippets_run_as_one_program_and_must_show_something():
    assert check_snippets(["x = 1", "assert x == 1"]).evidence == {"checks": 1}
    assert check_snippets(["assert x == 1", "x = 1"]).reason == "code raises NameError"
    assert check_snippets(["def f(): return 1"]).reason == "code shows nothing"
    assert check_snippets([">>> 1 + 1\n2\n", "y = 3"]).reason == ""
    assert check_snippets([">>> 1 + 1\n3\n"]).reason == "an example is wrong"


def test_a_comment_behind_a_print_is_a_claim():
    assert check_snippets(["print(2 + 2)  # 4"]).evidence == {"checks": 1}
    assert check_snippets(["print(2 + 2)  # Output: 4"]).evidence == {"checks": 1}
    assert check_snippets(["print(2 + 2)  # 4, and not 5"]).evidence == {"checks": 1}
    assert check_snippets(["print(2 + 2)  # 5"]).reason == "an example is wrong"
    assert check_snippets(["print(2 + 2)  # shows the sum", "assert True"]).reason == ""


def test_an_answer_is_compared_with_what_its_program_prints():
    assert check_printed("print(3 * 4)", "12 cups").reason == ""
    assert check_printed("print('Paris')", "paris.").reason == ""
    assert check_printed("print(13)", "12").reason == "answer is not what the code prints"
    assert check_printed("1 / 0", "12").reason == "code raises ZeroDivisionError"
    assert same_answer("1,200", "1200.0") and not same_answer("", "")


def test_overlap_is_the_share_of_word_runs():
    text = " ".join(f"w{i}" for i in range(40))
    assert overlap(text, text) == 1.0 and overlap(text, "nothing of it " * 9) == 0.0 and overlap("short", text) == 0.0


def test_diversity_tells_varied_texts_from_copies():
    varied = [" ".join(f"w{i * 50 + j}" for j in range(50)) for i in range(20)]
    found, same = diversity(varied), diversity([varied[0]] * 20)
    assert found["distinct_2"] == 1.0 and found["shared_runs"] == 0.0 and found["near_copies"] == 0.0
    assert same["distinct_2"] < 0.1 and same["shared_runs"] == 1.0 and same["near_copies"] == 1.0
    assert same["commonest_opening"] == {"words": "w0 w1 w2", "share": 1.0}
    assert diversity([]) == {} and diversity(reversed(varied)) == found


def test_coverage_counts_the_leaves_of_the_tree():
    leaves = [("a", "x"), ("a", "y"), ("b", "z"), ("b", "w")]
    found = coverage(leaves, [("a", "x"), ("a", "y"), ("a", "x"), ("elsewhere", "q")])
    assert found["subtopics"] == 4 and found["with_items"] == 2 and found["without_items"] == ["z", "w"]
    assert coverage(leaves, leaves)["evenness"] == 1.0
