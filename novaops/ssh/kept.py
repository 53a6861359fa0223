"""Connections that are kept for the next call (`--persist`), by the keeper: a process of the user's own (`keeper.py`).

Over a kept connection a script is run that only looks, and nothing else. Whatever goes wrong with it, the host is logged in to as always.
Nothing heavy is imported here: what a kept connection saves is the login, and the ssh library with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import novaops
from novaops.errors import NovaopsError, UsageError
from novaops.ssh.client_config import ClientConfig
from novaops.ssh.route import route
from novaops.ssh.session import PATIENCE, Output, Session
from novaops.ssh.target import Target

_BACKLOG = 4096
"""Calls that may wait while the keeper starts: one for each host of a large fleet."""

_SECONDS = 5.0
"""For the keeper to take a message, or to answer one that contacts nobody."""

_PROGRAM = "import os; os.fork() and os._exit(0); from novaops.ssh.keeper import main; main()"
"""The keeper leaves its parent at once: nobody has to wait for its end."""

_ENVIRONMENT = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "SSH_AUTH_SOCK", "TMPDIR", "XDG_RUNTIME_DIR", "PYTHONPATH")
"""What the keeper inherits: what a login needs, and none of the secrets that the environment may hold."""


def look(session: Session, script: str) -> Output:
    """Run a script that only looks, as root: over the session's connection, else over a kept one, else after a login. One exec.

    Raises as `Session.open` and `Session.run`.
    """
    target = session.target
    if session.connection is not None:
        return session.run(script)
    if not target.persist:
        session.open()
        return session.run(script)
    if (output := _look(session, script)) is not None:
        return output
    session.open()
    keep(target)
    return session.run(script)


def open_to_change(session: Session) -> None:
    """What changes the host goes over a connection of its own, and a kept one is not older than that. Raises as `Session.open`."""
    for line in _keepers():
        _tell(line, {"forget": destinations(session.target)})
    if session.connection is None:
        session.open()


def keep(target: Target) -> None:
    """Have the keeper log in to the target, and keep that connection for a while. Nobody waits for it."""
    target = _absolute(target)
    hops = route(target)
    if not _may_be_kept(target, hops):
        return
    with suppress(OSError):
        _tell(
            _line() or _start(),
            {"keep": name_of(target, hops), "target": asdict(replace(target, sudo_password=None)), "known": destinations(target)},
        )


def forget(wanted: Sequence[Sequence[object]] | None) -> tuple[int, int]:
    """End the kept connections to these destinations, None for all. Gives how many there were, and how many to others are left."""
    answers = [_asked(line, {"forget": wanted}, _SECONDS) for line in _keepers()]
    return sum(int(one.get("ended", 0)) for one in answers), sum(int(one.get("left", 0)) for one in answers)


def destinations(target: Target) -> list[list[object]]:
    """What `forget` knows a target by: how it is typed, and what ssh's configuration makes of that."""
    found: list[list[object]] = [[target.address, target.port, target.user]]
    with suppress(NovaopsError):  # where ssh refuses the configuration, no connection was made by it
        to = route(target)[-1]
        found.append([to.hostname, to.port, to.user])
    return found


def name_of(target: Target, hops: Sequence[ClientConfig]) -> str:
    """What a kept connection is known by: all that decides where it leads, who logs in with which keys, and whom it trusts."""
    way = [(asdict(hop.asked), hop.user, hop.agent, dict(hop.values)) for hop in hops]
    return hashlib.sha256(json.dumps([target.identity, target.known_hosts, way], sort_keys=True).encode()).hexdigest()


def check_folder() -> None:
    """Make the folder of the keepers' sockets. Raises UsageError where it is not this user's alone."""
    path = folder()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise UsageError(f"--persist needs the folder {path}", why=error.strerror or str(error)) from None
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:  # which a link has
        why = "It has to be a folder that is yours, with mode 0700: who can write it could answer in the place of a host."
        raise UsageError(f"--persist cannot use {path}", why=why, fix=f"look at it, and remove it: rm -r {path}")


def folder() -> Path:
    """Where the sockets are: local, and with a short name, since a socket's path has 107 bytes at most."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(runtime if runtime.startswith("/") else tempfile.gettempdir(), f"novaops-{os.geteuid()}")


def is_mine(line: socket.socket) -> bool:
    """Whether the process at the other end is this user's, as the kernel says. Linux only: elsewhere nothing is kept."""
    if not hasattr(socket, "SO_PEERCRED"):
        return False
    form = "3i"  # pid, uid, gid
    uid: int = struct.unpack(form, line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(form)))[1]
    return uid == os.geteuid()


def _look(session: Session, script: str) -> Output | None:
    """What the script printed, run over a kept connection; None where there is none that can be used."""
    line = _line()
    if line is None:
        return None
    with line:
        target = _absolute(session.target)
        hops = route(target)
        if not _may_be_kept(target, hops):
            return None
        message = {"look": name_of(target, hops), "script": script, "timeout": target.timeout, "persist": target.persist}
        answer = _asked(line, message, max(PATIENCE[0], PATIENCE[1] * target.timeout) + target.timeout)
    session.execs += answer.get("execs", 1)
    output = answer.get("output")
    return Output(**output) if output else None


def _may_be_kept(target: Target, hops: Sequence[ClientConfig]) -> bool:
    """Only logins by key. A sudo password never goes to the keeper, so what may need one is not kept."""
    return bool(target.persist) and target.password is None and (target.sudo_password is None or hops[-1].user == "root")


def _absolute(target: Target) -> Target:
    """The keeper works in another folder."""
    identity, known_hosts = (file and str(Path(file).absolute()) for file in (target.identity, target.known_hosts))
    return replace(target, identity=identity, known_hosts=known_hosts)


def _socket_file() -> Path:
    """One keeper for each environment in which a login may go differently, and for each version."""
    decides = [novaops.__version__, sys.executable, *(os.environ.get(name, "") for name in ("HOME", "SSH_AUTH_SOCK", "PATH"))]
    return folder() / f"keeper-{hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]}"


def _line(file: Path | None = None) -> socket.socket | None:
    """A connection to the keeper; None where there is none, or it is somebody else's."""
    line = socket.socket(socket.AF_UNIX)
    with suppress(OSError):
        line.settimeout(_SECONDS)
        line.connect(str(file or _socket_file()))
        if is_mine(line):
            return line
    line.close()
    return None


def _keepers() -> list[socket.socket]:
    """To each keeper of this user, wherever the call was made that started it: cron and su have no XDG_RUNTIME_DIR."""
    user = os.geteuid()
    folders = dict.fromkeys([folder(), Path(f"/run/user/{user}/novaops-{user}"), Path(tempfile.gettempdir(), f"novaops-{user}")])
    return [line for each in folders for file in sorted(each.glob("keeper-*")) if (line := _line(file))]


def _start() -> socket.socket:
    """Start a keeper, unless another call just did. It is given the socket, so that messages can be sent at once. Raises OSError."""
    file = _socket_file()
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if line := _line():
            return line
        file.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(file))
            listener.listen(_BACKLOG)
            subprocess.run(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=listener.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                cwd="/",
                start_new_session=True,
                check=False,
            )
        line = _line()
        if line is None:
            raise ConnectionRefusedError(str(file))
        return line


def _tell(line: socket.socket, message: dict[str, Any]) -> None:
    """Send a message that nobody waits for."""
    with line, suppress(OSError):
        line.sendall(json.dumps(message).encode())


def _asked(line: socket.socket, message: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer to a message; {} where none comes."""
    with line, suppress(OSError, ValueError):
        line.sendall(json.dumps(message).encode())
        line.shutdown(socket.SHUT_WR)
        line.settimeout(seconds)
        with line.makefile("rb") as stream:
            answer: dict[str, Any] = json.load(stream)
            return answer
    return {}
