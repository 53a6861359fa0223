"""A port of 127.0.0.1 here that leads to one of a host, over an ssh connection that is open already."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from novaops.errors import HostFailed

if TYPE_CHECKING:
    import paramiko

    from novaops.ssh.session import Session

_CHUNK = 65_536
_BACKLOG = 16


def open_channel(session: Session, port: int, address: str = "127.0.0.1") -> paramiko.Channel:
    """A channel to that port, as the host reaches it. Raises HostFailed."""
    import paramiko

    assert session.connection is not None, "the session is not open"
    transport: paramiko.Transport = session.connection.transport
    try:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=session.target.timeout)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise HostFailed(
            f"{session.target} does not reach its own port {port}",
            why=f"{error}. Nothing listens there, or sshd forwards to no port.",
            fix="see with: ss -ltn, on the host; and AllowTcpForwarding in its sshd_config",
        ) from error


class Forward:
    """A context manager. `port` is where it listens here; `trouble` is why a connection could not be passed on, None where all could."""

    def __init__(self, session: Session, port: int, address: str = "127.0.0.1") -> None:
        self._session = session
        self._there = (port, address)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._open: set[Any] = set()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.trouble: HostFailed | None = None

    def __enter__(self) -> Self:
        self._thread(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            _end(end)
        for thread in self._threads:
            thread.join(self._session.target.timeout)

    def _thread(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._thread(self._pass_on, near)

    def _pass_on(self, near: socket.socket) -> None:
        try:
            far = open_channel(self._session, *self._there)
        except HostFailed as error:
            self.trouble = error
            near.close()
            return
        far.settimeout(None)
        self._open |= {near, far}
        out = threading.Thread(target=copy_all, args=(near.recv, far.sendall, far.shutdown_write), daemon=True)
        out.start()
        copy_all(far.recv, near.sendall, lambda: _end(near))
        _end(far)
        out.join()
        near.close()
        self._open -= {near, far}


def copy_all(read: Callable[[int], bytes], write: Callable[[bytes], Any], end: Callable[[], Any]) -> None:
    """Until the end of what is read, which is then passed on: the other direction stays open."""
    with suppress(OSError, EOFError):
        while data := read(_CHUNK):
            write(data)
    with suppress(OSError, EOFError):
        end()


def _end(end: Any) -> None:
    """Wake whoever reads there: a socket is shut down, a channel is closed."""
    with suppress(OSError, EOFError):
        end.shutdown(socket.SHUT_RDWR) if isinstance(end, socket.socket) else end.close()
