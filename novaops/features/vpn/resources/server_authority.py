"""The small authority of a VPN server, and the server's own certificate. Its private key is made on the host and stays there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.vpn.facts.server import ServerState, VpnServer
from novaops.features.vpn.facts.server_question import TALK
from novaops.features.vpn.paths import SERVERS, SOCKETS, ServerPaths
from novaops.formats.x509 import DAY
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote, sh_file

YEARS = 3650
"""Days: how long the authority, the server's certificate and the list of revoked certificates are valid."""

SOON = 30
"""Days before its end that something is renewed."""

_SHOWN = 5
"""So many are named, of what may be many."""

_TAKE_BACK = """\
if grep -q -v '/CN=server:' index.txt; then echo "there are clients that have certificates of it"; exit 1; fi
rm -rf ca.key ca.crt ca.csr server.* certs clients index.txt* tls-crypt.key renewed said crl.new "$folder.crl.pem"
"""


def pki_script(body: str) -> str:
    """sh: `body` with the functions of server_pki.sh before it."""
    return f"SERVERS={SERVERS} SOCKETS={SOCKETS} YEARS={YEARS} TALK={quote(TALK)}\n{sh_file(__package__, 'server_pki.sh')}{body}"


def _some(words: Sequence[str]) -> str:
    """The first of them, for people."""
    return ", ".join([*words[:_SHOWN], *([f"and {len(words) - _SHOWN} more"] if len(words) > _SHOWN else [])])


@dataclass(frozen=True)
class Authority(Resource):
    question: VpnServer
    days: int = YEARS
    """For which the server's certificate is made, when it is made."""
    token: str = ""
    """Of one renewal: it is done when the host has written the token down."""

    @property
    def id(self) -> str:
        return f"authority:{self.question.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        wanted = dict(self._missing(facts.known(self.question)))
        if not wanted:
            return
        name = self.question.name
        words = ("sh", "-c", pki_script(sh_file(__package__, "server_authority.sh")), "make", name, str(self.days), self.token, *wanted)
        undo, lost = None, "what the server had before: it is made anew"
        if "authority" in wanted:
            not_made = f"[ ! -e {quote(self._folder)}/ca.key ]"
            undo = Command(("sh", "-c", pki_script(_TAKE_BACK), "take-back", name), holds=not_made)
            lost = "the authority, once a client has a certificate of it"
        yield Step(self.id, tuple(wanted.values()), (Command(words, undo=undo),), cannot_undo=lost)

    @property
    def _folder(self) -> str:
        return ServerPaths(self.question.name).folder

    def _missing(self, now: ServerState) -> Iterator[tuple[str, Change]]:
        """The parts to be made, in their order."""
        if now.ca is None:
            yield "authority", Change("authority", None, "its key stays on the host; 10 years")
        elif not now.ca_fits:
            raise Refused(
                f"the private key of the VPN's authority on the host is gone, or not that of {self._folder}/ca.crt",
                why="Without it no certificate can be made or revoked. The server itself goes on.",
                fix=f"put {self._folder}/ca.key back from a copy; or begin anew: "
                f"novaops vpn serve HOST --name {self.question.name} --remove --forget-clients",
            )
        if now.unrecorded:
            yield "record", Change("record of certificates", f"lacks {_some(now.unrecorded)}", "has them")
        if reason := self._renewed(now):
            yield "server", Change("server certificate", reason if now.certificate is not None else None, f"new, for {self.days} days")
        if not now.tls_crypt:
            yield "secret", Change("tls-crypt key", None, "new")
        if now.ca is None:
            yield "list", Change("list of revoked certificates", None, f"new, for {YEARS} days")
        elif reason := self._list_trouble(now) or ("before the renewal" if self._renewed(now) else ""):
            yield "list", Change("list of revoked certificates", reason, f"new, for {YEARS} days")
        elif inside := now.clients.revoked_inside:
            who = _some([f"{one.name} from {one.address}" for one in inside])
            yield "cut_off", Change("connected", f"{who}, with a revoked certificate", "cut off")

    def _list_trouble(self, now: ServerState) -> str:
        """Why the list of revoked certificates has to be made anew; "" when it is as the record says."""
        listed = now.clients.revocations
        if listed.until is None or listed.trouble:
            return listed.trouble
        if listed.lacking:
            return f"lacks {_some([f'{one.name} (serial {one.serial})' for one in listed.lacking])}"
        if listed.unrecorded:
            return f"has {_some(listed.unrecorded)}, which the record does not call revoked"
        if now.list_is_closed:
            return "not for the server to read"
        left = (listed.until - now.now) // DAY
        return f"{left} days left" if left < SOON else ""

    def _renewed(self, now: ServerState) -> str:
        """Why the server needs another certificate; "" when it does not."""
        if now.ca is None or now.certificate is None or not now.is_signed:
            return "not of this authority"
        if now.revoked_itself:
            return f"serial {now.certificate.serial}, which is revoked"
        if now.days_left < SOON:
            return f"{now.days_left} days left"
        return f"serial {now.certificate.serial}" if self.token and self.token != now.token else ""

    def notes(self, facts: Facts) -> Iterator[str]:
        now = facts.known(self.question)
        if now.ca is not None and now.ca.days_left(now.now) < 365:  # noqa: PLR2004 - a year's warning
            yield f"the authority ends in {now.ca.days_left(now.now)} days, and all its clients with it"
