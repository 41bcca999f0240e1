"""`hornbook chat`: a conversation with a model, in the form that the model was tuned on."""

import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from hornbook.core.errors import HornbookError
from hornbook.deployment.engines import Ask, Engine, EngineName, open_engine
from hornbook.model.chat_template import Message, builtin_template, render
from hornbook.model.load import chat_template

HELP = "/reset forgets the conversation, /quit (or the end of the input) ends it, /help prints this."
NO_TEMPLATE = "This model has no chat template: it is asked in the form `Instruct: ... Output:`."
QA_STOP = "\nInstruct:"  # a model that was never tuned on conversations goes on with a question of its own


def chat(
    model: Path,
    *,
    ask: Ask,
    system: str | None = None,
    engine: EngineName | None = None,
    source: TextIO | None = None,
    out: TextIO | None = None,
) -> None:
    """Read messages, one a line, and print the answers as they come, until the input ends or says /quit.

    Raises HornbookError when there is no model that the engine can run, or when its template has no place for a system
    message.
    """
    source, out = source or sys.stdin, out or sys.stdout
    interactive = source.isatty()
    with open_engine(model, engine) as opened:
        conversation = Conversation(opened, chat_template(model), ask, system)
        if interactive:
            print(HELP, file=sys.stderr)
        for line in _lines(source, interactive):
            if line == "/quit":
                return
            if line == "/reset":
                conversation.reset()
            elif line.startswith("/"):
                print(HELP, file=sys.stderr)
            elif line:
                _tell(conversation, line, out)


class Conversation:
    """What was said so far, and the model that says what comes next."""

    def __init__(self, engine: Engine, template: str | None, ask: Ask, system: str | None = None) -> None:
        if template is None:
            print(NO_TEMPLATE, file=sys.stderr)
            ask, self._template = replace(ask, stop=(*ask.stop, QA_STOP)), builtin_template("qa")
        else:  # it says itself how a text starts
            ask, self._template = replace(ask, is_whole=True), template
        self._engine, self._ask = engine, ask
        self._start: list[Message] = [{"role": "system", "content": system}] if system else []
        self._turns: list[Message] = []
        self._prompt([{"role": "user", "content": ""}])  # a template without a system role says so now

    def reset(self) -> None:
        """Forget all but the system message."""
        self._turns = []

    def answer(self, message: str) -> Generator[str]:
        """Pieces of the answer to a message; both become part of the conversation, also when it is cut short.

        Where the conversation leaves no room, its oldest turns are forgotten, which a line on standard error says.
        Raises HornbookError for a message that alone leaves no room.
        """
        turns = [*self._turns, {"role": "user", "content": message}]
        room = self._engine.context - min(self._ask.max_new_tokens, self._engine.context // 4)
        forgotten = 0
        while (length := self._length(prompt := self._prompt(turns))) > room and len(turns) > 1:
            turns, forgotten = turns[2:], forgotten + 1
        if length >= self._engine.context:
            raise HornbookError(
                f"The message is too long: {length} tokens with its form, and this model reads at most "
                f"{self._engine.context - 1}.",
                "Shorten it.",
            )
        if forgotten:
            print(f"(the oldest {forgotten} of the messages and answers no longer fit)", file=sys.stderr)
        said = ""
        try:
            for piece in self._engine.stream(prompt, self._ask):
                piece = piece if said else piece.lstrip()  # the QA form has a space here
                said += piece
                yield piece
        finally:
            self._turns = [*turns, {"role": "assistant", "content": said.strip()}]

    def _length(self, prompt: str) -> int:
        return len(self._engine.encode(prompt, self._ask))

    def _prompt(self, turns: list[Message]) -> str:
        messages = [*self._start, *turns]
        special = self._engine.special_tokens
        return render(self._template, messages, add_generation_prompt=True, special_tokens=special).text


def _lines(source: TextIO, interactive: bool) -> Iterator[str]:
    """Lines of the input; at a terminal they can be edited."""
    if not interactive:
        for line in source:
            yield line.strip()
        return
    import readline  # noqa: F401  input() edits lines and remembers them from here on

    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            print()
            return


def _tell(conversation: Conversation, message: str, out: TextIO) -> None:
    """Print an answer; an interrupt ends the answer, not the conversation."""
    answer = conversation.answer(message)
    try:
        for piece in answer:
            print(piece, end="", flush=True, file=out)
    except HornbookError as error:
        print(f"hornbook: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(" [interrupted]", end="", file=sys.stderr)
    finally:
        answer.close()
    print(file=out, flush=True)
