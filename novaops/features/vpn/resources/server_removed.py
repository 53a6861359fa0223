"""What is removed with a VPN server: the rule that opened its port, a folder, and its authority where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall
from novaops.facts.succeeds import Succeeds
from novaops.features.vpn.facts.server import ServerState, VpnServer
from novaops.features.vpn.paths import ServerPaths
from novaops.formats.iptables import Protocol, Ruleset, accepting
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.open_port import SAVED, OpenPort, saved, write
from novaops.shell import join, quote, whole_lines

_Pair = tuple[Change, Action]


@dataclass(frozen=True)
class PortClosed(Resource):
    """What novaops had opened for the server is closed again, while its configuration still says that this is its port.

    Other rules stay, and the port stays open where another program listens on it. Of a server that stays, the port that it leaves is closed.
    """

    question: VpnServer
    stays: bool = False
    others: frozenset[tuple[int, str]] = frozenset()
    """Ports and protocols that other servers of the host are to have."""

    @property
    def id(self) -> str:
        return f"former port:{self.question.name}" if self.stays else OpenPort(*self._wanted).id

    def _port(self, state: ServerState) -> tuple[int, Protocol] | None:
        """The one to close; None for none."""
        is_wanted = state.configured in self.others or (self.stays and state.configured == self._wanted)
        return None if is_wanted else state.configured

    @property
    def _wanted(self) -> tuple[int, Protocol]:
        return self.question.port, "udp" if self.question.protocol == "udp" else "tcp"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self.question, Firewall())
        yield from (FileAt(path) for paths in SAVED.values() for path in paths)

    def plan(self, facts: Facts) -> Iterable[Step]:
        state = facts.known(self.question)
        port = self._port(state)
        if port is None or state.beside:
            return
        pairs = [*self._ufw(*port, state.ufw), *self._iptables(*port, facts)]
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, action in pairs))

    def _ufw(self, port: int, protocol: Protocol, opened: frozenset[str]) -> Iterator[_Pair]:
        name = f"{port}/{protocol}"
        if name in opened:
            rule = f"ufw allow {name} comment 'novaops'"
            there = f"ufw show added | grep -q -x -F -e {quote(rule)}"
            allow = Command(("ufw", "allow", name, "comment", "novaops"), holds=there)
            delete = Command(("ufw", "delete", "allow", name), holds=f"! {{ {there}; }}", undo=allow)
            yield Change("ufw", f"allow {name}", None), delete

    def _iptables(self, port: int, protocol: Protocol, facts: Facts) -> Iterator[_Pair]:
        for program, text in facts.known(Firewall()).rules.items():
            for rule in Ruleset(text).rules:
                words = accepting(port, rule.chain, protocol)
                if rule.text == join(words):
                    there = f"{program} -w 10 -C {join(words[1:])} 2>/dev/null"
                    insert = Command((program, "-w", "10", "-I", *words[1:]), holds=there)
                    delete = Command((program, "-w", "10", "-D", *words[1:]), holds=f"! {there}", undo=insert)
                    yield Change(program, rule.text, None), delete
            for path, file in saved(program, facts):
                before = (file.content or b"").decode("utf-8", "surrogateescape")
                lines = {rule.line for rule in Ruleset(before).rules if rule.text == join(accepting(port, rule.chain, protocol))}
                if lines:
                    after = "".join(line for number, line in enumerate(whole_lines(before)) if number not in lines)
                    content = after.encode("utf-8", "surrogateescape")
                    yield Change(path, f"port {port}/{protocol} is let in", None), write(program, path, file, content)

    def notes(self, facts: Facts) -> Iterator[str]:
        zone, port = facts.known(Firewall()).zone, self._port(facts.known(self.question))
        if zone is None or port is None:
            return
        name = "/".join(map(str, port))
        if name in zone.open_at_boot:
            close = f"firewall-cmd --permanent --zone={zone.name} --remove-port={name}"
            yield f"firewalld goes on letting port {name} in: it does not say who asked for that. {close}"


@dataclass(frozen=True)
class AuthorityForgotten(Resource):
    """The authority of a server is removed, with all it has issued. Only where it was asked for: no client can ever come in again."""

    server: str

    @property
    def id(self) -> str:
        return f"authority:{self.server}"

    @property
    def _folder(self) -> str:
        return ServerPaths(self.server).folder

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self._folder)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(self._folder)]
        if not isinstance(found, FileState) or found.kind != "directory":
            return
        folder, name = self._folder.rsplit("/", 1)
        script = f'cd {folder} && rm -rf -- "$1" "$1.crl.pem"'
        yield Step(
            self.id,
            (Change("authority", "with the certificates of its clients", None),),
            (Command(("sh", "-c", script, "forget", name), holds=f"[ ! -e {quote(self._folder)} ]"),),
            cannot_undo="the authority and its clients: new ones have to be made",
        )


@dataclass(frozen=True)
class FolderRemoved(Resource):
    """A folder that was made for one file, which the same plan removes before it. With anything else in it, it stays."""

    path: str
    file: str

    @property
    def id(self) -> str:
        return f"directory:{self.path}"

    @property
    def _stays(self) -> Succeeds:
        return Succeeds(f"[ ! -d {quote(self.path)} ] || ls -A {quote(self.path)} | grep -q -v -x -F -e {quote(self.file)}")

    def questions(self) -> Iterable[Question[Any]]:
        yield self._stays

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts.known(self._stays):
            return
        path = quote(self.path)
        undo = Command(("install", "-d", "-m", "0755", "--", self.path), holds=f"[ -d {path} ]")
        remove = Command(("rmdir", "--", self.path), holds=f"[ ! -e {path} ]", undo=undo)
        yield Step(self.id, (Change("directory", "present", None),), (remove,))
