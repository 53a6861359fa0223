"""Firewalls that are not loaded now, and come when the host boots: what is open at present says nothing of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, text_at
from novaops.facts.firewall import FirewallFacts
from novaops.facts.unit import UnitNamed
from novaops.formats.iptables import Protocol, Ruleset, Verdict
from novaops.model.question import Facts, Missing, Question

_UFW_CHAIN = "ufw-user-input"

LOADERS = {
    "/etc/iptables/rules.v4": "netfilter-persistent.service",
    "/etc/iptables/rules.v6": "netfilter-persistent.service",
    "/etc/sysconfig/iptables": "iptables.service",
    "/etc/sysconfig/ip6tables": "ip6tables.service",
}
"""What loads a file of rules when the host boots: iptables-persistent (Debian, and Oracle's Ubuntu), and iptables-services (RHEL)."""

_FIREWALLD, _UFW, _NFTABLES = "firewalld.service", "ufw.service", "nftables.service"
UNITS = (*dict.fromkeys(LOADERS.values()), _FIREWALLD, _UFW, _NFTABLES)

_UFW_CONF, _UFW_DEFAULTS, _UFW_LIST = "/etc/ufw/ufw.conf", "/etc/default/ufw", "/etc/ufw/user.rules"
"""A rule of `ufw allow` for IPv6 is in a list beside it, user6.rules, with the one for IPv4."""

_TABLES = ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf")
_TURNS_ALL_AWAY = re.compile(
    r"hook\s+input\b[^{}]*policy\s+drop\b|hook\s+input\b.*^\s*(counter\s+)?(drop|reject)\b", re.DOTALL | re.MULTILINE
)


def boot_questions() -> Iterator[Question[Any]]:
    yield from map(UnitNamed, UNITS)
    yield from map(FileAt, (_UFW_CONF, _UFW_DEFAULTS, _UFW_LIST, *_TABLES))


def starts(unit: str, facts: Facts) -> bool:
    """Whether the unit starts when the host boots."""
    found = facts[UnitNamed(unit)]
    return found is not Missing.ABSENT and found.load != "masked" and found.enabled in {"enabled", "generated"}


def ufw_is_loaded(firewall: FirewallFacts) -> bool:
    """Whether ufw's chains are there now: without them it takes no rule."""
    return any(f":{_UFW_CHAIN} " in text for text in firewall.rules.values())


def ufw_at_boot(port: int, protocol: Protocol, facts: Facts) -> Verdict | None:
    """What ufw's own list makes of the port; None for no list."""
    if not (rules := text_at(_UFW_LIST, facts)):
        return None
    accepts = re.search(r"^DEFAULT_INPUT_POLICY=[\"']?ACCEPT\b", text_at(_UFW_DEFAULTS, facts), re.MULTILINE)
    policy = "ACCEPT" if accepts else "DROP"
    return Ruleset(f"*filter\n:INPUT {policy} [0:0]\n-A INPUT -j {_UFW_CHAIN}\n{rules}").verdict(port, protocol)


def refuse_asleep(port: int, protocol: Protocol, firewall: FirewallFacts, facts: Facts) -> None:
    """Raises Refused where a firewall that does not run now closes the port when the host boots, or where only that firewall could say."""
    if firewall.zone is None and starts(_FIREWALLD, facts):
        raise Refused(
            "firewalld does not run, and starts when the host boots",
            why=f"What it lets in is asked of the running firewalld only, and port {port}/{protocol} may be closed after a boot.",
            fix="see that it lets your ssh in (firewall-offline-cmd --list-all), then systemctl start firewalld; or systemctl disable firewalld",
        )
    enabled = re.search(r"^ENABLED=[\"']?yes\b", text_at(_UFW_CONF, facts), re.MULTILINE | re.IGNORECASE)
    verdict = ufw_at_boot(port, protocol, facts)
    if not ufw_is_loaded(firewall) and enabled and starts(_UFW, facts) and verdict is not None and not verdict.accepted:
        raise Refused(
            "ufw is enabled, and its rules are not loaded: somebody has flushed them, and they come again when the host boots",
            why=f"Port {port}/{protocol} is not in its list, and ufw takes no rule while its chains are away.",
            fix="see that it lets your ssh in (ufw show added), then ufw reload; or ufw disable",
        )


def notes_of_tables(port: int, protocol: Protocol, firewall: FirewallFacts, facts: Facts) -> Iterator[str]:
    """Nft does not say what it would make of a file without loading it. So it is only said that there is one, which does not have the number."""
    if firewall.zone is not None or not starts(_NFTABLES, facts):
        return
    for path in _TABLES:
        text = re.sub(r"#.*", "", text_at(path, facts))
        if _TURNS_ALL_AWAY.search(text) and not re.search(rf"\b{port}\b", text):
            yield (
                f"{_NFTABLES} loads {path} when the host boots, which turns away what it does not name, and port {port} does not seem to be"
                f" named there: {protocol} dport {port} accept lets it in after a boot, too"
            )
