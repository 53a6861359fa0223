"""The console of a node, through the ssh connection: whether it answers, what it answers, and the operator's terminal on it."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import urlsplit

from novaops.errors import HostFailed
from novaops.features.eve.telnet import Telnet, typed
from novaops.ssh.forward import open_channel
from novaops.ssh.session import Session

if TYPE_CHECKING:
    import paramiko

_CHUNK = 4096
_LISTEN = 2.0
"""Seconds to wait for what follows a key."""
_QUIET = 1.0
"""Seconds without a word after which a key is tried."""
_KEYS = 2
"""How many keys have to be answered. What one prints by itself may come in the moment of one key."""
_LONGEST = 5.0
"""Seconds after which a console that prints without end is not listened to any longer."""
_MOST = 65_536
"""Bytes that are kept of what a console prints."""
_INTERRUPT = b"\x03"
"""Ctrl-C."""
ESCAPE = b"\x1d"
"""Ctrl-] ends it, as with telnet."""


def console_of(url: str) -> tuple[str, int]:
    """The kind of console and its port on the host: `telnet://host:32769`. ("", 0) where the node has none of its own."""
    parts = urlsplit(url)
    with suppress(ValueError):
        if parts.port:
            return parts.scheme, parts.port
    return "", 0


class Console:
    """An open telnet console."""

    def __init__(self, session: Session, port: int) -> None:
        self._channel: paramiko.Channel = open_channel(session, port)
        self._telnet = Telnet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def fileno(self) -> int:
        return self._channel.fileno()

    def read(self, seconds: float) -> bytes:
        """What comes next; b"" when nothing did. Raises EOFError where the node has closed it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._channel.settimeout(left)
            try:
                data = self._channel.recv(_CHUNK)
            except TimeoutError:
                break
            if not data:
                raise EOFError
            text, reply = self._telnet.received(data)
            if reply:
                self._channel.sendall(reply)
            if text:
                return text
        return b""

    def write(self, data: bytes) -> None:
        self._channel.settimeout(None)
        self._channel.sendall(typed(data))

    def answers(self) -> bool:
        """Whether it prints something that can be seen for each of two return keys, once it is quiet.

        What it prints by itself is no answer: the programs that start nodes send a title to whoever connects, and a dot for each second
        that they wait; a machine that finds no disk says so, and does not react to a key.
        """
        with suppress(OSError, EOFError):
            return all(self._replies() for _ in range(_KEYS))
        return False

    def _replies(self) -> bool:
        if not self._becomes_quiet(_QUIET):
            return False
        self.write(b"\r")
        deadline = time.monotonic() + _LONGEST
        printed = b""
        while time.monotonic() < deadline and (more := self.read(_LISTEN)):
            printed = (printed + more)[-_MOST:]
            if _is_seen(printed):
                return True
        return False

    def ask(self, line: str, pattern: str, seconds: float, *, ping: bool = False) -> tuple[bool, str]:
        """Whether the pattern came within the time after the line was typed, and what was printed.

        A `ping` goes on for ever on many a console: Ctrl-C ends one that is there, and this one. Other lines are left as they are, for it
        would break off a login or a dialogue.
        """
        self.write(_INTERRUPT * ping + b"\r")
        with suppress(EOFError):
            self._becomes_quiet(_LISTEN / 4)
        self.write(line.encode() + b"\r")
        deadline = time.monotonic() + seconds
        printed, said, held = b"", "", False
        with suppress(EOFError):
            while not held and (left := deadline - time.monotonic()) > 0:
                printed = (printed + self.read(min(left, _LISTEN)))[-_MOST:]
                said = _without_echo(plain(printed.decode("utf-8", "replace")), line)
                held = bool(re.search(pattern, said))
        if ping:
            with suppress(OSError):
                self.write(_INTERRUPT)
        return held, said

    def _becomes_quiet(self, seconds: float) -> bool:
        """Read what it has to say, until it says nothing for that time. One that never is quiet is not waited for."""
        latest = time.monotonic() + _LONGEST
        while time.monotonic() < latest:
            if not self.read(seconds):
                return True
        return False


def plain(text: str) -> str:
    """Without colours, moves of the cursor, and titles of the window."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)", "", text)


def _is_seen(printed: bytes) -> bool:
    """Whether there is more in it than blanks, control characters and dots."""
    return any(one.isprintable() and one not in {" ", "."} for one in plain(printed.decode("utf-8", "replace")))


def _without_echo(text: str, line: str) -> str:
    """What came after the line that was typed: the console repeats it, and the pattern could be in it."""
    return text.partition(line)[2] or text.replace(line, "")


def answers(session: Session, url: str) -> bool:
    """Whether the node's console answers now; of a graphical one, whether it greets. False also for one whose port is not known."""
    kind, port = console_of(url)
    if not port:
        return False
    try:
        with Console(session, port) as console:
            return console.answers() if kind == "telnet" else kind != "vnc" or console.read(_LISTEN).startswith(b"RFB")
    except (HostFailed, EOFError):
        return False


def attach(session: Session, port: int) -> None:
    """Join the operator's terminal and the console, until Ctrl-] or the end of either. Raises HostFailed."""
    with Console(session, port) as console, _raw(sys.stdin.buffer) as terminal:
        console.write(b"\r")
        for data in _read_all(console, terminal):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _read_all(console: Console, terminal: int) -> Iterator[bytes]:
    """What the console prints, while what is typed is sent to it."""
    sources: list[int | Console] = [console, terminal]
    while True:
        ready, _, _ = select.select(sources, [], [], None if len(sources) > 1 else _LISTEN)
        if console in ready:
            try:
                yield console.read(0.1)
            except EOFError:
                return
        elif len(sources) == 1:
            return  # the input has ended, and nothing more comes
        if terminal in ready:
            keys = os.read(terminal, _CHUNK)
            before, escape, _ = keys.partition(ESCAPE)
            if before:
                console.write(before)
            if escape:
                return
            if not keys:
                sources.remove(terminal)


@contextmanager
def _raw(stream: IO[bytes]) -> Iterator[int]:
    """The terminal with every key passed on as it is typed."""
    number = stream.fileno()
    if not os.isatty(number):
        yield number
        return
    import termios
    import tty

    before = termios.tcgetattr(number)
    tty.setraw(number)
    try:
        yield number
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
