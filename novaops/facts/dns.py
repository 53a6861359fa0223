"""The addresses of names, as the host resolves them, and the host's own addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section, Singleton
from novaops.shell import join, lines_of

_KINDS = ("inet", "inet6")

_SECONDS = 8
"""Enough for a second name server, which the resolver of glibc asks after five seconds."""


@dataclass(frozen=True)
class AddressesOf(Question[tuple[str, ...]]):
    """Every IPv4 and IPv6 address of the name; ABSENT when the host finds none.

    `getent ahosts` leaves out IPv6 addresses where the host has no IPv6 of its own; `getent hosts` does not, and prints IPv4
    ones only where there are no others. Each is therefore asked for its half.
    """

    name: str
    family: ClassVar[str] = "resolution"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """All names at the same time: where no name server answers, each takes the whole timeout."""
        return f"""\
number=0
for name in {join(q.name for q in questions)}; do
  for database in ahostsv4 hosts; do timeout {_SECONDS} getent "$database" -- "$name" | sed "s/^/$number /" & done
  number=$((number + 1))
done
wait
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[str, ...] | Missing]:
        *lines, end = lines_of(section.stdout)
        if end != "end":
            return {}
        found: list[list[str]] = [[] for _ in questions]
        for line in lines:
            number, address, *_ = line.split()
            found[int(number)].append(address)
        return {q: _addresses(words) or Missing.ABSENT for q, words in zip(questions, found, strict=True)}


class OwnAddresses(Singleton[tuple[str, ...]]):
    """The addresses of the host's interfaces, loopback included."""

    family: ClassVar[str] = "own-addresses"

    @classmethod
    def script_one(cls) -> str:
        return "ip -o address show && echo end\n"

    @classmethod
    def parse_one(cls, section: Section) -> tuple[str, ...] | Missing:
        *lines, end = lines_of(section.stdout)
        if section.status or end != "end":
            return Missing.UNKNOWN
        return _addresses(line.split()[3].partition("/")[0] for line in lines if line.split()[2] in _KINDS)


def _addresses(words: Iterable[str]) -> tuple[str, ...]:
    """Each address once, in its canonical form, IPv4 first. Raises ValueError for what is not an address."""
    found = {ip_address(word.partition("%")[0]) for word in words}
    return tuple(str(address) for address in sorted(found, key=lambda one: (one.version, int(one))))
