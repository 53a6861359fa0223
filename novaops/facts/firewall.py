"""The firewall of the host: iptables, firewalld, and tables of nftables that neither of them made."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from novaops.formats.iptables import INNER
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, sh_file

_TABLES_OF_OTHERS = ("firewalld", "f2b-table")
"""firewalld is asked by its own command. fail2ban's table accepts every address that is not banned."""


@dataclass(frozen=True)
class Zone:
    """The zone of firewalld that filters connections from outside."""

    name: str
    open_now: tuple[str, ...]
    """The open ports at present, those of services included: PORT/tcp or FIRST-LAST/udp."""
    open_at_boot: tuple[str, ...]
    accepts_all: bool = False
    """Whether everything is accepted that is not forbidden, as in the zone "trusted"."""


@dataclass(frozen=True)
class Table:
    """A table of nftables that drops or rejects what none of its rules accepts."""

    name: str
    """Family and name: "inet filter"."""
    chain: str
    accepts: tuple[tuple[int, int], ...] = ()
    """Ranges of TCP ports that one of its rules accepts. Further conditions of the rule are not read."""
    accepts_udp: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Away:
    """A rule of nftables by which what comes to a port from elsewhere goes to another one, or to another host."""

    place: str
    """Family, table and chain: "ip nat prerouting"."""
    tcp: tuple[tuple[int, int], ...] = ()
    """Ranges of ports."""
    udp: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class FirewallFacts:
    rules: Mapping[str, str] = field(default_factory=dict)
    """The output of iptables-save and ip6tables-save, by "iptables" and "ip6tables", of those that are installed."""
    zone: Zone | None = None
    """None where firewalld does not run."""
    tables: tuple[Table, ...] = ()
    away: tuple[Away, ...] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, and why: "ip6tables: Permission denied"."""


class Firewall(Singleton[FirewallFacts]):
    family: ClassVar[str] = "firewall"

    @classmethod
    def script_one(cls) -> str:
        """It calls iptables-save without the name of a table, which would load a kernel module."""
        return sh_file(__package__, "firewall.sh")

    @classmethod
    def parse_one(cls, section: Section) -> FirewallFacts | Missing:
        *lines, end = lines_of(section.stdout)
        if end != "end":
            return Missing.UNKNOWN
        told: dict[str, str] = {}
        unread: list[str] = []
        for line in lines:
            name, _, rest = line.partition(" ")
            if name == "failed":
                program, _, why = rest.partition(" ")
                unread.append(f"{program}: {_text(why).strip()}")
            else:
                told[name] = _text(rest)
        rules: dict[str, str] = {program: told[program] for program in ("iptables", "ip6tables") if program in told}
        listed = json.loads(told["nft"])["nftables"] if told.get("nft", "").strip() else []
        return FirewallFacts(rules, _zone(told), tuple(_tables(listed, rules)), tuple(_away(listed)), tuple(unread))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")


# -- firewalld --------------------------------------------------------------------------------------------------------


def _zone(told: Mapping[str, str]) -> Zone | None:
    if "zone" not in told:
        return None
    services = {name: ports.split() for name, _, ports in (line.partition(" ") for line in lines_of(told["services"]))}
    now, boot = (_listed(told[when]) for when in ("runtime", "permanent"))
    accepts_all = now.get("target") == "ACCEPT" and boot.get("target") == "ACCEPT"
    return Zone(told["zone"].strip(), tuple(_ports(now, services)), tuple(_ports(boot, services)), accepts_all)


def _listed(text: str) -> dict[str, str]:
    """The lines "KEY: VALUE" of --list-all."""
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines_of(text))}


def _ports(listed: Mapping[str, str], services: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Raises KeyError for a service that is not in `services`, and for a list without ports."""
    for port in (*listed["ports"].split(), *(port for name in listed["services"].split() for port in services[name])):
        if port.endswith(("/tcp", "/udp")):
            yield port


# -- nftables ---------------------------------------------------------------------------------------------------------


def _tables(listed: Iterable[Mapping[str, Any]], rules: Mapping[str, str]) -> Iterator[Table]:
    """The tables that close ports, without those of firewalld, fail2ban and iptables."""
    listed = list(listed)
    theirs = {("ip", "filter"): "iptables", ("ip6", "filter"): "ip6tables"}
    for chain in (about["chain"] for about in listed if "chain" in about):
        table = (chain["family"], chain["table"])
        if chain.get("hook") != "input" or chain["table"] in _TABLES_OF_OTHERS:
            continue
        if theirs.get(table) in rules:
            continue
        inside = [rule for about in listed if (rule := about.get("rule")) and (rule["family"], rule["table"]) == table]
        closing = any(_turns_all_away(rule) for rule in inside if rule["chain"] == chain["name"])
        if chain.get("policy") == "drop" or closing:
            sets = {
                one["name"]: one.get("elem", []) for about in listed if (one := about.get("set")) and (one["family"], one["table"]) == table
            }
            tcp, udp = (tuple(span for rule in inside for span in _accepted(rule, sets, protocol)) for protocol in ("tcp", "udp"))
            yield Table(" ".join(table), chain["name"], tcp, udp)


def _away(listed: Iterable[Mapping[str, Any]]) -> Iterator[Away]:
    """The rules of chains at the hook prerouting that want no more than a port, and a device towards others. Those of iptables are among them: it says them, too."""
    listed = list(listed)
    hooked = {
        (one["family"], one["table"], one["name"])
        for about in listed
        if (one := about.get("chain")) and (one.get("type"), one.get("hook")) == ("nat", "prerouting")
    }
    for rule in (about["rule"] for about in listed if "rule" in about):
        place = (rule["family"], rule["table"], rule["chain"])
        doing = {key for part in rule["expr"] for key in part}
        if place not in hooked or not doing & {"redirect", "dnat"} or doing - {"redirect", "dnat", "match", "counter", "log"}:
            continue
        of = {
            proto: [_to(part["match"], proto) for part in rule["expr"] if "match" in part and not _is_outer(part["match"])]
            for proto in ("tcp", "udp")
        }
        tcp, udp = (tuple(spans[0]) if len(spans) == 1 and spans[0] else () for spans in of.values())
        if tcp or udp:
            yield Away(" ".join(place), tcp, udp)


def _is_outer(match: Mapping[str, Any]) -> bool:
    """Whether it is a condition that what comes from elsewhere fulfils: in by a device that is no bridge or tunnel."""
    left = match["left"].get("meta", {}) if isinstance(match["left"], dict) else {}
    by_name = left.get("key") in {"iif", "iifname"} and isinstance(match["right"], str)
    return by_name and match["op"] == "==" and not match["right"].startswith(INNER)


def _to(match: Mapping[str, Any], protocol: str) -> list[tuple[int, int]]:
    """The ports that are matched; none for another condition."""
    field = match["left"].get("payload", {}) if isinstance(match["left"], dict) else {}
    named = match["op"] in {"==", "in"} and field.get("field") == "dport" and field.get("protocol") in {protocol, "th"}
    return list(_spans(match["right"], {})) if named else []


def _turns_all_away(rule: Mapping[str, Any]) -> bool:
    """A drop or reject without conditions."""
    doing = [key for part in rule["expr"] for key in part]
    return bool({"drop", "reject"} & set(doing)) and not {"match", "limit", "xt", "jump"} & set(doing)


def _accepted(rule: Mapping[str, Any], sets: Mapping[str, Any], protocol: str) -> Iterator[tuple[int, int]]:
    if not any("accept" in part for part in rule["expr"]):
        return
    for part in rule["expr"]:
        match part.get("match"):
            case {"op": "==" | "in", "left": {"payload": {"protocol": of, "field": "dport"}}, "right": right} if of in {protocol, "th"}:
                yield from _spans(right, sets)


def _spans(right: Any, sets: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    match right:
        case int():
            yield right, right
        case str() if right.startswith("@"):
            yield from _spans({"set": sets.get(right[1:], [])}, {})
        case {"range": [int(first), int(last)]}:
            yield first, last
        case {"set": list(members)}:
            for member in members:
                yield from _spans(member.get("elem", {}).get("val", member) if isinstance(member, dict) else member, sets)
