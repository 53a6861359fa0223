"""Sending a large file over an open session: to the standard input of a command of the login's own user, from any byte on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import HostFailed
from novaops.shell import quote
from novaops.ssh.session import ConnectionLost, Session

if TYPE_CHECKING:
    import paramiko

_HEADER = 64
"""Bytes of a packet that are not the data. A chunk of any other size would be copied again for each packet."""
_MOST_ERROR = 4096
_WRITES_S = 600.0
"""Seconds that a host has to write down what it took. A slow disk has much of a large file still in memory."""


def send_file(session: Session, path: Path, script: str, offset: int, sent: Callable[[int], None]) -> None:
    """Give the file's bytes from `offset` on to `script`; `sent` is told how many have gone, from time to time.

    Raises ConnectionLost when the connection is lost, HostFailed when the script fails.
    """
    import paramiko

    assert session.connection is not None, "the session is not open"
    transport: paramiko.Transport = session.connection.transport
    session.execs += 1
    try:
        channel = transport.open_session(timeout=session.target.timeout)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _lost(session, error) from error
    try:
        channel.settimeout(session.target.timeout)
        channel.exec_command(f"env LC_ALL=C sh -c {quote(script)}")
        with path.open("rb") as file:
            file.seek(offset)
            size = channel.out_max_packet_size - _HEADER
            while data := file.read(size):
                channel.sendall(data)
                offset += len(data)
                sent(offset)
        channel.shutdown_write()
        if not channel.status_event.wait(_WRITES_S):
            raise HostFailed(
                f"{session.target} took all that was sent, and does not say that it is written",
                why=f"Nothing was heard of it for {_WRITES_S:g} s.",
                fix="run it again: what is there is not sent once more",
            )
        status = channel.recv_exit_status()
    except (paramiko.SSHException, OSError, EOFError) as error:
        if transport.is_active() and channel.exit_status_ready():
            raise _failed(session, channel) from error
        raise _lost(session, error) from error
    finally:
        with suppress(paramiko.SSHException, OSError, EOFError):
            channel.close()
    if status == -1:
        raise _lost(session)
    if status:
        raise _failed(session, channel)


def _lost(session: Session, error: Exception | None = None) -> ConnectionLost:
    return ConnectionLost(f"the connection to {session.target} was lost", why=str(error or "") or "It ended while a file was sent.")


def _failed(session: Session, channel: paramiko.Channel) -> HostFailed:
    said = channel.recv_stderr(_MOST_ERROR).decode("utf-8", "replace").strip() if channel.recv_stderr_ready() else ""
    return HostFailed(f"{session.target} could not write what was sent", why=said)
