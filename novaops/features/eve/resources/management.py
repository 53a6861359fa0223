"""pnet0, by which the nodes of labs reach the host's network: a bridge that takes over the address of the network card.

The card is known by its MAC address, and becomes eth0. systemd-networkd reads these files before those of netplan, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.file import FileAt
from novaops.features.eve.facts.management import Management, ManagementFacts
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import File
from novaops.shell import sh_file, whole_lines

FOLDER = "/etc/systemd/network"
_COMMENT = "# managed by novaops (novaops eve install)\n"
_IFUPDOWN = "/etc/systemd/system/networking.service.d/novaops-eve.conf"
"""What the packages bring for ifupdown would make the same bridge once more."""

RULES = "/etc/udev/rules.d/99-novaops-eve.rules"
"""Read after those of netplan, which name the card by its MAC address too: the last name counts."""

_CARDS = ("", "veth")
_EMPTY = range(1, 10)


def files(card: ManagementFacts) -> dict[str, str]:
    """The files by path. The bridge gets the card's address in the way that the card got it."""
    # That of pnet0 comes first: where there is no udev, as in a container, Type=ether is true of the bridge too, which has the same MAC address.
    match = f"[Match]\nMACAddress={card.mac}\nType=ether\n\n"
    bridge = "[NetDev]\nName={}\nKind=bridge\n{}\n[Bridge]\nSTP=no\nForwardDelaySec=0\n"
    names = " ".join(f"pnet{number}" for number in _EMPTY)
    found = {
        "05-novaops-eth0.network": f"{match}[Network]\nBridge=pnet0\nLinkLocalAddressing=no\n",
        "05-novaops-pnet0.netdev": bridge.format("pnet0", f"MACAddress={card.mac}\n"),
        "04-novaops-pnet0.network": f"[Match]\nName=pnet0\n\n{_without_match(card.network)}",
        **{f"05-novaops-pnet{number}.netdev": bridge.format(f"pnet{number}", "") for number in _EMPTY},
        # The first file that fits a device names it. netplan's may go by the MAC address alone, and pnet0 has that of the card.
        "05-novaops-pnets.link": "[Match]\nOriginalName=pnet[0-9]\n\n[Link]\nMACAddressPolicy=persistent\n",
        "05-novaops-pnets.network": f"[Match]\nName={names}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n",
    }
    return {
        **{f"{FOLDER}/{name}": text for name, text in found.items()},
        RULES: f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{card.mac}", NAME="eth0"\n',
        _IFUPDOWN: f"[Unit]\nConditionPathExists=!{FOLDER}/05-novaops-pnet0.netdev\n",
    }


def _without_match(network: str) -> str:
    """The text without its section [Match]."""
    kept: list[str] = []
    inside = False
    for line in whole_lines(network):
        if line.strip().startswith("["):
            inside = line.strip() == "[Match]"
        if not inside:
            kept.append(line)
    return "".join(kept).strip("\n") + "\n"


PATHS = tuple(files(ManagementFacts("", "", "", "", bridge=False)))


@dataclass(frozen=True)
class ManagementBridge(Resource):
    @property
    def id(self) -> str:
        return "eve:pnet0"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Management(),)
        yield from map(FileAt, PATHS)

    def plan(self, facts: Facts) -> Iterator[Step]:
        card = facts[Management()]
        if card is Missing.ABSENT:
            raise Refused("the host has no default route, so there is no card for pnet0", fix="write network: as-is")
        if card.device == "pnet0":
            return
        if card.kind not in _CARDS:
            raise Refused(
                f"the host is reached through {card.device}, which is a {card.kind} and no network card", fix="write network: as-is"
            )
        if card.bridge:
            raise Refused(f"the host has a pnet0 already, and is reached through {card.device}", fix="write network: as-is to leave it so")
        if card.other_eth0:
            raise Refused(
                f"the host is reached through {card.device}, and has another card named eth0",
                why="EVE-NG's card has that name, so the other one would have to lose it.",
                fix="write network: as-is, and make the bridge pnet0 by hand",
            )
        if not card.network:
            raise Refused(
                f"{card.device} does not get its address from systemd-networkd",
                why="What gives it to pnet0 instead would have to be written for another program.",
                fix="write network: as-is, and make the bridge pnet0 by hand",
            )
        words = ("sh", "-c", sh_file(__package__, "bridge_down.sh"), "bridge-down", card.device, card.mac)
        down = Command(words, holds="[ ! -e /sys/class/net/pnet0 ]")
        up = Command(("sh", "-c", sh_file(__package__, "bridge_up.sh"), "bridge-up", card.device))
        written: list[Action] = [
            a for path, text in files(card).items() for s in File(path, _COMMENT + text).plan(facts) for a in s.actions
        ]
        folder = Command(("mkdir", "-p", "--", *(path.rpartition("/")[0] for path in (FOLDER + "/", RULES, _IFUPDOWN))))
        # Undone in reverse: first the files are taken away, then the network is put up without them.
        actions = (Command(("true",), undo=down), folder, *written, up)
        changes = (
            Change("card", card.device, f"eth0, by its MAC address {card.mac}"),
            Change("address", f"on {card.device}", "on pnet0, by the same file"),
        )
        yield Step(self.id, changes, actions, Risk.LOCKOUT)

    def verify_works(self, facts: Facts) -> None:
        card = facts[Management()]
        if card is Missing.ABSENT or card.device != "pnet0":
            raise HostFailed("the host is not reached through pnet0")
