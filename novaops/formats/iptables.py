"""What iptables makes of a new connection, by TCP or UDP, in the text of iptables-save and iptables-restore. Pure: text in, text out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from novaops.shell import whole_lines

INPUT = "INPUT"
_PREROUTING = "PREROUTING"

Protocol = Literal["tcp", "udp"]

_RULE = re.compile(r"(?:\[\d+:\d+\] )?(?P<rule>-A (?P<chain>\S+) ?(?P<rest>.*))")
_POLICY = re.compile(r":(?P<chain>\S+) (?P<policy>\S+)(?: .*)?")
_FINAL = ("ACCEPT", "DROP", "REJECT", "TARPIT")
_TARGETS = ("-j", "-g")
_AWAY = ("REDIRECT", "DNAT")
INNER = (
    "docker",
    "br-",
    "virbr",
    "cni",
    "flannel",
    "cali",
    "veth",
    "lxc",
    "lxd",
    "podman",
    "tun",
    "tap",
    "wg",
    "tailscale",
    "zt",
    "vpn-",
    "lo",
)
"""How the names of bridges and tunnels begin. What comes in by another device comes from elsewhere."""
_FROM_ELSEWHERE = re.compile(r" -i (?!{0})\S+(?= )| ! -i (?:{0})\S*(?= )".format("|".join(map(re.escape, INNER))))
_STATES = ("--state", "--ctstate")
_PORTS = ("--dport", "--dports")
_PROTOCOLS = {"tcp": ("tcp", "6", "all", "0"), "udp": ("udp", "17", "all", "0")}
_ONE_VALUE = ("-p", "-m", "-i", "-s", "-d", "--comment", "--dst-type", "--src-type", *_STATES, *_PORTS)
"""Options that are followed by a word whatever it begins with."""

_EVERYWHERE = ("0.0.0.0/0", "::/0", "0/0")
_HERE = ("127.", "::1/")
_TELLING = ("tcp", "state", "conntrack", "comment", "multiport", "addrtype", "udp", "icmp", "icmp6")
"""Modules whose options are all read below: loading one is no condition of its own."""


_Condition = tuple[bool, str, str]
"""Whether it is negated, its option, and the option's first value."""


@dataclass(frozen=True)
class Rule:
    chain: str
    text: str
    """As iptables -S prints it: -A CHAIN and the rest."""
    line: int
    """Its line in the whole text, from 0."""

    @cached_property
    def _words(self) -> list[str]:
        try:
            return shlex.split(self.text)[2:]
        except ValueError:  # quotation marks that do not pair: then there are none
            return self.text.split()[2:]

    @cached_property
    def _parts(self) -> tuple[list[_Condition], list[str]]:
        """The conditions, and the target with its own options."""
        conditions: list[_Condition] = []
        rest = list(self._words)
        while rest and rest[0] not in _TARGETS:
            negated = rest[0] == "!"
            option, *rest = rest[negated:] or [""]
            values, rest = (rest[:1], rest[1:]) if option in _ONE_VALUE else ([], rest)
            while rest and not rest[0].startswith("-") and rest[0] != "!":
                values.append(rest.pop(0))
            conditions.append((negated, option, "".join(values[:1])))
        return conditions, rest

    @property
    def target(self) -> str:
        """ACCEPT, REJECT, a chain, …; "" for a rule that only counts."""
        return "".join(self._parts[1][1:2])

    @property
    def goes_on(self) -> bool:
        """Whether a chain that ends without a decision comes back to the rule after this one."""
        return self._parts[1][:1] != ["-g"]

    @property
    def outer(self) -> Rule:
        """The same for what comes in by a network card."""
        return Rule(self.chain, _FROM_ELSEWHERE.sub("", self.text), self.line)

    @property
    def is_about_a_port(self) -> bool:
        """Whether it names ports: such a rule stands there for a reason, and is no "everything else"."""
        return any(option in _PORTS for _, option, _ in self._parts[0])

    def takes(self, port: int, protocol: Protocol = "tcp") -> bool | None:
        """Whether every new connection to the port from elsewhere falls under it; None when it depends on what is not known here."""
        told = [
            None if (one := _told(option, value, port, protocol)) is None else one is not negated
            for negated, option, value in self._parts[0]
        ]
        return False if False in told else None if None in told else True


@dataclass(frozen=True)
class Verdict:
    """What becomes of a new connection from anywhere."""

    accepted: bool
    chain: str
    """Where it was decided."""
    rule: Rule | None
    """By which rule; None: by the chain's policy."""

    @property
    def place(self) -> str:
        return f"policy {self.chain}" if self.rule is None else self.rule.text


@dataclass(frozen=True)
class Ruleset:
    """One table of one text."""

    text: str
    table: str = "filter"

    @cached_property
    def _lines(self) -> list[str]:
        return whole_lines(self.text)

    @cached_property
    def _filter(self) -> list[tuple[int, str]]:
        """The lines of the table with their numbers, the closing COMMIT with them."""
        found: list[tuple[int, str]] = []
        inside = False
        for number, line in enumerate(self._lines):
            if line.startswith("*"):
                inside = line.strip() == f"*{self.table}"
            elif inside:
                found.append((number, line.rstrip("\r\n")))
                inside = line.strip() != "COMMIT"
        return found

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(Rule(m["chain"], m["rule"], number) for number, line in self._filter if (m := _RULE.fullmatch(line)))

    @cached_property
    def policies(self) -> dict[str, str]:
        """Of each chain; "-" for one that is not iptables' own."""
        return {m["chain"]: m["policy"] for _, line in self._filter if (m := _POLICY.fullmatch(line))}

    def verdict(self, port: int, protocol: Protocol = "tcp") -> Verdict:
        """What it makes of a new connection to the port. What depends on something unknown, such as the sender, is passed over."""
        return self._walk(INPUT, (port, protocol), frozenset()) or self._by_policy(None)

    def _by_policy(self, rule: Rule | None) -> Verdict:
        """The policy's, to which a rule may lead past all that follow it."""
        return Verdict(self.policies.get(INPUT, "ACCEPT") == "ACCEPT", INPUT, rule)

    def _walk(self, chain: str, port: tuple[int, Protocol], above: frozenset[str]) -> Verdict | None:
        """The verdict of one chain; None where it leaves that to the one it was called from."""
        for rule in self.rules:
            if rule.chain != chain or rule.takes(*port) is not True:
                continue
            if rule.target in _FINAL:
                return Verdict(rule.target == "ACCEPT", chain, rule)
            found, ends = None, rule.target == "RETURN"
            if rule.target in self.policies and rule.target not in above:
                found, ends = self._walk(rule.target, port, above | {chain}), not rule.goes_on
            if found is not None:
                return found
            if ends:
                return self._by_policy(rule) if chain == INPUT else None
        return None

    def led_away(self, port: int, protocol: Protocol = "tcp", chain: str = _PREROUTING) -> Iterator[Rule]:
        """Of the table "nat": the rules by which a connection from elsewhere does not come to what listens at the port."""
        for rule in (one for one in self.rules if one.chain == chain and one.outer.takes(port, protocol)):
            if rule.target in _AWAY and not rule.text.endswith(f" --to-ports {port}"):
                yield rule
            elif rule.target in self.policies and rule.target != chain:
                yield from self.led_away(port, protocol, rule.target)

    def has(self, rule: str) -> bool:
        """Whether a rule, as iptables -S prints it, is among them."""
        return any(one.text == rule for one in self.rules)

    def with_rule(self, rule: str, before: Verdict) -> str:
        """The text with one line more: right before the rule that decided, or at the table's end where the policy did."""
        closing = [number for number, line in self._filter if line.strip() == "COMMIT"]
        place = before.rule.line if before.rule is not None else closing[0] if closing else len(self._lines)
        return "".join([*self._lines[:place], f"{rule}\n", *self._lines[place:]])


def accepting(port: int, chain: str = INPUT, protocol: Protocol = "tcp") -> tuple[str, ...]:
    """The words of novaops' own rule, as iptables -S prints them: so it is recognised."""
    return ("-A", chain, "-p", protocol, "-m", protocol, "--dport", str(port), "-m", "comment", "--comment", "novaops", "-j", "ACCEPT")


def _told(option: str, value: str, port: int, protocol: Protocol) -> bool | None:
    match option:
        case "-p":
            return value in _PROTOCOLS[protocol]
        case "-m":
            return True if value in _TELLING else None
        case "--comment" | "--syn":
            return True
        case "--dst-type":
            return "LOCAL" in value.split(",")
        case "-i":
            return False if value == "lo" else None
        case "-s" | "-d":
            return True if value in _EVERYWHERE else False if value.startswith(_HERE) else None
        case _ if option in _STATES:
            return "NEW" in value.split(",")
        case _ if option in _PORTS:
            return any(_within(port, one) for one in value.split(","))
        case _:
            return None


def _within(port: int, ports: str) -> bool | None:
    """Whether a port is in N or N:M, where either end may be left out."""
    first, colon, last = ports.partition(":")
    if not all(end.isdecimal() or not end for end in (first, last)):
        return False
    return int(first or 0) <= port <= int((last or 65535) if colon else first or 65535)
