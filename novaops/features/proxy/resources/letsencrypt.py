"""A certificate from an authority that speaks ACME, by certbot: rehearsed, issued, and renewed by the host itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from novaops.errors import Refused
from novaops.facts.dns import AddressesOf, OwnAddresses
from novaops.facts.file import FileAt, FileState
from novaops.facts.listening import Listening
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.formats.certbot_renewal import RenewalConf
from novaops.formats.names import is_address
from novaops.formats.x509 import Chain
from novaops.model.action import Command, Precondition, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.unit import Unit
from novaops.shell import join, quote

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

TIMERS = ("certbot.timer", "snap.certbot.renew.timer", "certbot-renew.timer")
"""What renews: Debian's and Ubuntu's, the snap's, and EPEL's, which is off when it is installed."""

_HTTP = 80

_OVERDUE = 6
"""A certificate is overdue in the last sixth of its life. Every certbot renews it long before: with a third left, or 30 days."""

_QUIET = "--non-interactive"

_REHEARSE = """\
said=$({words} 2>&1) && exit
printf '%s\\n' "$said" | grep -v -e '^Saving debug log' -e '^- - -' -e '^Ask for help' -e '^Processing ' -e 'renew failure(s)' -e '^$'
exit 1"""
"""What certbot says, without what it always says."""


@dataclass(frozen=True)
class LetsEncrypt(Resource):
    """The site on port 80 that answers from `webroot` is there before it: the authority looks by plain HTTP."""

    name: str
    domains: tuple[str, ...]
    email: str | None
    """For the authority's warnings. None: an account without an address."""
    directory: str
    """The authority's ACME directory, a URL."""
    webroot: str
    addresses: tuple[str, ...]
    """What leads to the host beside its own addresses, such as the inventory's address of it: clouds give hosts private ones."""
    hook: tuple[str, ...]
    """Words that certbot runs after each certificate it gets."""

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    @property
    def lineage(self) -> str:
        """As certbot calls what one certificate and its renewals have in common."""
        return f"novaops-{self.name}"

    @property
    def certificate(self) -> str:
        return f"/etc/letsencrypt/live/{self.lineage}/fullchain.pem"

    @property
    def key(self) -> str:
        return f"/etc/letsencrypt/live/{self.lineage}/privkey.pem"

    @property
    def conf(self) -> str:
        """Where certbot keeps how to renew it."""
        return f"/etc/letsencrypt/renewal/{self.lineage}.conf"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (CertificateAt(self.certificate, self.key), FileAt(self.conf), OwnAddresses(), Listening())
        yield from (AddressesOf(name) for name in self.domains if not _unfit(name))
        yield from (AddressesOf(name) for name in self.addresses if not is_address(name))
        yield from (UnitNamed(timer) for timer in TIMERS)

    def plan(self, facts: Facts) -> Iterable[Step]:
        self._refuse_names()
        found, file = facts[CertificateAt(self.certificate, self.key)], facts[FileAt(self.conf)]
        conf = (
            RenewalConf(file.content.decode("utf-8", "surrogateescape"))
            if file is not Missing.ABSENT and file.content is not None
            else None
        )
        if found is Missing.ABSENT or conf is None:
            self._refuse_unreachable(facts)
            yield self._first()
            return
        changes = list(self._outdated(found, conf))
        if changes:
            self._refuse_unreachable(facts)
            yield self._again(changes)
        elif file is not Missing.ABSENT:
            yield from self._renewal(file, conf)
        yield from self._timer(facts)

    def notes(self, facts: Facts) -> Iterator[str]:
        if facts[CertificateAt(self.certificate, self.key)] is Missing.ABSENT:
            return
        timers = list(_timers(facts))
        if not any(unit.load == "loaded" for _, unit in timers):
            why = f"{timers[0][0]} is {timers[0][1].load}" if timers else f"there is no {TIMERS[0]}"
            yield f"nothing that is known of renews the certificate on the host: {why}"

    # -- what certbot is to do --------------------------------------------------------------------------------------------

    def _first(self) -> Step:
        there = f"[ -e {quote(self.certificate)} ] && [ -e {quote(self.conf)} ]"
        gone = f"[ ! -e {quote(self.certificate)} ] && [ ! -e {quote(self.conf)} ]"
        delete = Command(("certbot", "delete", _QUIET, "--cert-name", self.lineage), holds=gone)
        issue = Command(self._certonly(), holds=there, undo=delete)
        change = Change("certificate", None, f"from {self.directory}, for {', '.join(self.domains)}")
        return Step(self.id, (change,), (self._rehearsal(), issue))

    def _again(self, changes: list[Change]) -> Step:
        more = ("--renew-with-new-domains", "--force-renewal")
        return Step(
            self.id,
            tuple(changes),
            (self._rehearsal(), Command(self._certonly(*more))),
            cannot_undo=f"the certificate that is replaced: certbot keeps it in /etc/letsencrypt/archive/{self.lineage}, but does not go back",
        )

    def _rehearsal(self) -> Precondition:
        """Let's Encrypt has a second authority for it, with limits of its own; of another one the certificate is thrown away."""
        return Precondition(_REHEARSE.format(words=join(self._certonly("--dry-run"))), "a rehearsal gets a certificate")

    def _certonly(self, *more: str) -> tuple[str, ...]:
        return (
            *("certbot", "certonly", _QUIET, "--agree-tos", "--cert-name", self.lineage, "--server", self.directory),
            *(("--email", self.email) if self.email else ("--register-unsafely-without-email",)),
            *("--webroot", "--webroot-path", self.webroot, "--key-type", "ecdsa", "--deploy-hook", join(self.hook)),
            *(word for domain in self.domains for word in ("--domain", domain)),
            *more,
        )

    def _outdated(self, found: CertificateFacts, conf: RenewalConf) -> Iterator[Change]:
        """Why another certificate is needed; nothing when the one that is there will do."""
        if conf.value("server") != self.directory:
            yield Change("authority", conf.value("server"), self.directory)
        try:
            leaf = Chain.read(found.chain).leaf
        except ValueError as error:
            yield Change("certificate", str(error), "a new one")
            return
        if set(leaf.names) != set(self.domains):
            yield Change("names", ", ".join(leaf.names), ", ".join(self.domains))
        left = leaf.not_after - found.now
        if left < leaf.lifetime // _OVERDUE:
            yield Change("valid", f"{leaf.days_left(found.now)} days more: nothing renewed it", "a new one")
        if not found.key_there or found.key_matches is False:
            yield Change("key", "of another certificate" if found.key_there else None, "a new one")

    def _renewal(self, file: FileState, conf: RenewalConf) -> Iterator[Step]:
        """How it is renewed is put right in certbot's own file, byte for byte: its command for that is newer than many hosts' certbot."""
        wanted = conf.but(join(self.hook), self.webroot, self.domains)
        if wanted.differences(conf):
            permissions = (file.mode, file.owner, file.group)
            content = wanted.text.encode("utf-8", "surrogateescape")
            write = WriteFile(self.conf, content, *permissions, before=file.content, permissions_before=permissions)
            quietly = (_QUIET, "--dry-run", "--no-random-sleep-on-renew")
            words = ("certbot", "renew", *quietly, "--cert-name", self.lineage, "--server", self.directory)
            rehearsal = Precondition(_REHEARSE.format(words=join(words)), "a rehearsal renews the certificate")
            yield Step(self.id, tuple(Change(*difference) for difference in wanted.differences(conf)), (write, rehearsal))

    def _timer(self, facts: Facts) -> Iterator[Step]:
        timers = [(timer, unit) for timer, unit in _timers(facts) if unit.load == "loaded"]
        if timers and not any(unit.active == "active" for _, unit in timers):
            yield from Unit(timers[0][0]).plan(facts)

    # -- what cannot work -------------------------------------------------------------------------------------------------

    def _refuse_names(self) -> None:
        reasons = [f"{domain}: {reason}" for domain in self.domains if (reason := _unfit(domain))]
        if reasons:
            raise Refused(
                "no certificate can be had for these names over HTTP",
                why="\n".join(reasons),
                fix="name the domains one by one, or use tls: files with a certificate that was had in another way",
            )

    def _refuse_unreachable(self, facts: Facts) -> None:
        """Raises Refused when the authority could not find the answer: its limits count every attempt."""
        reasons = [reason for domain in self.domains for reason in self._elsewhere(domain, facts)]
        if reasons:
            own: tuple[str, ...] = facts.known(OwnAddresses())
            known = dict.fromkeys((*self.addresses, *(address for address in own if not _is_loopback(address))))
            raise Refused(
                f"the authority would not find the host as {', '.join(self.domains)}",
                why="\n".join([*reasons, f"What leads to the host: {', '.join(known)}."]),
                fix="let DNS point to the host, and run this again; where another address leads to it, public: says so",
            )
        holders = [one for one in facts.known(Listening()) if one.port == _HTTP and "nginx" not in one.programs]
        if holders:
            program = ", ".join(dict.fromkeys(program for one in holders for program in one.programs)) or "something"
            raise Refused(
                f"port {_HTTP} is taken by {program}: the authority asks there, and nginx has to answer",
                fix=f"stop it for good, or let it listen elsewhere (it listens on {', '.join(dict.fromkeys(o.address for o in holders))})",
            )

    def _elsewhere(self, domain: str, facts: Facts) -> Iterator[str]:
        """Why the authority would not find the host by this name."""
        found = facts[AddressesOf(domain)]
        if found is Missing.ABSENT:
            yield f"{domain} has no address"
            return
        ours = {*facts.known(OwnAddresses()), *(address for other in self.addresses for address in _addresses(other, facts))}
        foreign = [address for address in found if address not in ours and not _is_loopback(address)]
        if foreign:
            first = " (authorities try IPv6 first)" if any(":" in address for address in foreign) else ""
            yield f"{domain} leads to {', '.join(foreign)}, which is not the host{first}"


def _unfit(name: str) -> str:
    """Why an authority gives no certificate for it by HTTP; "" when it does."""
    if name.startswith("~"):
        return "a pattern is no name"
    if "*" in name or name.startswith("."):
        return "a wildcard needs a proof by DNS"
    if is_address(name.strip("[]")):
        return "an IP address, which most versions of certbot know nothing of"
    return "" if "." in name else "not a full name"


def _timers(facts: Facts) -> Iterator[tuple[str, UnitFacts]]:
    """Those that are there."""
    for timer in TIMERS:
        unit = facts[UnitNamed(timer)]
        if unit is not Missing.ABSENT:
            yield timer, unit


def _addresses(name: str, facts: Facts) -> tuple[str, ...]:
    """Of a name, or the address itself."""
    if is_address(name):
        return (str(ip_address(name)),)
    found = facts[AddressesOf(name)]
    return () if found is Missing.ABSENT else found


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback
