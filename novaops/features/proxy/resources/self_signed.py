"""A self-signed certificate, made and renewed on the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import LARGEST, FileAt, FileState
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.formats.names import is_address
from novaops.formats.size import human
from novaops.formats.x509 import Chain, day, names_for
from novaops.model.action import Command
from novaops.model.journal import STATE, pending_marker
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote, sh_file

LIFETIME = 397
"""Days. What clients take: Apple's turn down any certificate of more than 825 days, and for a public authority's 398 are the most."""

SOON = 30
"""Days before its end from which a certificate is due for renewal."""

_LONGEST_COMMON_NAME = 64
"""Characters. RFC 5280, ub-common-name-length."""

_OTHERS = 0o077

_KEPT = f"{STATE}/certificates"
"""A folder for each certificate, and in it one for each pair that was replaced, named by the sha256 of its certificate."""

_NONE = "none"
"""In place of a digest where there was no certificate."""

_OPENSSL = """\
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = {common_name}
[extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""
"""CA:FALSE: a client that trusts the certificate trusts it for its own names, and nothing that its key signs."""

_SCRIPT = sh_file(__package__, "certificate.sh")

_FINISH = 'marker=$1; shift; "$@" && rm -f -- "$marker"'


@dataclass(frozen=True)
class SelfSigned(Resource):
    """A key and a certificate of its own, made on the host. The key never leaves it."""

    name: str
    domains: tuple[str, ...]
    """As in server_name; IP addresses too."""
    certificate: str
    key: str
    then: tuple[str, ...] = ()
    """The words of a command that makes a new one count, such as a reload. It must succeed where there is nothing to reload yet."""

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (CertificateAt(self.certificate, self.key), FileAt(self.certificate))

    def plan(self, facts: Facts) -> Iterable[Step]:
        names = names_for(self.domains)
        if not names:
            raise Refused(
                f"no certificate can be made for {', '.join(self.domains)}",
                why="A certificate holds whole names and *.name: clients take no other pattern.",
                fix="name the domains",
            )
        found, file = facts[CertificateAt(self.certificate, self.key)], facts[FileAt(self.certificate)]
        old = file if isinstance(file, FileState) else None
        if old is not None and not old.is_regular:
            raise Refused(f"{self.certificate} is a {old.kind}, not a file", fix="move it away first")
        if old is not None and old.content is None:
            raise Refused(f"{self.certificate} is larger than {human(LARGEST)}, and no certificate", fix="move it away first")
        changes = list(self._changes(None if found is Missing.ABSENT else found, names))
        if changes:
            digest = old.digest if old is not None else _NONE
            yield Step(self.id, tuple(changes), (self._make(names, digest),))
        elif old is not None and old.pending and self.then:
            marker = pending_marker(self.certificate)
            finish = Command(("sh", "-c", _FINISH, "finish", marker, *self.then), holds=f"[ ! -e {quote(marker)} ]")
            yield Step(self.id, (Change("then", "not finished", " ".join(self.then)),), (finish,))

    def _changes(self, found: CertificateFacts | None, names: tuple[str, ...]) -> Iterator[Change]:
        """Why a new one is made; nothing when the one that is there will do."""
        wanted = f"self-signed, {LIFETIME} days, for {', '.join(names)}"
        if found is None:
            yield Change("certificate", None, wanted)
            return
        try:
            leaf = Chain.read(found.chain).leaf
        except ValueError as error:
            yield Change("certificate", f"{self.certificate}: {error}", wanted)
            return
        if not leaf.self_signed:
            raise Refused(
                f"{self.certificate} is not self-signed: {leaf.issuer} issued it",
                why="novaops puts a certificate of its own in this place, and does not know who put this one there.",
                fix="tls: files uses it where it is; or move it away first",
            )
        if set(leaf.names) != set(names):
            yield Change("names", ", ".join(leaf.names), ", ".join(names))
        elif leaf.days_left(found.now) < SOON or leaf.not_before > found.now:
            yield Change("valid", f"from {day(leaf.not_before)} to {day(leaf.not_after)}", f"{LIFETIME} days from now")
        if not found.key_there:
            yield Change("key", None, "a new one")
        elif found.key_matches is False or found.key_encrypted:
            yield Change("key", "encrypted" if found.key_encrypted else "of another certificate", "a new one")
        elif found.key_grants(_OTHERS):
            yield Change("key", f"mode {found.key_mode}, so others may know it", "a new one, mode 0600")

    def _make(self, names: tuple[str, ...], before: str) -> Command:
        common_name = names[0] if len(names[0]) <= _LONGEST_COMMON_NAME else "novaops"
        listed = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
        configuration = _OPENSSL.format(common_name=common_name, names=listed)
        marker = pending_marker(self.certificate)
        kept = f"{_KEPT}/{marker.rpartition('/')[2]}/{before}"
        place = (self.certificate, self.key, before, marker, kept)
        same = f'[ "$(sha256sum 2>/dev/null <{quote(self.certificate)} | cut -d " " -f 1)" = {before} ]'
        as_before = f"[ ! -e {quote(kept + '/between')} ] && {f'[ ! -e {quote(self.certificate)} ]' if before == _NONE else same}"
        undo = Command(("sh", "-c", _SCRIPT, "take-back", *place, *self.then), holds=as_before)
        return Command(("sh", "-c", _SCRIPT, "make-certificate", *place, str(LIFETIME), configuration, *self.then), undo=undo)
