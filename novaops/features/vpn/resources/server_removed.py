"""A VPN server that is no more: the port it was reached by, and its authority."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.facts.file import FileAt, FileState
from novaops.facts.firewall import Firewall
from novaops.facts.succeeds import Succeeds
from novaops.features.vpn.facts.server import FOLDER, ServerState, VpnServer
from novaops.formats.iptables import Protocol, Ruleset, accepting
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.resources.open_port import SAVED, OpenPort, saved, write
from novaops.shell import join, quote

_FORGET = f'cd {FOLDER} && rm -rf -- "$1" "$1.crl.pem"'


@dataclass(frozen=True)
class PortClosed(Resource):
    """What novaops had opened for the server is closed again, while its configuration still says that this is its port.

    Rules of others stay, and so does what another program listens on.
    """

    question: VpnServer

    @property
    def id(self) -> str:
        return OpenPort(self.question.port, self._protocol(self.question.protocol)).id

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self.question, Firewall(), _by_ufw(self.question.port, self.question.protocol), self._conf)
        yield from (FileAt(path) for paths in SAVED.values() for path in paths)

    def plan(self, facts: Facts) -> Iterable[Step]:
        server = facts.known(self.question)
        if set(server.listeners) - {"openvpn"} or not self._is_its_own(facts):
            return
        pairs = list(self._pairs(facts, server))
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(action for _, action in pairs))

    @property
    def _conf(self) -> FileAt:
        return FileAt(f"{FOLDER}/{self.question.name}.conf")

    def _is_its_own(self, facts: Facts) -> bool:
        """Another server may have the port that this one would have if nothing were said."""
        conf = facts[self._conf]
        lines = (conf.content or b"").decode("utf-8", "replace").splitlines() if isinstance(conf, FileState) else []
        return f"port {self.question.port}" in lines and any(line.startswith(f"proto {self.question.protocol}") for line in lines)

    def _pairs(self, facts: Facts, server: ServerState) -> Iterator[tuple[Change, Action]]:
        del server
        port, protocol = self.question.port, self._protocol(self.question.protocol)
        if facts.known(by := _by_ufw(port, protocol)):
            name = f"{port}/{protocol}"
            undo = Command(("ufw", "allow", name, "comment", "novaops"), holds=by.command)
            yield Change("ufw", f"allow {name}", None), Command(("ufw", "delete", "allow", name), holds=f"! {{ {by.command}; }}", undo=undo)
        for program, text in facts.known(Firewall()).rules.items():
            for rule in Ruleset(text).rules:
                words = accepting(port, rule.chain, protocol)
                if rule.text == join(words):
                    there = f"{program} -w 10 -C {join(words[1:])} 2>/dev/null"
                    undo = Command((program, "-w", "10", "-I", *words[1:]), holds=there)
                    yield Change(program, rule.text, None), Command((program, "-w", "10", "-D", *words[1:]), holds=f"! {there}", undo=undo)
            for path, file in saved(program, facts):
                before = (file.content or b"").decode("utf-8", "surrogateescape")
                lines = {rule.line for rule in Ruleset(before).rules if rule.text == join(accepting(port, rule.chain, protocol))}
                if lines:
                    after = "".join(line for number, line in enumerate(before.splitlines(keepends=True)) if number not in lines)
                    yield (
                        Change(path, f"port {port}/{protocol} is let in", None),
                        write(program, path, file, after.encode("utf-8", "surrogateescape")),
                    )

    def notes(self, facts: Facts) -> Iterator[str]:
        zone = facts.known(Firewall()).zone
        port, protocol = self.question.port, self.question.protocol
        if zone is not None and f"{port}/{protocol}" in zone.open_at_boot:
            yield f"firewalld goes on letting port {port}/{protocol} in: it does not say who asked for that. firewall-cmd --permanent --zone={zone.name} --remove-port={port}/{protocol}"

    @staticmethod
    def _protocol(text: str) -> Protocol:
        return "udp" if text == "udp" else "tcp"


def _by_ufw(port: int, protocol: str) -> Succeeds:
    """Whether ufw has the rule that novaops gave it."""
    rule = f"ufw allow {port}/{protocol} comment 'novaops'"
    return Succeeds(f"command -v ufw >/dev/null && ufw show added | grep -q -x -F -e {quote(rule)}")


@dataclass(frozen=True)
class AuthorityForgotten(Resource):
    """Only where it was asked for: no client of it can ever come in again."""

    question: VpnServer

    @property
    def id(self) -> str:
        return f"authority:{self.question.name}"

    @property
    def _folder(self) -> str:
        return f"{FOLDER}/{self.question.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self._folder)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(self._folder)]
        if getattr(found, "kind", "") != "directory":
            return
        command = Command(("sh", "-c", _FORGET, "forget", self.question.name), holds=f"[ ! -e {quote(self._folder)} ]")
        yield Step(
            self.id,
            (Change("authority", "with the certificates of its clients", None),),
            (command,),
            cannot_undo="the authority and its clients: new ones have to be made",
        )


@dataclass(frozen=True)
class FolderRemoved(Resource):
    """A folder that was made for one file, which goes before it in the same plan. With anything else in it, it stays."""

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
