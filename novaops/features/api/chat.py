"""`api chat`: one question, or a conversation in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from novaops.cli import output
from novaops.errors import NovaopsError, UsageError
from novaops.features.api.answer import Answer, Timing, account
from novaops.features.api.llm.protocol import PROVIDER, ChatRequest, Client, Delta, Event, Incomplete, Message

STOPPED = 130
_HELP = "Ctrl-C stops an answer, /reset begins anew, /exit or Ctrl-D ends."


@dataclass
class Asked:
    """One request and what came of it. An error is kept beside what had come before it."""

    answer: Answer = field(default_factory=Answer)
    timing: Timing = field(default_factory=lambda: Timing(None, 0))
    notes: list[str] = field(default_factory=list)
    """What is worth knowing of the answer beside its text."""
    error: NovaopsError | None = None
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        return STOPPED if self.stopped else self.error.exit_code if self.error else 0


def ask(client: Client, request: ChatRequest, show: Callable[[Event], None]) -> Asked:
    """The whole answer. `show` gets each event as it comes. Ctrl-C ends the request, and not the program."""
    asked, began = Asked(), time.monotonic()
    first: float | None = None
    try:
        with closing(client.chat(request)) as events:
            for event in events:
                if first is None and isinstance(event, Delta):
                    first = time.monotonic() - began
                asked.answer.add(event)
                show(event)
    except UsageError:
        raise
    except NovaopsError as error:
        asked.error = error
    except KeyboardInterrupt:
        asked.stopped = True
    asked.timing = Timing(first, time.monotonic() - began)
    if request.knowledge and asked.answer.texts and not any(each.found_by == PROVIDER for each in asked.answer.passages):
        asked.notes.append(f"The provider names no passage of {', '.join(request.knowledge)}: the answer may come from elsewhere.")
    return asked


class Printer:
    """Prints an answer as it comes; several answers to one request only when they are complete."""

    def __init__(self, *, several: bool, reasoning: bool, sources: bool = False) -> None:
        """`sources`: whether the end says what the answer is based on."""
        self._several = several
        self._sources = sources
        self._reasoning = reasoning
        self._open = False
        """Whether the cursor stands behind a piece of text."""

    def show(self, event: Event) -> None:
        if not isinstance(event, Delta) or (self._several and not event.reasoning):
            return
        if event.reasoning:
            if self._reasoning:
                output.piece(event.text, sys.stderr)
            return
        output.piece(event.text)
        self._open = not event.text.endswith("\n")

    def end(self, asked: Asked, of: str) -> None:
        if self._open:
            output.line("")
            self._open = False
        if self._several and asked.answer.texts:
            output.lines(asked.answer.several())
        if asked.stopped:
            output.complain("Stopped.")
        for number, passage in enumerate(asked.answer.passages if self._sources else (), 1):
            output.complain(f"[{number}] {passage.source or passage.text}")
        if not asked.error or asked.timing.first is not None:
            output.complain(account(asked.answer, asked.timing, of))
        for note in asked.notes:
            output.complain(note)


def converse(client: Client, request: ChatRequest, of: str, *, reasoning: bool, say: Callable[[NovaopsError], None]) -> int:
    """A conversation in the terminal. `say` prints an error; the question that had one is as if it had not been asked."""
    output.complain(f"{of}. {_HELP}")
    messages = request.messages
    while (text := _question()) is not None:
        if text == "/reset":
            messages = request.messages
            output.complain("Begun anew.")
        elif text.startswith("/"):
            output.complain(_HELP)
        elif text:
            printer = Printer(several=(request.parameters.n or 1) > 1, reasoning=reasoning, sources=True)
            question = (*messages, Message("user", text))
            try:
                asked = ask(client, replace(request, messages=question), printer.show)
            except UsageError as error:  # such as a knowledge base that is deleted meanwhile
                say(error)
                continue
            printer.end(asked, of)
            if asked.error:
                say(asked.error)
            if asked.answer.text and (not asked.error or isinstance(asked.error, Incomplete)):
                messages = (*question, Message("assistant", asked.answer.text))
    return 0


def _question() -> str | None:
    """What is typed next; None at the end."""
    try:
        text = input("> ").strip().encode().decode()
    except EOFError:
        output.complain("")
        return None
    except KeyboardInterrupt:
        output.complain("")
        return ""
    except UnicodeError:
        output.complain("That is no text in UTF-8.")
        return ""
    return None if text in {"/exit", "/quit"} else text


def text_of(word: str, *, file: bool = False) -> str:
    """A text of a command line: itself, - for standard input, and where `file` says so @FILE for what is in it. Raises UsageError."""
    from_file = file and word.startswith("@")
    named = "standard input" if word == "-" else word[1:] or word if from_file else "what was typed"
    try:
        if word == "-":
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        elif from_file:
            text = Path(word[1:]).expanduser().read_text("utf-8-sig")
        else:
            text = word.encode().decode()
    except UnicodeError as error:
        raise UsageError(f"{named} is no text in UTF-8", why=str(error)) from None
    except OSError as error:
        raise UsageError(f"{named} cannot be read", why=error.strerror or str(error)) from None
    except RuntimeError as error:  # ~NAME of nobody
        raise UsageError(f"{named} cannot be read", why=str(error)) from None
    if not text.strip():
        raise UsageError(f"{named} is empty", fix="nothing was sent")
    return text
