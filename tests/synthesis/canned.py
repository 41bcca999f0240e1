"""A teacher on loopback that answers each prompt as a good one would, and others that do not."""

import re
from typing import Any

from hornbook.services.llm_config import TeacherConfig
from tests.services.chat_server import MODEL, ChatServer, Exchange

EXERCISE = '''Sure! Here is the exercise:

```python
def {name}(values: list[int]) -> int:
    """Return the sum of the even values of a {word}.

    >>> {name}([1, 2, 4])
    6
    """
    return sum(value for value in values if value % 2 == 0)
```

```python
assert {name}([]) == 0
assert {name}([1, 3]) == 0
assert {name}([2, 8, 5]) == 10
```
'''
SOLUTION = "```python\n{signature}\n    return sum(value for value in values if not value % 2)\n```\n"
LESSON = """# Counting what is left of {subtopic}

A {word} has no memory, so whoever wants to know how many pieces are left must count them again each time, or keep a
number beside it and change that number with every move. Keeping a number is faster, but it can go wrong as soon as one
move forgets to change it. Counting again is slower, and always right. Beginners should count first.

```python
pieces = ["a", "b", "c"]
def left(taken):
    return len(pieces) - taken
assert left(1) == 2
```

The function looks at the list each time. When the list grows, the answer grows with it, and nothing else must change.

```python
pieces.append("d")
assert left(1) == 3
```
"""
DIALOGUE_TURNS = "\n\n".join(
    f"{who}: {text}"
    for who, text in zip(
        ["Student", "Teacher"] * 4,
        ["Why twice?", "What do you see?", "A list.", "And now?", "It grew.", "By how much?", "By one.", "Right."],
        strict=True,
    )
)
PROBLEMS = "".join(f"\n**Problem {n}.** Add one to {n}.\n\n**Solution.** It is the next number.\n" for n in (1, 2, 3))
REASONING = """Problem: A {word} holds 3 rows of 4 cups, and 5 cups are taken. How many are left?

Step 1: There are 3 * 4 = 12 cups.

Step 2: 12 - 5 = 7 are left.

Answer: 7

```python
print(3 * 4 - 5)
```
"""


async def clever(exchange: Exchange) -> Any:
    """The right answer to every prompt of the package."""
    return exchange.answer(reply(exchange.said))


async def dull(exchange: Exchange) -> Any:
    """The same rubbish whatever is asked, in turn with a refusal."""
    rubbish = "def def def def", "I'm sorry, I cannot help with that.", "Sure!\n\n```python\nprint(1\n```"
    return exchange.answer(rubbish[len(exchange.said) % len(rubbish)])


def reply(said: str) -> str:
    """What a good teacher answers."""
    word = (re.search(r"play a part[^:]*: (\w+)", said) or ["", "list"])[1]
    subtopic = (re.search(r"Subject: (.*) \(", said) or ["", "lists"])[1]
    if name := re.search(r"Name the function `(\w+)`", said):
        return EXERCISE.format(name=name[1], word=word)
    if said.startswith("Write one Python exercise"):
        return EXERCISE.format(name="add_even", word=word)
    if said.startswith("Complete this Python function"):
        return SOLUTION.format(signature=said.split("```python\n")[1].split("\n```")[0])
    if said.startswith("Here is a text for learners"):
        return "The second paragraph is vague: say what grows."
    if "An editor found these faults" in said:
        return reply(said.split("\n\nHere is a first draft")[0]).replace("A ", "Every ", 1)
    if said.startswith("Write a problem on"):
        return REASONING.format(word=word)
    if said.startswith("Write the request") or "Write the request to which" in said:
        code = said.split("```python\n")[1].split("\n```")[0]
        names = ", ".join(sorted(set(re.findall(r"[a-z_]{3,}", code)))[:60])
        return (
            f"Please write a piece of Python for me that makes use of the following names, in a sensible way: {names}."
        )
    if "that makes use of the following names" in said:
        names = said.split("sensible way: ")[1].split(".")[0].split(", ")
        keywords = {"def", "return", "for", "not", "and", "class", "import", "from", "else", "with", "assert", "pass"}
        return "```python\n" + "\n".join(f"{n} = 1" for n in names if n.isidentifier() and n not in keywords) + "\n```"
    if "<passage>" in said and "in JSON" in said:
        import json

        lines = [line.strip() for line in said.split("<passage>")[1].splitlines() if len(line.strip()) > 20][:3]
        pairs = [
            {"question": f"What does line {n} do?", "answer": "It does one step of the whole work.", "quote": line}
            for n, line in enumerate(lines)
        ]
        return json.dumps({"pairs": pairs})
    text = LESSON.format(word=word, subtopic=subtopic)
    if said.startswith("Write a conversation"):
        text += "\n" + DIALOGUE_TURNS + "\n"
    if said.startswith("Write three problems"):
        text += PROBLEMS
    if "<passage>" in said:
        words = re.findall(r"[A-Za-z_]\w{3,}", said.split("<passage>")[1].split("</passage>")[0])
        text += "\nIt speaks of " + ", ".join(dict.fromkeys(words[:30])) + ".\n"
    return text


def teacher_of(server: ChatServer, **fields: Any) -> TeacherConfig:
    """A section `teacher` for the server."""
    return TeacherConfig(url=server.url, model=MODEL, concurrency=16, **fields)
