"""A session on a host: it checks the host key, becomes root, sends a script, and returns its output.

Nothing else in novaops runs anything on a host.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from novaops.errors import HostFailed, NovaopsError
from novaops.ssh.early_connect import early_connect
from novaops.ssh.launch import Launch, shell_hint
from novaops.ssh.lean_fabric import lean_fabric
from novaops.ssh.target import Target

if TYPE_CHECKING:
    import socket

    import paramiko
    from fabric import Connection

_CHUNK = 65_536

MOST_OUTPUT = 64 << 20
"""Bytes of both streams that a script may print."""

MOST_LINE = 4 << 20
"""Bytes of a line of a run that is followed."""

PATIENCE = (30.0, 4)
"""What only looks must have ended after so many seconds, or so many times the silence that is allowed, whichever is more. The
same holds for what a login shell prints before the script: a host that says a word now and then would hold us for ever."""

_CLOSING = 0.5
"""Seconds for the server to close a channel whose command has ended. It sends that along with the exit status."""


@dataclass(frozen=True)
class Output:
    status: int
    stdout: str
    stderr: str


class ConnectionLost(NovaopsError):
    """The connection was lost while a script ran. The script may still be running."""

    code = "connection-lost"
    exit_code = 5


class NoChannel(ConnectionLost):
    """The server opens no channel on the connection: it has as many as MaxSessions allows."""


class Session:
    """A connection to one host, on which scripts run as root.

    A context manager. Every error of the network, the host key or the login is an Unreachable.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.execs = 0
        self.key: paramiko.PKey | None = None
        """The key that authenticated. Set before `open`, it is the only one that is tried."""
        self.connection: Connection | None = None
        """The open one: it knows the way through ssh_config and jump hosts."""
        self._used = False
        """Whether the connection has had a channel."""
        self._asks: bool | None = None
        """Whether sudo asks for the password here; None while that is unknown."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, *, no_passwords: bool = False) -> None:
        """Connect and log in. With `no_passwords` the server must refuse a password before the key is tried.

        Raises Unreachable; PasswordsAccepted when the server accepts passwords.
        """
        early = early_connect(self.target)
        with lean_fabric():  # takes 0.2 s, in which ssh is asked for the way, and the TCP connection is made
            from novaops.ssh.connection import connect, key_of

        self._used = False
        self.connection = connect(self.target, early, key=self.key, no_passwords=no_passwords)
        self.key = key_of(self.connection)

    def close(self) -> None:
        if self.connection is not None:
            from novaops.ssh.connection import close

            close(self.connection)
            self.connection = None

    @property
    def _user(self) -> str:
        """Who is logged in."""
        assert self.connection is not None, "the session is not open"
        return str(self.connection.user)

    def run(self, script: str, *, timeout: float | None = None, root: bool = True) -> Output:
        """Run `script` as root, or else as the login's own user, and wait for its end: one exec.

        Raises NoRoot when the login cannot become root, ConnectionLost when the connection is lost, nothing is printed
        for `timeout` seconds, or it does not end (see PATIENCE), HostFailed when it prints more than MOST_OUTPUT.
        """
        return self._run(script, timeout, root=root, patient=True)

    def run_beside(self, script: str, *, root: bool = False) -> Output:
        """Run `script` while another one is followed, as the login's own user unless `root`: one exec.

        Over a connection of its own where the server opens no second channel on this one.
        """
        try:
            return self._run(script, None, root=root, patient=False)
        except NoChannel:
            other = Session(self.target)
            other.key = self.key
            with other:
                return other.run(script, root=root)

    def _run(self, script: str, timeout: float | None, *, root: bool, patient: bool) -> Output:
        streams: list[list[bytes]] = [[], []]
        with self._channel(script, root=root, patient=patient) as (channel, launch):
            printed = 0
            for stream, data in self._output(channel, launch, timeout or self.target.timeout, ends=True):
                streams[stream].append(data)
                printed += len(data)
                if printed > MOST_OUTPUT:
                    raise HostFailed(f"{self.target} prints without end", why=f"More than {MOST_OUTPUT >> 20} MiB came, and were dropped.")
            stdout, stderr = (b"".join(parts).decode("utf-8", "surrogateescape") for parts in streams)
            status = self._status(channel)
            with channel.lock:  # the server may open the next channel only when it has closed this one
                channel.out_buffer_cv.wait_for(lambda: channel.closed, _CLOSING)
            return Output(status, stdout, stderr)

    def follow(self, script: str, *, silence: float) -> Iterator[str]:
        """Run `script` as root and yield the lines of its stdout as they come: one exec.

        Leaving the loop closes the channel. Raises ConnectionLost after `silence` seconds without output, HostFailed for a
        line longer than MOST_LINE.
        """
        pending = bytearray()
        complaint = b""
        with self._channel(script) as (channel, launch):
            for stream, data in self._output(channel, launch, silence):
                if stream:
                    complaint = (complaint + data)[-_CHUNK:]
                    continue
                pending += data
                if b"\n" in data:
                    *lines, pending = pending.split(b"\n")
                    yield from (line.decode("utf-8", "surrogateescape") for line in lines)
                if len(pending) > MOST_LINE:
                    raise HostFailed(f"{self.target} prints a line without end", why=f"More than {MOST_LINE >> 20} MiB of it came.")
            if status := self._status(channel):
                raise HostFailed(
                    f"{self.target} could not start the run (exit status {status})",
                    why=complaint.decode("utf-8", "replace").strip(),
                )

    @contextmanager
    def _channel(self, script: str, *, root: bool = True, patient: bool = True) -> Iterator[tuple[paramiko.Channel, Launch]]:
        """A channel on which the command that runs `script` was requested. It is closed at the end."""
        password = self.target.sudo_password if self._asks is not False and self._user != "root" else None
        launch = Launch(script, root=root, sudo_password=password, asked=bool(self._asks))
        self.execs += 1
        channel, launch = self._started(launch, patient=patient)
        with self._sent(channel, launch):
            yield channel, launch

    def _started(self, launch: Launch, *, patient: bool) -> tuple[paramiko.Channel, Launch]:
        """A channel on which the launch's command was requested, and nothing sent. Raises ConnectionLost."""
        import paramiko

        assert self.connection is not None, "the session is not open"
        transport: paramiko.Transport = self.connection.transport
        try:
            channel = self._open_channel(transport, patient=patient)
            channel.settimeout(self.target.timeout)
            _execute(transport, channel, launch.command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        return channel, launch

    @contextmanager
    def _sent(self, channel: paramiko.Channel, launch: Launch) -> Iterator[None]:
        """What is due at first is sent. The channel is closed at the end."""
        try:
            self._send(channel, launch)
            yield
        finally:
            _close(channel)

    def _open_channel(self, transport: paramiko.Transport, *, patient: bool) -> paramiko.Channel:
        """With MaxSessions 1 a server opens a channel only when the command of the one before has ended there: `patient` waits for that.

        Raises NoChannel.
        """
        import paramiko

        deadline = time.monotonic() + (self.target.timeout if patient and self._used else 0)
        pause = 0.05
        while True:
            try:
                channel = transport.open_session(timeout=self.target.timeout)
            except paramiko.ChannelException as error:
                if time.monotonic() > deadline:
                    what = f"{self.target} lets {self._user} in, and opens no session"
                    why = f"{error.text}. MaxSessions of its sshd_config may be too low, or this login may only forward ports."
                    raise NoChannel(what, why=why, fix="sshd -T | grep maxsessions, on the host, says how many it opens") from error
                time.sleep(pause)  # nothing tells when it may
                pause = min(2 * pause, 1.0)
            else:
                self._used = True
                return channel

    def _lost(self, error: Exception) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self.target} was lost", why=str(error) or "It ended while something was sent.")

    def _send(self, channel: paramiko.Channel, launch: Launch) -> None:
        """Send what the launch has due, and the end of the input after the last of it."""
        import paramiko

        due, last = launch.due()
        if not due:
            return
        try:
            channel.sendall(due)
            if last:
                channel.shutdown_write()
        except (paramiko.SSHException, OSError, EOFError) as error:  # EOFError: the socket took no more of it
            if not channel.eof_received and not channel.closed and channel.get_transport().is_active():
                raise self._lost(error) from error
            # Else it ended before it read everything: what it said tells why.

    def _output(self, channel: paramiko.Channel, launch: Launch, silence: float, *, ends: bool = False) -> Iterator[tuple[int, bytes]]:
        """Both streams of the script itself, without what the login shell and sudo print before it.

        `ends`: the script only looks, and has to end in time. Raises NoRoot or HostFailed when the script was not started.
        """
        patience = max(PATIENCE[0], PATIENCE[1] * silence)
        deadline = time.monotonic() + patience
        try:
            for stream, data in self._drain(channel, silence):
                if ends or not launch.begun:
                    self._hurry(deadline, patience)
                said = launch.heard(stream, data)
                self._send(channel, launch)
                if launch.begun and launch.held_back:
                    self._asks = launch.asked
                if said:
                    yield stream, said
                if launch.too_noisy:
                    raise HostFailed(f"{self.target} prints without end, and runs nothing", **self._printed(launch))
        except ConnectionLost as error:
            if launch.begun or launch.by or not launch.printed():
                raise
            raise ConnectionLost(error.what, **self._printed(launch)) from error
        if not launch.begun:
            raise launch.why_not(self._status(channel), self.target, self._user)

    def _hurry(self, deadline: float, patience: float) -> None:
        """Raises ConnectionLost after the deadline."""
        if time.monotonic() > deadline:
            what = f"{self.target} was not done after {patience:g} s"
            raise ConnectionLost(what, why="It still printed something now and then.", fix="--timeout gives it more time")

    def _printed(self, launch: Launch) -> dict[str, str]:
        """The parts of an error about a login shell or a forced command that neither runs the script nor ends."""
        printed = "\n".join(launch.printed())
        return {"why": f"It printed:\n{printed}", "fix": shell_hint(printed, self.target, self._user)}

    def _status(self, channel: paramiko.Channel) -> int:
        """The exit status, once all output is read. sshd may send it before the last output, so it does not tell that all is there."""
        complete = channel.eof_received or channel.get_transport().is_active()
        status = channel.recv_exit_status() if complete and channel.exit_status_ready() else -1
        if status == -1:
            raise ConnectionLost(f"the connection to {self.target} was lost")
        return status

    def _drain(self, channel: paramiko.Channel, silence: float) -> Iterator[tuple[int, bytes]]:
        """Both streams as they come, 0 for stdout and 1 for stderr. Read one after the other, the second could fill up and block."""
        deadline = time.monotonic() + silence
        while True:
            ready = channel.recv_ready(), channel.recv_stderr_ready()
            if ready[0]:
                yield 0, channel.recv(_CHUNK)
            if ready[1]:
                yield 1, channel.recv_stderr(_CHUNK)
            if any(ready):
                deadline = time.monotonic() + silence
                continue
            if channel.closed or (channel.eof_received and channel.exit_status_ready()):
                if not channel.recv_ready() and not channel.recv_stderr_ready():
                    return
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                _close(channel)
                raise ConnectionLost(
                    f"{self.target} said nothing for {silence:g} s",
                    why="The command did not end, or the connection is dead.",
                    fix="--timeout gives it more time",
                )
            readable(channel, min(left, 0.5))


def readable(file: paramiko.Channel | socket.socket, seconds: float) -> bool:
    """Wait for input. select() takes no descriptor above 1,023."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def _close(channel: paramiko.Channel) -> None:
    """Close it; the server is told where the connection still takes that."""
    import paramiko

    with suppress(paramiko.SSHException, OSError, EOFError):
        channel.close()


def _execute(transport: paramiko.Transport, channel: paramiko.Channel, command: str) -> None:
    """Request the command, without waiting for the reply: on a link of 200 ms that saves a tenth of the time of a check.

    paramiko's exec_command always waits. A server that cannot run the command closes the channel without an exit status.
    """
    import paramiko

    request = paramiko.Message()
    request.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(False)  # noqa: FBT003 - paramiko's form
    request.add_string(command)
    send = transport._send_user_message  # type: ignore[attr-defined]  # noqa: SLF001 - what paramiko's own requests go through
    send(request)
