"""A link to an OpenVPN server: its files, its unit that runs with just these, and whether the API answers through it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.dns import AddressesOf
from novaops.facts.file import FileAt, FileState
from novaops.facts.nearby import Nearby
from novaops.facts.succeeds import Succeeds
from novaops.features.vpn.diagnosis import diagnose
from novaops.features.vpn.facts.link import LinkStates
from novaops.features.vpn.paths import LINKS, LinkPaths
from novaops.features.vpn.resources import link_commands as commands
from novaops.formats.names import is_address
from novaops.model.action import Action, Command, Text, payload
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import quote

MANAGED = b"# managed by novaops"
"""How a configuration begins that novaops wrote."""


@dataclass(frozen=True)
class VpnLink(Resource):
    name: str
    device: str
    contents: Mapping[str, Text | None] = field(repr=False, hash=False)
    """The content of each file, by its path."""
    modes: Mapping[str, str] = field(repr=False, hash=False)
    networks: tuple[str, ...] = ()
    """The addresses and networks among the routes."""
    servers: tuple[str, ...] = ()
    """Hosts of the profile's `remote` lines."""
    said: tuple[str, ...] = ()
    """Findings about the profile that are worth knowing."""

    @property
    def id(self) -> str:
        return f"vpn:{self.name}"

    @property
    def paths(self) -> LinkPaths:
        return LinkPaths(self.name)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(path) for path in self.paths.all)
        yield from (Succeeds(commands.is_right(self.paths)), Nearby(), LinkStates())
        yield from (AddressesOf(server) for server in self.servers if not is_address(server))

    def plan(self, facts: Facts) -> Iterable[Step]:
        _refuse_foreign(
            self.paths, facts, "there is a {} already, and novaops has not made it", fix="take another name, or move it away first"
        )
        self._refuse_near(facts)
        files = [File(path, self.contents.get(path), self.modes.get(path, "0644")) for path in self.paths.all]
        steps = [step for one in files for step in one.plan(facts)]
        if not steps and facts.known(Succeeds(commands.is_right(self.paths))):
            return
        changes, writes = _together(steps)
        name, paths, old = self.name, self.paths, self._old(facts)
        before = commands.is_unknown(paths) if old is None else commands.runs_with(paths, old)
        # What comes first is undone last: then the old files are there again, or none.
        stop = commands.down(name) if old is None else commands.aside(name)
        aside = Command(stop, undo=Command(commands.back(name), holds=before))
        # Undone already where it is off, or runs with other files: when the old ones are there again, it runs with those.
        new = commands.digest(payload(text) for path in paths.started_with if (text := self.contents.get(path)) is not None)
        undone = f"{commands.is_off(paths)} || ! {commands.runs_with(paths, new)}"
        start = Command(commands.up(name), undo=Command(stop, holds=undone))
        changes.append(Change("link", None if old is None else "as it was", "up"))
        yield Step(self.id, tuple(changes), (aside, *writes, start), Risk.LOCKOUT)

    def notes(self, facts: Facts) -> Iterator[str]:
        del facts
        yield from self.said

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed when traffic does not go through it."""
        link = facts.known(LinkStates()).named(self.name)
        if link is None:
            raise HostFailed(f"{self.name}: the link is not set up")
        if diagnosis := diagnose(link):
            more = f"journalctl -u {self.paths.unit} on the host says more"
            raise HostFailed(f"{self.name}: {diagnosis.what}", why=diagnosis.why, fix=more)

    def _old(self, facts: Facts) -> str | None:
        """The digest of the files of a link that is there; None where there is none."""
        found: list[Any] = [facts[FileAt(path)] for path in self.paths.started_with]
        if not isinstance(found[0], FileState):
            return None
        return commands.digest(file.content or b"" for file in found if isinstance(file, FileState))

    def _refuse_near(self, facts: Facts) -> None:
        """Raises Refused for a network that contains neighbours of the host, its gateway or the VPN's server."""
        near = facts.known(Nearby())
        servers = [server for server in self.servers if is_address(server)]
        for server in self.servers:
            if not is_address(server) and (found := facts[AddressesOf(server)]) is not Missing.ABSENT:
                servers += found
        for text in self.networks:
            network = ipaddress.ip_network(text)
            for what, others in (("the VPN's own server", servers), ("the host's gateway", near.gateways)):
                if inside := next((one for one in others if _inside(one, network)), None):
                    raise Refused(f"{text} cannot go through {self.name}: {what} {inside} is in it", fix="name a smaller network")
            for other, device in near.networks:
                if device not in {self.device, "lo"} and _overlap(network, other):
                    raise Refused(
                        f"{text} cannot go through {self.name}: {other} is the host's own neighbourhood, at {device}",
                        why="Whoever comes from there would be cut off.",
                        fix="name a smaller network",
                    )


@dataclass(frozen=True)
class VpnRemoved(Resource):
    """No such link: its unit, its files and its routes are removed."""

    name: str

    @property
    def id(self) -> str:
        return f"vpn:{self.name}"

    @property
    def paths(self) -> LinkPaths:
        return LinkPaths(self.name)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(path) for path in self.paths.all)
        yield Succeeds(commands.is_off(self.paths))

    def plan(self, facts: Facts) -> Iterable[Step]:
        name, paths = self.name, self.paths
        _refuse_foreign(paths, facts, "{} is not of novaops", why="It is neither stopped nor taken away.")
        steps = [step for path in paths.all for step in File(path, None).plan(facts)]
        if not steps:
            return
        _, writes = _together(steps)
        start = Command(commands.back(name), holds=commands.is_right(paths))
        stop = Command(commands.down(name), holds=commands.is_off(paths), undo=start)
        folders = (LINKS, paths.drop_ins)
        there = " && ".join(f"[ -d {quote(folder)} ]" for folder in folders)
        forget = Command(commands.forget(name), undo=Command(("mkdir", "-p", "-m", "0755", "--", *folders), holds=there))
        yield Step(self.id, (Change("link", "there", None),), (stop, *writes, forget), Risk.LOCKOUT)


def _refuse_foreign(paths: LinkPaths, facts: Facts, what: str, *, why: str = "", fix: str = "") -> None:
    """Raises Refused, with the configuration's path in `what`, where somebody else has written that."""
    path = paths.started_with[0]
    found = facts[FileAt(path)]
    if isinstance(found, FileState) and found.content is not None and not found.content.startswith(MANAGED):
        raise Refused(what.format(path), why=why, fix=fix)


def _together(steps: Iterable[Step]) -> tuple[list[Change], list[Action]]:
    """The changes, named by their files, and the actions."""
    changes: list[Change] = []
    actions: list[Action] = []
    for step in steps:
        name = step.resource.rpartition("/")[2]
        changes += [
            replace(change, field=f"{name} {change.field}")
            for change in step.changes
            if change.before is not None or change.field in {"file", "content"}
        ]
        actions += step.actions
    return changes, actions


def _inside(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    return found.version == network.version and found in network


def _overlap(network: ipaddress.IPv4Network | ipaddress.IPv6Network, other: str) -> bool:
    try:
        found = ipaddress.ip_network(other, strict=False)
    except ValueError:
        return False
    return found.version == network.version and network.overlaps(found)
