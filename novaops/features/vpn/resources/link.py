"""A link to an OpenVPN server: its files, its unit that runs with just these, and the proof that the API answers through it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.dns import AddressesOf
from novaops.facts.file import FileAt, FileState
from novaops.facts.succeeds import Succeeds
from novaops.features.vpn.facts.link import LinkState, LinkStates, Nearby
from novaops.formats.names import is_address
from novaops.model.action import Action, Command, Text, payload
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import quote

MANAGED = b"# managed by novaops"

FOLDER = "/etc/novaops/vpn"


@dataclass(frozen=True)
class Paths:
    """Where the parts of a link are on its host."""

    name: str

    @property
    def unit(self) -> str:
        return f"openvpn-client@{self.name}.service"

    @property
    def drop_ins(self) -> str:
        return f"/etc/systemd/system/{self.unit}.d"

    @property
    def script(self) -> str:
        return f"{FOLDER}/{self.name}.sh"

    @property
    def routes(self) -> str:
        return f"novaops-vpn-{self.name}-routes"

    @property
    def hold(self) -> str:
        return f"novaops-vpn-{self.name}-hold.service"

    @property
    def started_with(self) -> tuple[str, ...]:
        """The files that the link runs with, in the order in which the script adds them up."""
        client = f"/etc/openvpn/client/{self.name}"
        return f"{client}.conf", f"{client}.auth", f"{client}.pass", f"{self.drop_ins}/novaops.conf", f"{FOLDER}/{self.name}.routes"

    @property
    def all(self) -> tuple[str, ...]:
        units = "/etc/systemd/system"
        timer, service = f"{units}/{self.routes}.timer", f"{units}/{self.routes}.service"
        return (*self.started_with, self.script, service, timer, f"{units}/{self.hold}")

    @property
    def is_right(self) -> str:
        """sh: whether the link runs, at boot too, with the files that are there."""
        added_up = f"cat {' '.join(map(quote, self.started_with))} 2>/dev/null | sha256sum | cut -d ' ' -f 1"
        # One question for each: of several, systemctl says yes when one of them is.
        units = [self.unit, f"{self.routes}.timer", self.hold]
        asked = [f"systemctl {verb} -q {quote(unit)}" for unit in units for verb in ("is-active", "is-enabled")]
        return " && ".join([*asked, f'[ "$(cat {quote(self.running_with)})" = "$({added_up})" ]'])

    @property
    def running_with(self) -> str:
        return f"/run/novaops-vpn/{self.name}.with"

    @property
    def is_off(self) -> str:
        names = " ".join(map(quote, (self.unit, f"{self.routes}.timer", self.hold)))
        enabled = f"for one in {names}; do ! systemctl is-enabled -q $one 2>/dev/null || exit 1; done"
        return f"( {enabled}; case $(systemctl is-active {quote(self.unit)}) in inactive | failed | unknown) ;; *) exit 1 ;; esac )"

    @property
    def is_nowhere(self) -> str:
        """sh: whether systemd has forgotten its units."""
        return f'[ ! -e {quote(self.script)} ] && [ "$(systemctl show -p LoadState --value {quote(self.hold)})" = not-found ]'

    def up(self) -> tuple[str, ...]:
        return ("sh", "-c", _UP, "vpn-up", self.name, "up")

    def back(self) -> tuple[str, ...]:
        """As it was before, whether its server answers now or not."""
        return ("sh", "-c", _UP, "vpn-back", self.name, "back")

    def down(self) -> tuple[str, ...]:
        return ("sh", "-c", _DOWN, "vpn-down", self.name)

    def aside(self) -> tuple[str, ...]:
        """Stopped, to be started again: what is to go through the link goes nowhere else meanwhile."""
        return ("sh", "-c", _ASIDE, "vpn-aside", self.name)


_UP = """\
systemctl daemon-reload
[ -e "/etc/novaops/vpn/$1.sh" ] || exit 0
sh "/etc/novaops/vpn/$1.sh" "$1" "$2"
"""
"""Without its script there is no such link: systemd forgets it."""

_DOWN = """\
if [ -e "/etc/novaops/vpn/$1.sh" ]; then exec sh "/etc/novaops/vpn/$1.sh" "$1" down; fi
for one in "novaops-vpn-$1-routes.timer" "openvpn-client@$1.service" "novaops-vpn-$1-hold.service"; do systemctl -q disable --now "$one" 2>/dev/null; done
! systemctl is-active -q "openvpn-client@$1.service\""""

_ASIDE = """\
for one in "novaops-vpn-$1-routes.timer" "novaops-vpn-$1-routes.service" "openvpn-client@$1.service" "novaops-vpn-$1-hold.service"; do
  systemctl -q disable --now "$one" 2>/dev/null
done
rm -f "/run/novaops-vpn/$1.with" "/run/novaops-vpn/$1.up" "/run/novaops-vpn/$1.rx"
! systemctl is-active -q "openvpn-client@$1.service\""""
"""The routes to nowhere stay."""

_FORGET = """\
systemctl daemon-reload
systemctl reset-failed "openvpn-client@$1.service" 2>/dev/null
rm -f "/var/lib/novaops-vpn/$1"
rmdir /var/lib/novaops-vpn "/etc/systemd/system/openvpn-client@$1.service.d" /etc/novaops/vpn /etc/novaops 2>/dev/null
exit 0"""


@dataclass(frozen=True)
class VpnLink(Resource):
    name: str
    device: str
    contents: Mapping[str, Text | None] = field(repr=False, hash=False)
    """What stands in each of the files, by its path."""
    modes: Mapping[str, str] = field(repr=False, hash=False)
    networks: tuple[str, ...] = ()
    """The addresses and networks among the routes."""
    servers: tuple[str, ...] = ()
    """Hosts of the profile's `remote` lines."""
    said: tuple[str, ...] = ()
    """What is worth knowing of the profile."""

    @property
    def id(self) -> str:
        return f"vpn:{self.name}"

    @property
    def paths(self) -> Paths:
        return Paths(self.name)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(path) for path in self.paths.all)
        yield from (Succeeds(self.paths.is_right), Nearby(), LinkStates())
        yield from (AddressesOf(server) for server in self.servers if not is_address(server))

    def plan(self, facts: Facts) -> Iterable[Step]:
        self._refuse_foreign(facts)
        self._refuse_near(facts)
        files = [File(path, self.contents.get(path), self.modes.get(path, "0644")) for path in self.paths.all]
        steps = [step for one in files for step in one.plan(facts)]
        if not steps and facts.known(Succeeds(self.paths.is_right)):
            return
        changes, writes = _together(steps)
        old = self._old(facts)
        before = self.paths.is_nowhere if old is None else self._runs_with(old)
        # What comes first is undone last: then the old files are there again, or none.
        away = self.paths.down() if old is None else self.paths.aside()
        aside = Command(away, undo=Command(self.paths.back(), holds=before))
        # Off, or with other files: when the old ones are there again, it runs with those.
        new = _added_up(payload(text) for path in self.paths.started_with if (text := self.contents.get(path)) is not None)
        start = Command(self.paths.up(), undo=Command(away, holds=f"{self.paths.is_off} || ! {self._runs_with(new)}"))
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
        if trouble := trouble_of(link):
            raise HostFailed(f"{self.name}: {trouble[0]}", why=trouble[1], fix=f"journalctl -u {self.paths.unit} on the host says more")

    def _old(self, facts: Facts) -> str | None:
        """What the files of a link that is there add up to; None where there is none."""
        found: list[Any] = [facts[FileAt(path)] for path in self.paths.started_with]
        if not isinstance(found[0], FileState):
            return None
        return _added_up(file.content or b"" for file in found if isinstance(file, FileState))

    def _runs_with(self, digest: str) -> str:
        """sh: whether the link was last started with files that add up to this."""
        return f'[ "$(cat {quote(self.paths.running_with)} 2>/dev/null)" = {digest} ]'

    def _refuse_foreign(self, facts: Facts) -> None:
        path = self.paths.started_with[0]
        found = facts[FileAt(path)]
        if isinstance(found, FileState) and found.content is not None and not found.content.startswith(MANAGED):
            raise Refused(f"there is a {path} already, and novaops has not made it", fix="take another name, or move it away first")

    def _refuse_near(self, facts: Facts) -> None:
        """Raises Refused for a network that would take the host's own neighbours, its gateway or the VPN's server along."""
        near = facts.known(Nearby())
        known: list[str] = [server for server in self.servers if is_address(server)]
        for server in self.servers:
            if not is_address(server) and (found := facts[AddressesOf(server)]) is not Missing.ABSENT:
                known += found
        for text in self.networks:
            network = ipaddress.ip_network(text)
            for what, others in (("the VPN's own server", known), ("the host's gateway", near.gateways)):
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
    """No such link: its unit, its files and its routes are gone."""

    name: str

    @property
    def id(self) -> str:
        return f"vpn:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        paths = Paths(self.name)
        yield from (FileAt(path) for path in paths.all)
        yield Succeeds(paths.is_off)

    def plan(self, facts: Facts) -> Iterable[Step]:
        paths = Paths(self.name)
        conf = facts[FileAt(paths.started_with[0])]
        if isinstance(conf, FileState) and conf.content is not None and not conf.content.startswith(MANAGED):
            raise Refused(f"{paths.started_with[0]} is not of novaops", why="It is neither stopped nor taken away.")
        steps = [step for path in paths.all for step in File(path, None).plan(facts)]
        if not steps:
            return
        _, writes = _together(steps)
        up = Command(paths.back(), holds=paths.is_right)
        stop = Command(paths.down(), holds=paths.is_off, undo=up)
        folders = (FOLDER, paths.drop_ins)
        there = " && ".join(f"[ -d {quote(folder)} ]" for folder in folders)
        back = Command(("mkdir", "-p", "-m", "0755", "--", *folders), holds=there)
        forget = Command(("sh", "-c", _FORGET, "vpn-forget", self.name), undo=back)
        yield Step(self.id, (Change("link", "there", None),), (stop, *writes, forget), Risk.LOCKOUT)


def trouble_of(link: LinkState) -> tuple[str, str] | None:
    """What is wrong with it, and why; None where it works."""
    if not link.addresses:
        return ("the link is down" if link.running else "OpenVPN does not run"), link.error
    for way in link.ways:
        if way.device == link.device or (":" in way.address and not way.device and not any(":" in one for one in link.addresses)):
            continue
        if way.device:
            return (
                f"{way.route} ({way.address}) goes over {way.device}, not through the link",
                "Another route is in the way: ip route get shows it.",
            )
        return f"there is no way to {way.route} ({way.address})", link.error
    if not link.status and link.error:
        return f"the link is down: {link.error}", link.trouble
    if not link.status:
        return f"the link is there, but {link.url} does not answer through it", link.trouble or link.error
    if link.source and link.source not in link.addresses:
        return f"{link.url} answers, but not through the link: the request left from {link.source}", ""
    return None


def _added_up(contents: Iterable[bytes]) -> str:
    return sha256(b"".join(contents)).hexdigest()


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
