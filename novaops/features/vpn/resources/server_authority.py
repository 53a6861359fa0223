"""The small authority of a VPN server, and the server's own certificate. Its private key is made on the host and stays there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.vpn.facts.server import FOLDER, ServerState, VpnServer
from novaops.formats.x509 import DAY
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote

YEARS = 3650
"""Days: the authority's, the server certificate's, and the list of revoked certificates'. All end together, or are renewed before."""

SOON = 30
"""Days before its end that something is renewed."""

FUNCTIONS = f"""\
name=$1; shift
folder={FOLDER}/$name unit=openvpn-server@$name.service
cd "$folder" || exit
umask 077
quietly() {{ "$@" >said 2>&1 || {{ status=$?; tail -n 5 said; exit $status; }}; }}
sign() {{ # REQUEST KIND SUBJECT DAYS CERTIFICATE [MORE]: valid since yesterday, as clocks differ
  request=$1 kind=$2 subject=$3 days=$4 certificate=$5; shift 5
  quietly openssl ca -batch -notext -config openssl.cnf -extensions "${{kind}}_extensions" -subj "$subject" -in "$request" \\
    -startdate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -days "$days" -out "$certificate.new" "$@"
  mv "$certificate.new" "$certificate" || exit
}}
serials() {{ awk -F '\\t' -v subject="/CN=$1" '$1 == "V" && $6 == subject {{ print $4 }}' index.txt; }}
revoke() {{ for serial; do quietly openssl ca -batch -config openssl.cnf -revoke "certs/$serial.pem"; done; }}
list() {{ # where the server reads it, which is nobody by then
  quietly openssl ca -batch -config openssl.cnf -gencrl -out crl.new
  chmod 644 crl.new && mv crl.new "$folder.crl.pem" || exit
}}
"""

_MAKE = f"""\
{FUNCTIONS}
days=$1 token=$2; shift 2
key() {{ quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }}
authority() {{
  mkdir -p certs clients && : >index.txt || exit
  key ca.key
  quietly openssl req -new -config openssl.cnf -key ca.key -subj "/CN=novaops VPN $name" -out ca.csr
  sign ca.csr authority "/CN=novaops VPN $name" {YEARS} ca.crt -selfsign
  : >index.txt; rm -f ca.csr
}}
server() {{
  old=$(serials "server:$name")
  key server.key.new
  quietly openssl req -new -config openssl.cnf -key server.key.new -subj "/CN=server:$name" -out server.csr
  sign server.csr server "/CN=server:$name" "$days" server.crt.made
  mv server.key.new server.key && mv server.crt.made server.crt || exit
  revoke $old
  rm -f server.csr
}}
secret() {{ quietly openvpn --genkey tls-crypt tls-crypt.key; }}
for part; do "$part"; done
rm -f said
[ -z "$token" ] || echo "$token" >renewed
case " $* " in
  *" server "* | *" secret "*) ! systemctl is-active --quiet "$unit" || systemctl restart "$unit" ;;
esac
"""

_TAKE_BACK = f"""\
{FUNCTIONS}
if grep -q -v '/CN=server:' index.txt; then echo "there are clients that have certificates of it"; exit 1; fi
rm -rf ca.key ca.crt ca.csr server.* certs clients index.txt* tls-crypt.key renewed said crl.new "$folder.crl.pem"
"""


@dataclass(frozen=True)
class Authority(Resource):
    question: VpnServer
    days: int = YEARS
    """For which the server's certificate is made, when it is made."""
    token: str = ""
    """Of one wish to renew it: it is done when the host has written the token down."""

    @property
    def id(self) -> str:
        return f"authority:{self.question.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        now = facts.known(self.question)
        wanted = list(self._wanted(now))
        if not wanted:
            return
        fresh = "authority" in [part for part, _ in wanted]
        name = self.question.name
        words = ("sh", "-c", _MAKE, "make", name, str(self.days), self.token, *(part for part, _ in wanted))
        undo = Command(("sh", "-c", _TAKE_BACK, "take-back", name), holds=f"[ ! -e {FOLDER}/{quote(name)}/ca.key ]") if fresh else None
        lost = "the authority, once a client has a certificate of it" if fresh else "what the server had before: it is made anew"
        yield Step(self.id, tuple(change for _, change in wanted), (Command(words, undo=undo),), cannot_undo=lost)

    def _wanted(self, now: ServerState) -> Iterator[tuple[str, Change]]:
        """The parts to be made, in their order."""
        if now.ca is None:
            yield "authority", Change("authority", None, "its key stays on the host; 10 years")
        elif not now.ca_fits:
            raise Refused(
                f"the private key of the VPN's authority on the host is gone, or not that of {FOLDER}/{self.question.name}/ca.crt",
                why="Without it no certificate can be made or revoked. The server itself goes on.",
                fix=f"put {FOLDER}/{self.question.name}/ca.key back from a copy; or begin anew: novaops vpn serve HOST --remove --forget-clients",
            )
        if reason := self._renewed(now):
            yield "server", Change("server certificate", reason if now.certificate is not None else None, f"new, for {self.days} days")
        if not now.tls_crypt:
            yield "secret", Change("tls-crypt key", None, "new")
        if now.ca is None or now.crl_until is None or (now.crl_until - now.now) // DAY < SOON or self._renewed(now):
            yield "list", Change("list of revoked certificates", None, f"new, for {YEARS} days")

    def _renewed(self, now: ServerState) -> str:
        """Why the server needs another certificate; "" when it does not."""
        if now.ca is None or now.certificate is None or not now.is_signed:
            return "not of this authority"
        if now.days_left < SOON:
            return f"{now.days_left} days left"
        return f"serial {now.certificate.serial}" if self.token and self.token != now.token else ""

    def notes(self, facts: Facts) -> Iterator[str]:
        now = facts.known(self.question)
        if now.ca is not None and now.ca.days_left(now.now) < 365:  # noqa: PLR2004 - a year's warning
            yield f"the authority ends in {now.ca.days_left(now.now)} days, and all its clients with it"
