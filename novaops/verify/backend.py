"""testinfra over a Session: host keys checked, sudo with its password, one connection for everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from novaops.errors import HostFailed
from novaops.shell import whole
from novaops.ssh.session import Session


@dataclass(frozen=True)
class Ran:
    """A command that the host was asked to run, for those who want to see it."""

    command: str
    status: int

    def __str__(self) -> str:
        first, *more = self.command.strip().splitlines()
        return f"{first}{' …' if more else ''}  (exit status {self.status})"


class SessionBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Every command is one exec on the session, run by root."""

    NAME = "novaops"

    def __init__(self, session: Session) -> None:
        super().__init__(session.target.name)
        self.session = session
        self.ran: list[Ran] = []
        self._encoding = "utf-8"  # Else testinfra asks the host's Python, in two execs, about it.

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        del kwargs
        line = self.quote(command, *args)
        output = self.session.run(whole(line))
        self.ran.append(Ran(line, output.status))
        streams = (text.encode("utf-8", "surrogateescape") for text in (output.stdout, output.stderr))
        return self.result(output.status, line.encode("utf-8", "surrogateescape"), *streams)

    def decode(self, data: bytes) -> str:
        return data.decode("utf-8", "surrogateescape")


def testinfra_host(session: Session) -> tuple[Host, SessionBackend]:
    """A testinfra host of its own: `get_host` would keep it for the life of the process."""
    backend = SessionBackend(session)
    host = Host(backend)
    backend.set_host(host)
    return host, backend


def output(host: Host, command: str, *args: str, expected: tuple[int, ...] = (0,)) -> str:
    """What `command` prints. Raises HostFailed for another exit status: what could not be seen is no drift."""
    done = host.run(command, *args)
    if done.rc not in expected:
        raise HostFailed(
            f"{host.backend.get_hostname()} could not be looked at: {command.split(maxsplit=1)[0]} ended with exit status {done.rc}",
            why=str(done.stderr).strip(),
        )
    return str(done.stdout)
