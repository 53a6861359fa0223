"""The keeper: a process of the user's own that holds open connections for `--persist`, and runs over them what only looks.

It is given a listening socket as its standard input, and ends when it holds nothing any more. It holds no passwords.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novaops.errors import NovaopsError
from novaops.ssh import ask_ssh
from novaops.ssh.kept import is_mine, name_of
from novaops.ssh.launch import Launch
from novaops.ssh.route import route
from novaops.ssh.session import Session, readable
from novaops.ssh.target import Target

if TYPE_CHECKING:
    import paramiko

_FIRST = 10.0
"""Seconds that it waits for its first connection."""

_MESSAGE = 5.0
"""Seconds for a message to be there as a whole."""

_UNACKNOWLEDGED = 5.0
"""Seconds after which a connection is dead whose host acknowledges nothing."""

_BUSY = 1.0
"""Seconds after which a connection that is in use is looked at again: its time begins when that ends."""


class KeptSession(Session):
    """A session whose next shell is started in advance, and waits for its script: that saves the round trip of the channel, the one
    after which sshd takes input, and the start of sudo and a shell.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._next: queue.SimpleQueue[tuple[paramiko.Channel, Launch]] = queue.SimpleQueue()

    def prepare(self) -> None:
        """Start the next shell, unless one is there."""
        with suppress(NovaopsError):
            if self._next.empty():
                self._next.put(self._started(Launch("", root=True), patient=False))

    @contextmanager
    def _channel(self, script: str, *, root: bool = True, patient: bool = True) -> Iterator[tuple[paramiko.Channel, Launch]]:
        try:
            channel, launch = self._next.get_nowait()
        except queue.Empty:
            channel = None
        if channel is None or channel.closed or channel.eof_received or not root:
            with super()._channel(script, root=root, patient=patient) as started:
                yield started
            return
        launch.give(script)
        self.execs += 1
        with self._sent(channel, launch):
            yield channel, launch


@dataclass
class _Kept:
    """One connection. It is in use until its login has ended, too."""

    target: Target
    known: list[list[object]]
    """What it is known by to who wants it ended."""
    persist: float
    """Seconds that it is kept after its last use, as the last call said."""
    session: Future[KeptSession | None] = field(default_factory=Future)
    until: float = math.inf
    users: int = 1

    @property
    def alive(self) -> bool:
        if not self.session.done():
            return True
        session = self.session.result()
        return session is not None and session.connection is not None and session.connection.transport.is_active()


class Keeper:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self._first = _now() + _FIRST
        """When it has waited long enough for its first connection."""

    def serve(self) -> None:
        """Take messages until nothing is held any more."""
        while (seconds := self._expire()) is not None:
            if readable(self._listener, seconds):
                line = self._listener.accept()[0]
                if is_mine(line):
                    self._take(line)
                else:
                    line.close()

    def _expire(self) -> float | None:
        """Close the connections whose time is over. Gives the seconds until the next one's is; None where nothing is left."""
        with self._lock:
            now = _now()
            over = [name for name, kept in self._kept.items() if kept.until <= now and not kept.users]
            gone = [self._kept.pop(name) for name in over]
            times = [now + _BUSY if kept.users else kept.until for kept in self._kept.values()]
        for kept in gone:
            _close(kept)
        next_one = min(times, default=self._first)
        return max(0.0, next_one - now) if times or now < next_one else None

    def _take(self, line: socket.socket) -> None:
        """Do what a message says. One that is not understood is dropped."""
        try:
            line.settimeout(_MESSAGE)
            with line.makefile("rb") as stream:
                message = json.load(stream)
            if "keep" in message:
                self._keep(message["keep"], Target(**message["target"]), message["known"])
            elif "forget" in message:
                ended, left = self._forget(message["forget"])
                _answer(line, {"ended": ended, "left": left})
            else:
                look = str(message["look"]), str(message["script"]), float(message["timeout"]), float(message["persist"])
                threading.Thread(target=self._look, args=(line, *look), daemon=True).start()
                return
        except (OSError, ValueError, LookupError, TypeError):
            pass
        line.close()

    def _keep(self, name: str, target: Target, known: list[list[object]]) -> None:
        with self._lock:
            before = self._kept.get(name)
            if before is not None and before.alive and before.until > _now():
                return
            kept = self._kept[name] = _Kept(target, known, target.persist)
            self._first = 0.0
        if before is not None:
            _close(before)
        threading.Thread(target=self._log_in, args=(name, kept), daemon=True).start()

    def _log_in(self, name: str, kept: _Kept) -> None:
        session = KeptSession(kept.target)
        made = False
        try:
            ask_ssh.forget_answers()
            if name_of(kept.target, route(kept.target)) == name:
                from novaops.ssh.connection import limit_unacknowledged

                session.open()
                assert session.connection is not None, "it was just opened"
                limit_unacknowledged(session.connection, _UNACKNOWLEDGED)
                session.prepare()
                made = True
        except NovaopsError:
            pass  # the next call logs in as always, and says why it cannot
        finally:
            if not made:
                session.close()
            kept.session.set_result(session if made else None)
            self._used(name, kept)

    def _look(self, line: socket.socket, name: str, script: str, timeout: float, persist: float) -> None:
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None and kept.until <= _now():
                kept = None
            if kept is not None:
                kept.users += 1
                kept.persist = persist
        with line:
            if kept is None:
                _answer(line, {"execs": 0})
                return
            try:
                answer = self._run(name, kept, script, timeout)
                _answer(line, answer)
                session = kept.session.result()
                if session is not None and "output" in answer:
                    session.prepare()
            finally:
                self._used(name, kept)

    def _run(self, name: str, kept: _Kept, script: str, timeout: float) -> dict[str, Any]:
        """What the script printed, or nothing. A connection that fails once, or whose host keys are no longer known, is not used again."""
        session, execs = kept.session.result(), 0
        if session is None:
            return {"execs": execs}
        try:
            from novaops.ssh.connection import check_again

            if kept.alive and session.connection is not None:
                check_again(session.connection, kept.target)
                execs = 1
                return {"execs": execs, "output": asdict(session.run(script, timeout=timeout))}
        except NovaopsError:
            pass  # the caller logs in as always, and says what is wrong
        self._drop(name, kept)
        return {"execs": execs}

    def _used(self, name: str, kept: _Kept) -> None:
        """The end of a use: its time begins anew, unless it was dropped meanwhile."""
        with self._lock:
            kept.users -= 1
            kept.until = _now() + kept.persist
            if kept.session.result() is None and self._kept.get(name) is kept:
                del self._kept[name]
            left = self._kept.get(name) is not kept and not kept.users
        if left:
            _close(kept)

    def _drop(self, name: str, kept: _Kept) -> None:
        with self._lock:
            if self._kept.get(name) is kept:
                del self._kept[name]

    def _forget(self, wanted: list[list[object]] | None) -> tuple[int, int]:
        """Drop the connections to these; None for all. Those in use are closed, too. Gives how many, and how many are left."""
        with self._lock:
            names = [name for name, kept in self._kept.items() if wanted is None or any(one in wanted for one in kept.known)]
            gone = [self._kept.pop(name) for name in names]
            left = len(self._kept)
        for kept in gone:
            if kept.session.done():
                _close(kept)
        return len(gone), left


def _now() -> float:
    """A clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _close(kept: _Kept) -> None:
    session = kept.session.result()
    if session is not None:
        session.close()


def _answer(line: socket.socket, answer: dict[str, Any]) -> None:
    """Whoever asked waits for the end of the line."""
    with suppress(OSError):
        line.settimeout(_MESSAGE)
        line.sendall(json.dumps(answer).encode())
        line.shutdown(socket.SHUT_WR)


def main() -> None:
    """The program."""
    os.chdir("/")
    with socket.socket(fileno=os.dup(0)) as listener:
        Keeper(listener).serve()
        file = Path(listener.getsockname())
        with (file.parent / "lock").open("w") as lock:  # who starts a keeper finds this one, or none
            fcntl.flock(lock, fcntl.LOCK_EX)
            file.unlink(missing_ok=True)
            listener.close()
