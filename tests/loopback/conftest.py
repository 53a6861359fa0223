"""A small ssh server of our own: it really runs what it is told, with sh, and misbehaves on demand."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

from novaops.ssh.target import Target


@dataclass
class Manners:
    """How the server behaves."""

    lets_in: bool = True
    methods: tuple[str, ...] = ("publickey",)
    """The ways to log in that it offers; with "none" nothing is asked for."""
    accepts: str = "right"
    """The password that is right."""
    hangs_up: int = 0
    """On so many connections to come it hangs up before the greeting, as sshd does while it starts anew."""
    greeting: str = ""
    """What the login shell prints before the command, on both streams."""
    instead: str = ""
    """What the login shell runs instead of any command, as a menu or a forced command."""
    cuts_after: int | None = None
    """Bytes of output after which it drops the connection."""
    exit_status: bool = True
    """Whether it says how a command ended."""
    sessions: int | None = None
    """How many commands it runs at a time on one connection, as sshd's MaxSessions. One counts until it has ended, whoever closed it."""
    forwards: bool = True
    """Whether it opens connections to elsewhere."""


class Server(paramiko.ServerInterface):
    """One connection."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._attempts: list[str] = []
        self._busy = 0
        self.lines: dict[int, socket.socket] = {}
        """Connections to elsewhere, by the number of their channel."""
        host.attempts.append(self._attempts)

    def check_auth_none(self, username: str) -> int:
        del username
        return self._judged("none", right=True)

    def check_auth_password(self, username: str, password: str) -> int:
        del username
        return self._judged("password", right=password == self._host.manners.accepts)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username
        return self._judged("publickey", right=self._host.is_client(key))

    def get_allowed_auths(self, username: str) -> str:
        del username
        return ",".join(method for method in self._host.manners.methods if method != "none")

    def _judged(self, method: str, *, right: bool) -> int:
        self._attempts.append(method)
        manners = self._host.manners
        return AUTH_SUCCESSFUL if right and manners.lets_in and method in manners.methods else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self._busy == self._host.manners.sessions:
            return OPEN_FAILED_CONNECT_FAILED
        self._busy += 1
        return OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]) -> int:
        del origin
        if not self._host.manners.forwards:
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            self.lines[chanid] = socket.create_connection(destination, 5)
        except OSError:
            return OPEN_FAILED_CONNECT_FAILED
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._host.execs.append(command.decode())
        self._host.thread(self._execute, channel, command)
        return True

    def _execute(self, channel: paramiko.Channel, command: bytes) -> None:
        self._host.execute(channel, command)
        self._busy -= 1


@dataclass
class Host:
    """An address where ssh is spoken."""

    folder: Path
    manners: Manners = field(default_factory=Manners)
    execs: list[str] = field(default_factory=list)
    attempts: list[list[str]] = field(default_factory=list)
    """How each connection tried to log in."""
    host_key: paramiko.PKey = field(default_factory=paramiko.ECDSAKey.generate)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._transports: list[paramiko.Transport] = []
        self._lines: list[socket.socket] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.identity = self.folder / "identity"
        self.makes_client_key("ed25519")
        self.known_hosts = self.folder / "known_hosts"
        self.knows(self.line())
        self.thread(self._accept)

    def makes_client_key(self, kind: str, passphrase: str = "") -> None:
        """The key that logs in from now on, as ssh-keygen writes it."""
        self.identity.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(self.identity)], stdin=subprocess.DEVNULL, check=True)
        self._client_key = self.identity.with_suffix(".pub").read_text().split(" ")[1]

    def is_client(self, key: paramiko.PKey) -> bool:
        return key.get_base64() == self._client_key

    def line(self, key: paramiko.PKey | None = None, marker: str = "") -> str:
        key = key or self.host_key
        return f"{marker}[127.0.0.1]:{self.port} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}"

    def knows(self, *lines: str) -> None:
        """Makes these the lines of known_hosts."""
        self.known_hosts.write_text("".join(f"{line}\n" for line in lines))

    def target(self, timeout: float = 10.0) -> Target:
        return Target("loop", "127.0.0.1", self.port, "root", str(self.identity), str(self.known_hosts), timeout=timeout)

    def thread(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for transport in self._transports:
            transport.close()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for line in self._lines:
            line.close()

    def drop(self) -> None:
        """Every connection is gone at once, as when a cable is cut."""
        for transport in self._transports:
            transport.sock.close()
            transport.close()

    def falls_silent(self) -> None:
        """Every connection stays, and nothing more is said on it, as by a machine that hangs."""
        for transport in self._transports:
            transport._send_message = lambda _: None  # type: ignore[attr-defined]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.manners.hangs_up:
                self.manners.hangs_up -= 1
                connection.close()
                continue
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            self._transports.append(transport)
            server = Server(self)
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=server, event=threading.Event())
            self.thread(self._forward, transport, server)

    def _forward(self, transport: paramiko.Transport, server: Server) -> None:
        """Pass on what goes elsewhere. Both ways end by themselves, as sshd's do."""
        held = []  # paramiko closes a channel that nobody holds, also one whose command is not requested yet
        while transport.is_active():
            channel = transport.accept(0.2)
            held.append(channel)
            if channel is not None and (line := server.lines.pop(channel.get_id(), None)):
                line.settimeout(None)
                self._lines.append(line)
                self.thread(self._pass_on, channel.recv, line.sendall, lambda line=line: line.shutdown(socket.SHUT_WR))
                self.thread(self._pass_on, line.recv, channel.sendall, channel.shutdown_write)
        for line in server.lines.values():  # the client left before its channel was taken
            line.close()

    @staticmethod
    def _pass_on(read: Callable[[int], bytes], write: Callable[[bytes], object], end: Callable[[], object]) -> None:
        with suppress(OSError, EOFError):
            while data := read(65_536):
                write(data)
        with suppress(OSError, EOFError):
            end()

    def execute(self, channel: paramiko.Channel, command: bytes) -> None:
        process = subprocess.Popen(
            ["sh", "-c", self.manners.instead or command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.append(process)
        assert process.stdin
        assert process.stdout
        assert process.stderr
        if self.manners.greeting:
            channel.sendall(self.manners.greeting.encode())
            channel.sendall_stderr(self.manners.greeting.encode())
        outputs = [
            threading.Thread(target=self._pump, args=(process.stdout, channel, channel.sendall)),
            threading.Thread(target=self._pump, args=(process.stderr, channel, channel.sendall_stderr)),
        ]
        for thread in outputs:
            thread.start()
        with process.stdin:
            with suppress(OSError, EOFError):
                while data := channel.recv(65_536):
                    process.stdin.write(data)
                    process.stdin.flush()
            with suppress(BrokenPipeError):
                process.stdin.close()
        for thread in outputs:
            thread.join()
        status = process.wait()
        with suppress(OSError, EOFError):
            if self.manners.exit_status:
                channel.send_exit_status(status if status >= 0 else 128 - status)
            channel.close()

    def _pump(self, stream: object, channel: paramiko.Channel, send: object) -> None:
        sent = 0
        limit = self.manners.cuts_after
        with stream, suppress(OSError, EOFError):  # type: ignore[attr-defined]
            while data := stream.read1(65_536):  # type: ignore[attr-defined]
                if limit is not None and sent + len(data) >= limit:
                    send(data[: limit - sent])  # type: ignore[operator]
                    self.drop()
                    return
                send(data)  # type: ignore[operator]
                sent += len(data)
        del channel


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A well-behaved server; nobody's own ssh configuration counts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server = Host(tmp_path)
    try:
        yield server
    finally:
        server.close()
