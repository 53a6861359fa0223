"""A session on a host: it checks the host key, becomes root, sends a script, and returns its output.

Nothing else in novaops runs anything on a host.
"""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from novaops.errors import HostFailed, NoRoot, NovaopsError
from novaops.shell import quote
from novaops.ssh.early_connect import early_connect
from novaops.ssh.target import Target

if TYPE_CHECKING:
    import paramiko
    from fabric import Connection

_CHUNK = 65_536


@dataclass(frozen=True)
class Output:
    status: int
    stdout: str
    stderr: str


class ConnectionLost(NovaopsError):
    """The connection was lost while a script ran. The script may still be running."""

    code = "connection-lost"
    exit_code = 5


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
        from novaops.ssh.connection import connect, key_of  # takes 0.2 s, in which ssh is asked for the way, and the TCP connection is made

        self.connection = connect(self.target, early, key=self.key, no_passwords=no_passwords)
        self.key = key_of(self.connection)

    def close(self) -> None:
        if self.connection is not None:
            from novaops.ssh.connection import close

            close(self.connection)
            self.connection = None

    def run(self, script: str, *, timeout: float | None = None, root: bool = True) -> Output:
        """Run `script` as root, or else as the login's own user, and wait for its end: one exec.

        Raises NoRoot when the login cannot become root, ConnectionLost when the connection is lost or nothing is printed
        for `timeout` seconds.
        """
        streams: list[list[bytes]] = [[], []]
        channel, mark = self._start(script, root=root)
        try:
            for stream, data in self._output(channel, mark, timeout or self.target.timeout):
                streams[stream].append(data)
            stdout, stderr = (b"".join(parts).decode("utf-8", "surrogateescape") for parts in streams)
            return Output(self._status(channel), stdout, stderr)
        finally:
            channel.close()

    def follow(self, script: str, *, silence: float) -> Iterator[str]:
        """Run `script` as root and yield the lines of its stdout as they come: one exec.

        Leaving the loop closes the channel. Raises ConnectionLost after `silence` seconds without output.
        """
        channel, mark = self._start(script)
        pending = b""
        complaint = b""
        try:
            for stream, data in self._output(channel, mark, silence):
                if stream:
                    complaint += data
                    continue
                *lines, pending = (pending + data).split(b"\n")
                yield from (line.decode("utf-8", "surrogateescape") for line in lines)
            if status := self._status(channel):
                raise HostFailed(
                    f"{self.target} could not start the run (exit status {status})",
                    why=complaint.decode("utf-8", "replace").strip(),
                )
        finally:
            channel.close()

    def _start(self, script: str, *, root: bool = True) -> tuple[paramiko.Channel, str]:
        """Open a channel whose command becomes root and reads a script, and send that. Returns the mark before its output too."""
        import paramiko

        assert self.connection is not None, "the session is not open"
        transport: paramiko.Transport = self.connection.transport
        mark = f"novaops-{secrets.token_hex(16)}"
        password = self.target.sudo_password if root else None
        command = _as_root(mark, password=password is not None) if root else _login_shell(_begin(mark))
        head = f"{password.reveal()}\n{mark}\n" if password is not None else ""
        self.execs += 1
        try:
            channel = transport.open_session(timeout=self.target.timeout)
            channel.settimeout(self.target.timeout)
            _execute(transport, channel, command)
            try:
                channel.sendall((head + script).encode("utf-8", "surrogateescape"))
                channel.shutdown_write()
            except OSError:
                if channel.eof_received or channel.closed or not transport.is_active():
                    pass  # It ended before it read everything: what it said tells why.
                else:
                    raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectionLost(f"the connection to {self.target} was lost", why=str(error)) from error
        return channel, mark

    def _output(self, channel: paramiko.Channel, mark: str, silence: float) -> Iterator[tuple[int, bytes]]:
        """Both streams of the script itself, without what the login shell and sudo print before it.

        Raises NoRoot or HostFailed when the script was not started.
        """
        begin = f"{mark}\n".encode()
        before: list[bytes | None] = [b"", b""]
        for stream, data in self._drain(channel, silence):
            held = before[stream]
            if held is None:
                yield stream, data
                continue
            noise, found, said = (held + data).partition(begin)
            before[stream] = None if found else noise
            if said:
                yield stream, said
        if before[0] is not None:
            complaint = (before[1] or before[0]).decode("utf-8", "replace")
            raise self._not_started(self._status(channel), complaint)

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
                channel.close()
                raise ConnectionLost(
                    f"{self.target} said nothing for {silence:g} s",
                    why="The command did not end, or the connection is dead.",
                    fix="--timeout gives it more time",
                )
            select.select([channel], [], [], min(left, 0.5))

    def _not_started(self, status: int, complaint: str) -> HostFailed:
        """Why the script was not run, from what sudo or the login shell printed."""
        lines = [line.strip() for line in complaint.splitlines() if "unable to resolve host" not in line]
        known = [line for line in lines if line.startswith(("sudo:", "novaops-root:")) or "sudoers" in line or "not allowed" in line]
        user = self.target.user or "the login"
        if not known:
            return HostFailed(
                f"{user} can run nothing on {self.target} (exit status {status})",
                why=lines[-1] if any(lines) else "Its login shell printed nothing.",
                fix="give the user a login shell that runs commands",
            )
        said = known[-1].removeprefix("novaops-root: ").removeprefix("sudo: ")
        if any("incorrect password" in line for line in known):
            return NoRoot(f"sudo on {self.target} did not take the password of {user}", why=said)
        if "password" in said and self.target.sudo_password is None:
            return NoRoot(
                f"sudo on {self.target} wants a password for {user}",
                why=said,
                fix="add --ask-sudo-password, or sudo_password: env:NAME in the inventory",
            )
        return NoRoot(f"{user} cannot become root on {self.target}", why=said, fix="log in as root, or give the user sudo rights")


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


def _as_root(mark: str, *, password: bool) -> str:
    """The command that turns its standard input into a script run by root.

    A password is the first line of the input. It goes to sudo through pipes only, and is tried once before the script
    is sent after it: a wrong one must not make sudo read the script's lines as further passwords. The root shell drops
    everything up to the mark, so that the password can never be taken for a command.
    """
    missing = 'command -v sudo >/dev/null || { echo "novaops-root: sudo is not installed, and the login is not root" >&2; exit 77; }; '
    begin = _begin(mark)
    if not password:
        return _login_shell(f'begin={quote(begin)}; [ "$(id -u)" != 0 ] || exec sh -c "$begin"; {missing}exec sudo -n -- sh -c "$begin"')
    after_mark = f'while read -r line; do [ "$line" != {mark} ] || break; done; {begin}'
    return _login_shell(
        f"after_mark={quote(after_mark)}; "
        'unset password; IFS= read -r password; [ "$(id -u)" != 0 ] || exec sh -c "$after_mark"; '
        f"{missing}"
        'if sudo -k -n -- sh -c : 2>/dev/null; then exec sudo -n -- sh -c "$after_mark"; fi; '
        'printf "%s\\n" "$password" | sudo -k -S -p "" -- sh -c : || exit 78; '
        '{ printf "%s\\n" "$password"; exec cat; } | sudo -k -S -p "" -- sh -c "$after_mark"'
    )


def _begin(mark: str) -> str:
    """Words of sh: print the mark on both streams, then run standard input. What follows the mark is output of the script."""
    return f"echo {mark}; echo {mark} >&2; exec sh -s"


def _login_shell(body: str) -> str:
    """The command that runs `body` in sh, whatever the login shell is."""
    return f"exec env LC_ALL=C sh -c {quote(body)}"
