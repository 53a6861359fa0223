"""References to secrets: env:NAME, file:PATH or cmd:WORDS. They are read when they are needed, and never stored."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from novaops.errors import UsageError
from novaops.secret import Secret

_KINDS = ("env", "file", "cmd")


def reference(text: Any) -> Any:
    """The text, when it has the form of a reference. Raises ValueError without repeating it: it may be the secret itself."""
    if not isinstance(text, str) or text.partition(":")[0] not in _KINDS:
        raise ValueError("a secret is not written in plain text: env:NAME, file:PATH or cmd:WORDS")
    return text


SECONDS = 60
"""How long a command for a secret may take."""

Reference = Annotated[str, BeforeValidator(reference, json_schema_input_type=str)]


def when_needed(reference: str) -> Secret:
    """The same as `resolve`, but read only when it is revealed, and once: `reveal` raises its UsageError then.

    Raises UsageError at once for a text that is no reference.
    """
    return _WhenNeeded(reference) if reference.partition(":")[0] in _KINDS else resolve(reference)


class _WhenNeeded(Secret):
    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._known: dict[str, str] = _KNOWN if reference.startswith("cmd:") else {}

    @property
    def _value(self) -> str:  # type: ignore[override] # Secret's own place for it
        with _LOCK:
            if self._reference not in self._known:
                self._known[self._reference] = resolve(self._reference).reveal()
            return self._known[self._reference]


_LOCK = threading.Lock()
_KNOWN: dict[str, str] = {}
"""By reference what a command said: one host after another asks for the same sudo password."""


def _output(command: str) -> str:
    """What it prints. It keeps the terminal, for it may ask there. Raises UsageError."""
    try:
        done = subprocess.run(  # noqa: S602 - a command of the user's own
            command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"the command for a secret did not end within {SECONDS} s: {command}", fix="see what it waits for") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"the command for a secret printed what is no text: {command}", why=error.reason) from None
    if done.returncode:
        why = f"exit status {done.returncode}: {done.stderr.strip() or 'nothing on stderr'}"
        raise UsageError(f"the command for a secret failed: {command}", why=why)
    return done.stdout


def resolve(reference: str) -> Secret:
    """The secret that `env:NAME`, `file:PATH` or `cmd:WORDS` stands for, without its final newline and a file's byte order mark.

    Raises UsageError when there is no such variable or file, the command fails, or the text is no reference:
    a password written into the inventory would be copied with it everywhere.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if value is None:
            raise UsageError(f"the environment variable {rest} is not set", fix=f"export {rest}=… and run again")
        return Secret(value)
    if kind == "file":
        try:
            return Secret(Path(rest).expanduser().read_text("utf-8-sig").removesuffix("\n"))
        except (OSError, UnicodeDecodeError, RuntimeError) as error:
            raise UsageError(f"cannot read the secret in {rest}", why=str(error)) from None
    if kind == "cmd":
        return Secret(_output(rest).removesuffix("\n"))
    raise UsageError(
        "a secret was written in plain text", why="it would be copied with the file", fix="write env:NAME, file:PATH or cmd:WORDS"
    )
