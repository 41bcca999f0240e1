"""Reading sloppy answers: whatever holds Python gives it up; what does not is nothing."""

import pytest

from hornbook.synthesis.answers import (
    is_refusal,
    python_blocks,
    python_code,
    repeats_itself,
    without_preamble,
)

CODE = "def f(x):\n    return x + 1"
TESTS = "assert f(1) == 2"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{CODE}\n```\n\n```python\n{TESTS}\n```",
        f"Sure! Here you go:\n\n```py\n{CODE}\n\n{TESTS}\n```\nHope this helps!",
        f"```\n{CODE}\n\n{TESTS}\n```",
        f"~~~python\n{CODE}\n{TESTS}\n~~~",
        f"```python\n{CODE}\n{TESTS}\n",  # never closed
        f"```python title='a.py'\n{CODE}\n{TESTS}\n```",
        f"Here is the function.\n\n{CODE}\n\nAnd the tests:\n\n{TESTS}\n\nThat is all.",  # no fence at all
        f"```python\n{CODE}\n{TESTS}\nassert f(2",  # cut off
        f"1. The code:\n   ```python\n   {CODE.replace(chr(10), chr(10) + '   ')}\n   {TESTS}\n   ```",  # indented
        f"```python\n{CODE}\n```\nOutput:\n```text\n2\n```\n```python\n{TESTS}\n```",
    ],
)
def test_code_is_found_however_it_is_wrapped(text):
    names = {}
    exec(python_code(text), names)
    assert names["f"](1) == 2 and "assert f(1) == 2" in python_code(text)


@pytest.mark.parametrize(
    "text",
    ["", "I would rather not.", "```python\ndef def def\n```", "```bash\nls -l\n```", "\0", "```python\nreturn 1\n```"],
)
def test_what_holds_no_python_gives_none(text):
    assert python_code(text).strip() == ""


def test_blocks_of_other_languages_are_not_python():
    text = "```json\n{}\n```\n```\n$ pip install x\n```\n```\nx = 1\n```\n```Python\ny = 2\n```\n"
    assert [block.strip() for block in python_blocks(text)] == ["x = 1", "y = 2"]


def test_the_words_before_a_text_are_taken_off_and_the_text_stays():
    assert without_preamble("Sure! Here is a section:\n\n# Title\n\nText.") == "# Title\n\nText.\n"
    assert without_preamble("Here's the lesson.\n\nGreat choice!\n\n# T\n") == "# T\n"
    assert without_preamble("```markdown\n# Title\n\nText.\n```") == "# Title\n\nText.\n"
    assert without_preamble("Sugar is sweet.\n") == "Sugar is sweet.\n"


def test_refusals_and_circles_are_seen():
    assert is_refusal("I'm sorry, but I can't help with that.")
    assert is_refusal("As an AI language model, I do not have opinions.")
    assert not is_refusal("The captain said: we cannot help them unless the wind turns.")
    assert repeats_itself("the cat sat on the mat and then " * 20)
    assert not repeats_itself(" ".join(f"word{i} and" for i in range(100)))
