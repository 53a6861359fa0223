"""Certificates that novaops makes itself, and those that somebody has put on the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import LARGEST, FileAt, FileState
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.formats.names import is_address
from novaops.formats.size import human
from novaops.formats.x509 import Certificate, Chain, names_for
from novaops.model.action import Command
from novaops.model.journal import STATE, pending_marker
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote

LIFETIME = 397
"""Days. What clients take: Apple's turn down any certificate of more than 825 days, and for a public authority's 398 are the most."""

SOON = 30
"""Days before its end from which a certificate is due."""

_LONGEST_COMMON_NAME = 64

_EVERYBODY, _OTHERS = 0o004, 0o077

_KEPT = f"{STATE}/certificates"
"""A folder for each certificate, and in it one for each pair that was replaced, named by the sha256 of its certificate."""

_KEPT_PAIRS = 5

_NONE = "none"
"""Where there was no certificate."""

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
"""No authority: whoever trusts the certificate trusts it for its names, and not its key for every name there is."""

_LIBRARY = """\
certificate=$1 key=$2 before=$3 marker=$4 kept=$5; shift 5
digest() { if [ -f "$1" ]; then sha256sum <"$1" | cut -d ' ' -f 1; fi; }
beside() { printf '%s\\n' "${1%/*}/.${1##*/}.novaops-new"; }
put() { sync "$1" && mv -f -- "$1" "$2" && sync "${2%/*}/" && { ! command -v restorecon >/dev/null || restorecon "$2"; }; }
put_back() { # FILE NAME: as it was kept
  if [ -e "$kept/$2" ]; then cp -p -- "$kept/$2" "$(beside "$1")" && put "$(beside "$1")" "$1"; else rm -f -- "$1"; fi
}
take_back() {
  rm -f -- "$(beside "$certificate")" "$(beside "$key")"
  put_back "$key" key && put_back "$certificate" certificate && rm -f -- "$kept/between"
}
"""
"""Two files cannot be renamed at once. `between` says that only one may be the new one; what finds it puts the old pair back first."""

_MAKE = f"""{_LIBRARY}
days=$1 configuration=$2; shift 2
umask 077
[ "$(digest "$certificate")" = "${{before#none}}" ] || {{ echo "$certificate was changed by someone since it was looked at"; exit 1; }}
[ ! -e "$kept/between" ] || take_back || exit
rm -rf "$kept" && mkdir -p "$kept" || exit
ls -t "${{kept%/*}}" | tail -n +{_KEPT_PAIRS + 1} | while read -r old; do rm -rf "${{kept%/*}}/$old"; done
for pair in "$certificate:certificate" "$key:key"; do
  [ ! -e "${{pair%:*}}" ] || cp -L -p -- "${{pair%:*}}" "$kept/${{pair##*:}}" || exit
done
new_certificate=$(beside "$certificate") new_key=$(beside "$key")
fail() {{ rm -f -- "$new_certificate" "$new_key"; exit 1; }}
rm -f -- "$new_certificate" "$new_key"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new_key" &&
  printf '%s' "$configuration" | openssl req -x509 -new -sha256 -key "$new_key" -days "$days" -config /dev/stdin -out "$new_certificate" &&
  chmod 0600 "$new_key" && chmod 0644 "$new_certificate" && chown root:root "$new_key" "$new_certificate" || fail
digest "$new_certificate" >"$kept/made" || fail
[ $# = 0 ] || : >"$marker" || fail
: >"$kept/between" && sync "$kept" || fail
put "$new_key" "$key" && put "$new_certificate" "$certificate" && rm -f -- "$kept/between" || {{ take_back; exit 1; }}
if [ $# -gt 0 ] && ! "$@"; then
  take_back && timeout 60 "$@" && rm -f -- "$marker"
  exit 1
fi
rm -f -- "$marker"
"""
"""Takes days, openssl's configuration, and the words that make it count. The old pair is kept until a newer one is made of the same."""

_TAKE_BACK = f"""{_LIBRARY}
made=$(cat "$kept/made") || {{ echo "what was there before is not kept any more in $kept"; exit 1; }}
case $(digest "$certificate") in "$made" | '') ;; *) [ -e "$kept/between" ] || {{ echo "$certificate was changed since that run, and is left as it is"; exit 1; }} ;; esac
umask 077
[ $# = 0 ] || : >"$marker" || exit
take_back || exit
[ $# = 0 ] || timeout 60 "$@" || exit
rm -f -- "$marker"
"""

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
    """Words that make a new one count, such as a reload. They must succeed where there is nothing to reload yet."""

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
            yield Change("valid", _validity(leaf), f"{LIFETIME} days from now")
        if not found.key_there:
            yield Change("key", None, "a new one")
        elif found.key_matches is False or found.key_encrypted:
            yield Change("key", "encrypted" if found.key_encrypted else "of another certificate", "a new one")
        elif found.key_rights is not None and _may(found.key_rights[0], _OTHERS):
            yield Change("key", f"mode {found.key_rights[0]}, so others may know it", "a new one, mode 0600")

    def _make(self, names: tuple[str, ...], before: str) -> Command:
        common_name = names[0] if len(names[0]) <= _LONGEST_COMMON_NAME else "novaops"
        listed = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
        configuration = _OPENSSL.format(common_name=common_name, names=listed)
        marker = pending_marker(self.certificate)
        kept = f"{_KEPT}/{marker.rpartition('/')[2]}/{before}"
        place = (self.certificate, self.key, before, marker, kept)
        same = f'[ "$(sha256sum <{quote(self.certificate)} 2>/dev/null | cut -d " " -f 1)" = {before} ]'
        as_before = f"[ ! -e {quote(kept + '/between')} ] && {f'[ ! -e {quote(self.certificate)} ]' if before == _NONE else same}"
        undo = Command(("sh", "-c", _TAKE_BACK, "take-back", *place, *self.then), holds=as_before)
        return Command(("sh", "-c", _MAKE, "make-certificate", *place, str(LIFETIME), configuration, *self.then), undo=undo)


@dataclass(frozen=True)
class GivenCertificate(Resource):
    """A certificate and its key that somebody else puts on the host and renews. Novaops only looks at them."""

    certificate: str
    key: str
    domains: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"certificate:{self.certificate}"

    def questions(self) -> Iterable[Question[Any]]:
        yield CertificateAt(self.certificate, self.key)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[CertificateAt(self.certificate, self.key)]
        if found is Missing.ABSENT:
            raise Refused(f"there is no certificate {self.certificate} on the host", fix="put it there, with its intermediates after it")
        chain = self._chain(found)
        self._refuse_key(found, chain)
        self._refuse_dates(found, chain)
        self._refuse_names(chain)
        _refuse_incomplete(self.certificate, found, chain)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        found = facts[CertificateAt(self.certificate, self.key)]
        if found is Missing.ABSENT:
            return
        chain = self._chain(found)
        days = min(c.days_left(found.now) for c in chain.path)
        if days < SOON:
            yield f"{self.certificate} expires in {days} days, on {_day(min(c.not_after for c in chain.path))}: novaops does not renew it"
        if not chain.in_order:
            yield f"{self.certificate}: the certificates are not in order, each followed by its issuer's: old clients turn that down"
        if found.key_matches is None:
            yield f"whether {self.key} is the key of {self.certificate} could not be told: there is no openssl on the host"

    def _chain(self, found: CertificateFacts) -> Chain:
        try:
            return Chain.read(found.chain)
        except ValueError as error:
            raise Refused(f"{self.certificate} cannot be used: {error}", fix="put the certificate there as PEM text") from None

    def _refuse_key(self, found: CertificateFacts, chain: Chain) -> None:
        if not found.key_there:
            raise Refused(f"there is no key {self.key} on the host", fix="put the certificate's private key there, mode 0600")
        if found.key_encrypted:
            raise Refused(
                f"the key {self.key} is encrypted",
                why="nginx would ask for its password at every start, and nobody answers.",
                fix=f"openssl pkey -in {quote(self.key)} -out NEW writes it without a password: keep that 0600",
            )
        if found.key_rights is not None and _may(found.key_rights[0], _EVERYBODY):
            raise Refused(
                f"everybody on the host can read the key {self.key} (mode {found.key_rights[0]})", fix=f"chmod 0600 {quote(self.key)}"
            )
        if found.key_matches is False:
            server = next((c for c in chain.certificates[1:] if any(c.covers(domain) for domain in self.domains)), None)
            first = (
                f"put the certificate for {server.names[0]} first in the file: a server's own comes before its issuers'" if server else ""
            )
            raise Refused(
                f"{self.key} is not the key of {self.certificate}",
                why=f"The first certificate in the file is for {', '.join(chain.leaf.names) or chain.leaf.subject}.",
                fix=first or "put the key there that the certificate was made with",
            )

    def _refuse_dates(self, found: CertificateFacts, chain: Chain) -> None:
        for certificate in chain.path:
            whose = self.certificate if certificate == chain.leaf else f"{certificate.subject} in {self.certificate}"
            if certificate.not_after <= found.now:
                raise Refused(f"{whose} expired on {_day(certificate.not_after)}", fix="put a renewed one there")
            if certificate.not_before > found.now:
                clock = f"The host's clock says {_day(found.now)}."
                raise Refused(
                    f"{whose} is valid only from {_day(certificate.not_before)} on", why=clock, fix="see whether the clock is right"
                )

    def _refuse_names(self, chain: Chain) -> None:
        missing = [domain for domain in self.domains if not chain.leaf.covers(domain)]
        if missing:
            held = f"It is for {', '.join(chain.leaf.names)}." if chain.leaf.names else "It names none in its subjectAltName."
            hint = f" The name {chain.leaf.common_name} in its subject counts for no client." if not chain.leaf.names else ""
            raise Refused(
                f"{self.certificate} is not for {', '.join(missing)}",
                why=held + hint,
                fix="have it issued for these names too, or leave them out",
            )


def _refuse_incomplete(path: str, found: CertificateFacts, chain: Chain) -> None:
    """A client knows authorities, and not who signs for them: what is in between has to come from the server."""
    if not chain.missing_issuer or not found.trusted:
        return
    what = "holds only the server's own certificate" if len(chain.certificates) == 1 else "does not lead to an authority"
    raise Refused(
        f"{path} {what}: clients that do not know its issuer turn the site down",
        why=f"The certificate of {chain.missing_issuer} is not in the file. openssl on the host: {found.trusted}.",
        fix="append the certificates of the intermediate authorities to the file; for a private authority append its own too,"
        " or let the host trust it (update-ca-certificates)",
    )


def _may(mode: str, others: int) -> bool:
    """Whether the mode gives any of these rights."""
    return bool(int(mode, 8) & others)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _validity(certificate: Certificate) -> str:
    return f"from {_day(certificate.not_before)} to {_day(certificate.not_after)}"
