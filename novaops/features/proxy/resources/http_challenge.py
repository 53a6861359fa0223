"""What the HTTP-01 challenge of ACME takes (RFC 8555, 8.3): names that lead to the host, and port 80 for nginx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from novaops.errors import Refused
from novaops.facts.dns import AddressesOf, OwnAddresses
from novaops.facts.listening import Listening
from novaops.formats.names import is_address
from novaops.model.question import Facts, Missing, Question

_HTTP = 80


@dataclass(frozen=True)
class HttpChallenge:
    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    """Names and addresses that lead to the host, besides its own addresses."""

    def questions(self) -> Iterable[Question[Any]]:
        yield from (OwnAddresses(), Listening())
        yield from (AddressesOf(name) for name in self.domains if not _unsuitable(name))
        yield from (AddressesOf(name) for name in self.addresses if not is_address(name))

    def refuse_names(self) -> None:
        reasons = [f"{domain}: {reason}" for domain in self.domains if (reason := _unsuitable(domain))]
        if reasons:
            raise Refused(
                "no certificate can be issued for these names over HTTP",
                why="\n".join(reasons),
                fix="name the domains one by one, or use tls: files with a certificate that was obtained in another way",
            )

    def refuse_unreachable(self, facts: Facts) -> None:
        """Raises Refused when the authority could not reach the challenge on this host: failed attempts count towards its rate limits."""
        reasons = [reason for domain in self.domains for reason in self._why_not(domain, facts)]
        if reasons:
            own: tuple[str, ...] = facts.known(OwnAddresses())
            known = dict.fromkeys((*self.addresses, *(address for address in own if not _is_loopback(address))))
            raise Refused(
                f"the authority would not find the host as {', '.join(self.domains)}",
                why="\n".join([*reasons, f"What leads to the host: {', '.join(known)}."]),
                fix="let DNS point to the host, and run this again; where another address leads to it, public: says so",
            )
        others = [one for one in facts.known(Listening()) if one.port == _HTTP and "nginx" not in one.programs]
        if others:
            program = ", ".join(dict.fromkeys(program for one in others for program in one.programs)) or "something"
            raise Refused(
                f"port {_HTTP} is taken by {program}: the authority asks there, and nginx has to answer",
                fix=f"{others[0].stop_it}, or let it listen elsewhere (it listens on {', '.join(dict.fromkeys(o.address for o in others))})",
            )

    def _why_not(self, domain: str, facts: Facts) -> Iterator[str]:
        """Why the authority would not reach the host by this name."""
        found = facts[AddressesOf(domain)]
        if found is Missing.ABSENT:
            yield f"{domain} has no address"
            return
        ours = {*facts.known(OwnAddresses()), *(address for other in self.addresses for address in _addresses(other, facts))}
        foreign = [address for address in found if address not in ours and not _is_loopback(address)]
        if foreign:
            first = " (authorities try IPv6 first)" if any(":" in address for address in foreign) else ""
            yield f"{domain} leads to {', '.join(foreign)}, which is not the host{first}"


def _unsuitable(name: str) -> str:
    """Why no authority issues a certificate for the name by HTTP; "" when it does."""
    if name.startswith("~"):
        return "a pattern is no name"
    if "*" in name or name.startswith("."):
        return "a wildcard needs validation by DNS"
    if is_address(name.strip("[]")):
        return "an IP address, which most versions of certbot do not support"
    return "" if "." in name else "not a full name"


def _addresses(name: str, facts: Facts) -> tuple[str, ...]:
    """Of a name, or the address itself."""
    if is_address(name):
        return (str(ip_address(name)),)
    found = facts[AddressesOf(name)]
    return () if found is Missing.ABSENT else found


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback
