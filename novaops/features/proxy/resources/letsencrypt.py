"""A certificate from an ACME authority, by certbot: a dry run first, then the certificate; the host renews it by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.file import FileAt, FileState
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.features.proxy.facts.renewals import Renewals
from novaops.features.proxy.resources.http_challenge import HttpChallenge
from novaops.formats.certbot_renewal import RenewalConf
from novaops.formats.x509 import Chain
from novaops.model.action import Command, Precondition
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.file import rewrite
from novaops.resources.unit import Unit
from novaops.shell import join, quote

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

TIMERS = ("certbot.timer", "snap.certbot.renew.timer", "certbot-renew.timer")
"""The timers that renew: of Debian and Ubuntu, of the snap, and of EPEL, which installs it disabled."""

_OVERDUE = 6
"""In the last sixth of its lifetime a certificate is overdue. certbot renews it with a third left, or with 30 days left."""

_QUIET = "--non-interactive"

_REHEARSE = """\
said=$({words} 2>&1) && exit
printf '%s\\n' "$said" | grep -v -e '^Saving debug log' -e '^- - -' -e '^Ask for help' -e '^Processing ' -e 'renew failure(s)' -e '^$'
exit 1"""
"""Prints why certbot failed, without the lines that it always prints."""


@dataclass(frozen=True)
class LetsEncrypt(Resource):
    """Planned after the site on port 80 that serves `webroot`: the authority requests the challenge by plain HTTP."""

    name: str
    domains: tuple[str, ...]
    email: str | None
    """For the authority's warnings. None: an account without an address."""
    directory: str
    """The authority's ACME directory, a URL."""
    webroot: str
    addresses: tuple[str, ...]
    """Names and addresses that lead to the host, besides its own: in a cloud a host has private addresses only."""
    hook: tuple[str, ...]
    """The command that certbot runs after each new certificate."""

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    @property
    def lineage(self) -> str:
        """The name, in certbot, of a certificate and its renewals."""
        return f"novaops-{self.name}"

    @property
    def certificate(self) -> str:
        return f"/etc/letsencrypt/live/{self.lineage}/fullchain.pem"

    @property
    def key(self) -> str:
        return f"/etc/letsencrypt/live/{self.lineage}/privkey.pem"

    @property
    def conf(self) -> str:
        """The file with certbot's settings for the renewal."""
        return f"/etc/letsencrypt/renewal/{self.lineage}.conf"

    @property
    def _challenge(self) -> HttpChallenge:
        return HttpChallenge(self.domains, self.addresses)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (CertificateAt(self.certificate, self.key), FileAt(self.conf), Renewals())
        yield from self._challenge.questions()
        yield from (UnitNamed(timer) for timer in TIMERS)

    def plan(self, facts: Facts) -> Iterable[Step]:
        self._challenge.refuse_names()
        found, file = facts[CertificateAt(self.certificate, self.key)], facts[FileAt(self.conf)]
        if found is Missing.ABSENT or file is Missing.ABSENT or file.content is None:
            self._challenge.refuse_unreachable(facts)
            yield self._first()
            return
        conf = RenewalConf(file.content.decode("utf-8", "surrogateescape"))
        if changes := list(self._outdated(found, conf)):
            self._challenge.refuse_unreachable(facts)
            yield self._again(changes)
        else:
            yield from self._renewal(file, conf)
        yield from self._timer(facts)

    def verify_works(self, facts: Facts) -> None:
        """Raises HostFailed when nothing renews the certificate. It is no refusal, which would keep all else from being changed."""
        if facts.known(Renewals()):
            return
        timer, load = next(((timer, unit.load) for timer, unit in _timers(facts)), (TIMERS[0], ""))
        why = f"{timer} is {load}" if load else f"There is no {timer}"
        unmask = f"systemctl unmask {timer} and run this again" if load == "masked" else f"install the package that brings {timer}"
        raise HostFailed(
            f"{self.name}: nothing on the host renews the certificate",
            why=f"{why}, and no other timer that is enabled and no file of cron runs certbot.",
            fix=f"{unmask}; or add to /etc/crontab: 0 0,12 * * * root certbot renew -q",
        )

    # -- certbot's commands -----------------------------------------------------------------------------------------------

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
        """Let's Encrypt has a staging authority for dry runs, with rate limits of its own; another authority's certificate is thrown away."""
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
        """Why another certificate is needed; nothing when the present one is good."""
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
        """The settings for renewal are edited in certbot's file: `certbot reconfigure` is newer than the certbot of many hosts."""
        wanted = conf.but(join(self.hook), self.webroot, self.domains)
        if wanted.differences(conf):
            write = rewrite(self.conf, file, wanted.text.encode("utf-8", "surrogateescape"))
            quietly = (_QUIET, "--dry-run", "--no-random-sleep-on-renew")
            words = ("certbot", "renew", *quietly, "--cert-name", self.lineage, "--server", self.directory)
            rehearsal = Precondition(_REHEARSE.format(words=join(words)), "a rehearsal renews the certificate")
            yield Step(self.id, tuple(Change(*difference) for difference in wanted.differences(conf)), (write, rehearsal))

    def _timer(self, facts: Facts) -> Iterator[Step]:
        timer = next((timer for timer, unit in _timers(facts) if unit.load == "loaded"), "")
        if timer and not facts.known(Renewals()):
            yield from Unit(timer).plan(facts)


def _timers(facts: Facts) -> Iterator[tuple[str, UnitFacts]]:
    """Those that the host has."""
    for timer in TIMERS:
        unit = facts[UnitNamed(timer)]
        if unit is not Missing.ABSENT:
            yield timer, unit
