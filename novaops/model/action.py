"""What can be done to a host. Actions stay values until they reach the wire; what is shown and what is done are one object."""

from __future__ import annotations

from dataclasses import dataclass, field

from novaops.secret import Secret
from novaops.shell import join

Text = str | bytes | Secret

Permissions = tuple[str, str, str]
"""Mode, owner and group."""


def payload(text: Text) -> bytes:
    """The bytes that travel. The only place where a secret is revealed on its way to a host."""
    if isinstance(text, Secret):
        text = text.reveal()
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Command:
    """Words to run as root, without a shell of their own. Secrets go to `stdin`: argv can be read by every user of the host.

    `holds` is sh that succeeds when the effect is there already. `undo` is the opposite command, and its own `holds`
    tells that nothing needs to be undone: so undoing is planned, checked and proven like everything else.
    """

    words: tuple[str, ...]
    stdin: Text | None = None
    holds: str = ""
    undo: Command | None = None

    def __str__(self) -> str:
        """The words, with three dots for a whole script among them: what follows it tells what it is about."""
        return join("..." if "\n" in word else word for word in self.words)


@dataclass(frozen=True)
class WriteFile:
    """Put a file in place, whole or not at all: temporary file, mode and owner, `check`, rename, `then`.

    When `then` fails the old file comes back and `then` runs once more on it. When the run is killed between the
    rename and the end of `then`, a marker stays, which `FileAt` reads as unfinished work.
    """

    path: str
    content: Text | None
    """None removes the file."""
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    before: bytes | None = field(default=None, repr=False)
    """The content the plan was made on; None for no file. Anything else found there is somebody else's change: refused."""
    permissions_before: Permissions | None = None
    """Those the file had, for undo; None for no file."""
    check: tuple[str, ...] = ()
    """Words that must succeed before the rename; `{}` is the candidate's path."""
    then: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"remove {self.path}" if self.content is None else f"write {self.path}"


@dataclass(frozen=True)
class Restore:
    """Put back the file that an earlier run kept in its journal."""

    path: str
    kept: str
    """Where it is kept on the host; "" when there was no file."""
    expected: str
    """The sha256 the file must have now, "" for no file: what has changed since is not overwritten."""
    result: str
    """The sha256 it has afterwards, "" for no file."""
    expected_permissions: Permissions | None = None
    result_permissions: Permissions | None = None
    then: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"put back {self.path}" if self.kept else f"remove {self.path}"


@dataclass(frozen=True)
class SetValue:
    """Give something that is no file another value, such as a password's hash. The old one is kept in the run's journal for undo."""

    what: str
    """As a person names it: "the password of netlab"."""
    read: str
    """sh that prints the value as it is."""
    keep: str
    """sh that prints what `write` takes to put it back exactly as it is; it may say more than `read`."""
    write: tuple[str, ...]
    """Words that take a value on their standard input: never in argv, which every user of the host can read."""
    value: Text | None
    """None: the value that an earlier run kept, in the file `kept` on the host."""
    expected: str | None
    """The sha256 of what `read` must print now: what has changed since is not overwritten. None for anything."""
    result: str
    """The sha256 of what it prints afterwards."""
    kept: str = ""

    def __str__(self) -> str:
        return f"put back {self.what}" if self.kept else f"set {self.what}"


@dataclass(frozen=True)
class Precondition:
    """sh that must succeed right before what follows it; else the step is refused, in the words it printed."""

    script: str
    meaning: str

    def __str__(self) -> str:
        return f"check that {self.meaning}"


Action = Command | WriteFile | Restore | SetValue | Precondition
