"""The ports of EVE-NG, closed to everybody but the host itself, and those that were asked for open again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from novaops.facts.file import FileAt
from novaops.facts.package import PackageNamed
from novaops.facts.sshd import Caller, CallerFacts, SshdEffective
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitNamed
from novaops.features.eve.facts.web_admin import WebAdmin
from novaops.features.eve.paths import GATE, PORTS, RULES
from novaops.features.eve.resources.after_install import installed
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.resources.unit import OwnUnit
from novaops.secret import Secret

UNIT_FILE = f"/etc/systemd/system/{GATE}"

UNIT = f"""\
# managed by novaops (novaops eve install)
[Unit]
Description=The ports of EVE-NG that nobody asked for stay closed
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target sysinit.target shutdown.target
Conflicts=shutdown.target
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=nft -f {RULES}
ExecReload=nft -f {RULES}
ExecStop=nft delete table inet novaops_eve

[Install]
WantedBy=sysinit.target
"""

STANDS = Succeeds("nft list table inet novaops_eve 2>/dev/null | grep -q reject")
"""Any `nft flush ruleset` takes the table away, as the first line of Debian's /etc/nftables.conf does. The unit stays active then."""

_TAKE_UP = """\
if [ -e "$1" ]; then nft -f "$1"
else ! nft list table inet novaops_eve >/dev/null 2>&1 || nft delete table inet novaops_eve
fi"""


def rules(ssh_ports: Iterable[str], opened: Iterable[tuple[int, tuple[str, ...]]]) -> str:
    """The table. It only closes: what it accepts, other tables may still turn away."""
    lines = [f"tcp dport {{ {', '.join(ssh_ports)} }} accept"]
    closed = set(PORTS)
    for port, networks in opened:
        for family in ("ip", "ip6"):
            of_it = [one for one in networks if (":" in one) == (family == "ip6")]
            lines += [f"{family} saddr {{ {', '.join(of_it)} }} tcp dport {port} accept"] if of_it else []
        lines += [] if networks else [f"tcp dport {port} accept"]
        closed |= {str(port)} if networks and not is_eves(port) else set()
    inside = "".join(f"    {line}\n" for line in lines)
    return f"""\
# managed by novaops (novaops eve install)
table inet novaops_eve
delete table inet novaops_eve
table inet novaops_eve {{
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "lo" accept
    ct state established,related accept
{inside}    tcp dport {{ {", ".join(sorted(closed, key=_first))} }} reject with tcp reset
  }}
}}
"""


def _first(span: str) -> int:
    return int(span.partition("-")[0])


def is_eves(port: int) -> bool:
    """Whether it stays closed to all but those who were named, whatever another firewall of the host lets in."""
    return any(_first(span) <= port <= int(span.rpartition("-")[2]) for span in PORTS)


@dataclass(frozen=True)
class Ports(Resource):
    """In two parts: closed before the packages are there, opened when the password that everybody knows is gone."""

    part: Literal["closed", "opened"]
    packages: tuple[str, ...]
    opened: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Port, and the networks that may connect; empty for everybody."""
    admin: Secret | None = None
    """The hash that the web user admin must have before anything is opened."""

    @property
    def id(self) -> str:
        return f"eve:ports-{self.part}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (FileAt(RULES), FileAt(UNIT_FILE), UnitNamed(GATE), Caller(), SshdEffective("root"))
        yield from (WebAdmin(), STANDS)
        yield from map(PackageNamed, self.packages)

    def plan(self, facts: Facts) -> Iterator[Step]:
        if bool(installed(facts, self.packages)) != (self.part == "opened"):
            return
        if self.part == "opened" and self.admin is not None and not _is(facts, self.admin):
            return
        text = rules(_ssh_ports(facts), self.opened)
        shown = ", ".join(f"{port} from {', '.join(networks) or 'everywhere'}" for port, networks in self.opened) or "none"
        file = File(RULES, text, "0600", check=("nft", "-c", "-f", "{}"), then=("sh", "-c", _TAKE_UP, "take-up", RULES))
        parts = (file, File(UNIT_FILE, UNIT, then=("systemctl", "daemon-reload")), OwnUnit(GATE))
        actions: tuple[Action, ...] = tuple(action for part in parts for step in part.plan(facts) for action in step.actions)
        if not actions and not facts.known(STANDS):
            yield Step(
                self.id, (Change("table", "gone", "open to others: " + shown),), (Command(("systemctl", "reload", GATE)),), Risk.LOCKOUT
            )
        elif actions:
            yield Step(self.id, (Change("open to others", None, shown),), actions, Risk.LOCKOUT)


def _is(facts: Facts, wanted: Secret) -> bool:
    found = facts[WebAdmin()]
    return found is not Missing.ABSENT and found.reveal() == wanted.reveal()


def _ssh_ports(facts: Facts) -> list[str]:
    """The ports of sshd, that of this connection among them: they stay open whatever they are."""
    settings, caller = facts[SshdEffective("root")], facts[Caller()]
    said = () if settings is Missing.ABSENT else settings.get("port", ())
    of_caller = (str(caller.local_port),) if isinstance(caller, CallerFacts) else ()
    return sorted({*said, *of_caller} or {"22"}, key=int)
