"""testinfra over a Session, so with checked host keys, sudo, and one connection for everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from novaops.errors import HostFailed
from novaops.shell import lines_of, whole
from novaops.ssh.session import Session


@dataclass(frozen=True)
class Ran:
    """A command that was run on the host, for -v."""

    command: str
    status: int

    def __str__(self) -> str:
        first, *more = lines_of(self.command.strip())
        return f"{first}{' …' if more else ''}  (exit status {self.status})"


class SessionBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Every command is one exec on the session, run by root. A session that is closed is opened again."""

    NAME = "novaops"

    def __init__(self, session: Session) -> None:
        super().__init__(session.target.name)
        self.session = session
        self.ran: list[Ran] = []
        self._encoding = "utf-8"  # else testinfra asks the host's Python, with two execs

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        del kwargs
        line = self.quote(command, *args)
        if self.session.connection is None:  # a test that asks the host by itself, after all was seen
            self.session.open()
        output = self.session.run(whole(line))
        self.ran.append(Ran(line, output.status))
        streams = (text.encode("utf-8", "surrogateescape") for text in (output.stdout, output.stderr))
        return self.result(output.status, line.encode("utf-8", "surrogateescape"), *streams)

    def decode(self, data: bytes) -> str:
        return data.decode("utf-8", "surrogateescape")


def testinfra_host(session: Session) -> tuple[Host, SessionBackend]:
    """A new testinfra host. `get_host` of testinfra would cache it for the life of the process."""
    backend = SessionBackend(session)
    host = Host(backend)
    backend.set_host(host)
    return host, backend


def output(host: Host, command: str, *args: str, expected: tuple[int, ...] = (0,)) -> str:
    """What `command` prints; each `%s` in it is one of `args`, quoted.

    Raises HostFailed for another exit status, so that it is not reported as drift.
    """
    done = host.run(command, *args)
    if done.rc not in expected:
        raise HostFailed(
            f"{host.backend.get_hostname()} could not be looked at: {command.split(maxsplit=1)[0]} ended with exit status {done.rc}",
            why=str(done.stderr).strip(),
        )
    return str(done.stdout)
