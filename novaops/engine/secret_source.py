"""References to secrets: env:NAME, file:PATH or cmd:WORDS. They are read when they are needed, and never stored."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from novaops.errors import UsageError
from novaops.secret import Secret


def reference(text: Any) -> Any:
    """The text, when it has the form of a reference. Raises ValueError without repeating it: it may be the secret itself."""
    if not isinstance(text, str) or text.partition(":")[0] not in {"env", "file", "cmd"}:
        raise ValueError("a secret is not written in plain text: env:NAME, file:PATH or cmd:WORDS")
    return text


Reference = Annotated[str, BeforeValidator(reference, json_schema_input_type=str)]


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
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the secret in {rest}", why=str(error)) from None
    if kind == "cmd":
        done = subprocess.run(rest, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S602
        if done.returncode:
            raise UsageError(
                f"the command for a secret failed: {rest}",
                why=f"exit status {done.returncode}: {done.stderr.strip() or 'nothing on stderr'}",
            )
        return Secret(done.stdout.removesuffix("\n"))
    raise UsageError(
        "a secret was written in plain text", why="it would be copied with the file", fix="write env:NAME, file:PATH or cmd:WORDS"
    )
