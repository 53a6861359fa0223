"""What can be done to a host. Actions are values: what --check shows is the very object that is carried out."""

from __future__ import annotations

from dataclasses import dataclass, field

from novaops.secret import Secret
from novaops.shell import join

Text = str | bytes | Secret

Permissions = tuple[str, str, str]
"""Mode, owner and group."""


def payload(text: Text) -> bytes:
    """The bytes that are sent to the host. Nothing else reveals a secret on its way there."""
    if isinstance(text, Secret):
        text = text.reveal()
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Command:
    """Words to run as root, without a shell of their own. Secrets go to `stdin`: argv can be read by every user of the host.

    `holds` is sh that succeeds when the effect is there already. `undo` is the opposite command. Its own `holds`
    succeeds when there is nothing to undo: so undoing is planned and checked like everything else. Raises ValueError without one,
    and for a `batch` without `holds`.
    """

    words: tuple[str, ...]
    stdin: Text | None = None
    holds: str = ""
    undo: Command | None = None
    batch: bool = False
    """Whether steps in a row whose commands differ in the last word only may be done by one call with all of these words."""

    def __post_init__(self) -> None:
        if self.undo is not None and not self.undo.holds:
            raise ValueError(f"nothing tells whether this is undone: {self.undo}")
        if self.batch and not self.holds:
            raise ValueError(f"nothing tells whether a call for several did this: {self}")

    def __str__(self) -> str:
        """The words, with three dots in place of a script: its arguments tell what it does."""
        return join("..." if "\n" in word else word for word in self.words)


@dataclass(frozen=True)
class WriteFile:
    """Write a file atomically: temporary file, mode and owner, `check`, rename, `then`.

    When `then` fails, the old file is put back and `then` runs again. When the run is killed between the rename
    and the end of `then`, a marker stays, which `FileAt` reads as unfinished work.
    """

    path: str
    content: Text | None
    """None removes the file."""
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    before: bytes | None = field(default=None, repr=False)
    """The content that the plan was made on; None for no file. The write is refused where the file is different by then."""
    permissions_before: Permissions | None = None
    """Its mode, owner and group before, for undo; None for no file."""
    check: tuple[str, ...] = ()
    """Words that must succeed before the rename; `{}` is the candidate's path."""
    then: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"remove {self.path}" if self.content is None else f"write {self.path}"


@dataclass(frozen=True)
class Restore:
    """Restore the file that an earlier run kept in its journal."""

    path: str
    kept: str
    """The path of the copy on the host; "" when there was no file."""
    expected: str
    """The sha256 that the file must have now, "" for no file: what was changed since is not overwritten."""
    result: str
    """The sha256 it has afterwards, "" for no file."""
    expected_permissions: Permissions | None = None
    result_permissions: Permissions | None = None
    then: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"put back {self.path}" if self.kept else f"remove {self.path}"


@dataclass(frozen=True)
class SetValue:
    """Set a value that is not a file, such as a password's hash. The old value is kept in the run's journal for undo."""

    what: str
    """Its name in messages: "the password of netlab"."""
    read: str
    """sh that prints the present value."""
    keep: str
    """sh that prints what `write` needs to restore the present value; that may be more than `read` prints."""
    write: tuple[str, ...]
    """A command that reads the value from its standard input: every user of the host can read argv."""
    value: Text | None
    """None: the value that an earlier run kept, in the file `kept` on the host."""
    expected: str | None
    """The sha256 of what `read` must print now: what was changed since is not overwritten. None: anything."""
    result: str
    """The sha256 of what it prints afterwards."""
    kept: str = ""
    undoable: bool = True
    """False: undo leaves the new value, as the old one did harm. A step that fails still puts it back. The step's `cannot_undo` says so."""

    def __str__(self) -> str:
        return f"put back {self.what}" if self.kept else f"set {self.what}"


@dataclass(frozen=True)
class Precondition:
    """sh that must succeed right before the next action; else the step is refused, with what it printed."""

    script: str
    meaning: str

    def __str__(self) -> str:
        return f"check that {self.meaning}"


Action = Command | WriteFile | Restore | SetValue | Precondition
