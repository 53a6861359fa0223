"""OpenVPN servers of a host: their authority, what they listen on, their clients, and who of them is connected."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Literal, Self

from novaops.formats.x509 import DAY, Certificate, Chain
from novaops.model.question import Missing, Question, Section
from novaops.secret import Secret
from novaops.shell import join, quote

FOLDER = "/etc/openvpn/server"
SOCKETS = "/run/openvpn-server"

TALK = """\
use IO::Socket::UNIX;
$SIG{ALRM} = sub { exit 3 }; alarm 8;
my ($path, @commands) = @ARGV;
my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 2;
for my $command (@commands) {
  print $socket "$command\\n";
  while (my $line = <$socket>) {
    $line =~ s/\\r?\\n//;
    next if $line =~ /^>/;
    print "$line\\n";
    last if $line =~ /^(END$|SUCCESS:|ERROR:)/;
  }
}
print $socket "quit\\n";
"""
"""Perl that says commands to OpenVPN's management socket and prints its answers: every Debian has it, and no other tool for this."""

_FUNCTIONS = """\
file() { [ ! -r "$2" ] || echo "$1 $(base64 -w 0 "$2")"; }
text() { name=$1; shift; echo "$name $("$@" 2>/dev/null | base64 -w 0)"; }
public_half() { openssl pkey -in "$1" -pubout 2>/dev/null; }
closed_tables() { nft list ruleset | awk '$1 == "table" { table = $2 " " $3 } /hook forward .*policy drop/ { print table }'; }
talk() { command -v perl >/dev/null && perl -e "$TALK" "$@"; }
"""

_SERVER = """\
server() { # NAME DEVICE PORT PROTOCOL
  folder=$FOLDER/$1
  file ca "$folder/ca.crt"; file server "$folder/server.crt"; file remote "$folder/remote"; file token "$folder/renewed"
  [ ! -s "$folder/ca.key" ] || text ca_key public_half "$folder/ca.key"
  [ ! -s "$folder/server.key" ] || text server_key public_half "$folder/server.key"
  [ ! -s "$folder/tls-crypt.key" ] || echo tls_crypt
  [ ! -s "$FOLDER/$1.crl.pem" ] || text crl openssl crl -in "$FOLDER/$1.crl.pem" -noout -nextupdate -CAfile "$folder/ca.crt"
  case $4 in udp) text listeners ss -l -u -n -p -H "sport = :$3" ;; *) text listeners ss -l -t -n -p -H "sport = :$3" ;; esac
  text routes ip -4 -o route show table main
  text state talk "$SOCKETS/$1.sock" state
  text closed closed_tables
  date '+now %s'; echo end
}
"""

_CLIENTS = """\
clients() { # NAME
  folder=$FOLDER/$1
  file index "$folder/index.txt"; file token "$folder/renewed"
  text status talk "$SOCKETS/$1.sock" 'status 3'
  text others ls -1 "$FOLDER"
  date '+now %s'; echo end
}
"""

_PROFILE = """\
profile() { # SERVER CLIENT
  folder=$FOLDER/$1
  file ca "$folder/ca.crt"; file remote "$folder/remote"; file tls_crypt "$folder/tls-crypt.key"; file certificate "$folder/clients/$2.crt"
  file index "$folder/index.txt"; date '+now %s'; echo end
}
"""

_LISTENER = re.compile(r"\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+(?:\s+users:\((?P<users>.*)\))?\s*")
_PROGRAM = re.compile(r'\("(?P<program>.*?)",pid=\d+,fd=\d+\)')


def _script(functions: str, calls: Iterable[Sequence[str]]) -> str:
    settings = f"TALK={quote(TALK)} FOLDER={FOLDER} SOCKETS={SOCKETS}\n"
    return settings + _FUNCTIONS + functions + "".join(f"{join(words)}\n" for words in calls)


def _parts(section: Section, number: int) -> list[dict[str, str]]:
    """What was said of each, by its names. Raises ValueError when something is missing."""
    found: list[dict[str, str]] = [{}]
    for line in section.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word == "end":
            found.append({})
        elif word == "now":
            found[-1][word] = rest
        else:
            found[-1][word] = base64.b64decode(rest, validate=True).decode("utf-8", "replace")
    if len(found) != number + 1 or any("now" not in part for part in found[:-1]):
        raise ValueError("the answer is cut off")
    return found[:-1]


@dataclass(frozen=True)
class ServerState:
    """A server as it is. Each None where it is not there."""

    ca: Certificate | None = None
    certificate: Certificate | None = None
    ca_fits: bool = False
    """Whether the authority's private key is there, and is that of its certificate."""
    fits: bool = False
    """The same of the server's own."""
    tls_crypt: bool = False
    crl_until: int | None = None
    """When its list of revoked certificates expires, in seconds since 1970; after that it lets nobody in."""
    remote: str = ""
    """What profiles say after `remote`: ADDRESS PORT PROTOCOL."""
    token: str = ""
    """Of the last renewal."""
    listeners: tuple[str, ...] = ()
    """The programs that have its port."""
    routes: tuple[tuple[str, str], ...] = ()
    """Networks of the host's main table, and the device of each; without the default route."""
    closed: tuple[str, ...] = ()
    """Tables of nftables that pass nothing on but what they name."""
    answers: bool = False
    """Whether its management says that it is up."""
    now: int = 0

    @property
    def is_signed(self) -> bool:
        return self.ca is not None and self.certificate is not None and self.fits and self.certificate.issued_by(self.ca)

    @property
    def days_left(self) -> int:
        return self.certificate.days_left(self.now) if self.certificate is not None else 0


@dataclass(frozen=True)
class VpnServer(Question[ServerState]):
    name: str
    device: str
    port: int
    protocol: str
    family: ClassVar[str] = "vpn_server"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return _script(_SERVER, (("server", q.name, q.device, str(q.port), q.protocol) for q in questions))

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, ServerState | Missing]:
        return {q: _server(said) for q, said in zip(questions, _parts(section, len(questions)), strict=True)}


def _server(said: Mapping[str, str]) -> ServerState:
    ca, certificate = (_certificate(said.get(name, "")) for name in ("ca", "server"))
    until = re.search(r"nextUpdate=(.*)", said.get("crl", ""))
    routes = (line.split() for line in said.get("routes", "").splitlines())
    return ServerState(
        ca,
        certificate,
        ca is not None and public_key(ca) == key_of(said.get("ca_key", "")),
        certificate is not None and public_key(certificate) == key_of(said.get("server_key", "")),
        "tls_crypt" in said,
        _date(until[1]) if until else None,
        said.get("remote", "").strip(),
        said.get("token", "").strip(),
        tuple(dict.fromkeys(program for line in said.get("listeners", "").splitlines() for program in _programs(line))),
        tuple((words[0], words[words.index("dev") + 1]) for words in routes if "dev" in words and words[0] != "default"),
        tuple(said.get("closed", "").splitlines()),
        "CONNECTED,SUCCESS" in said.get("state", ""),
        int(said["now"]),
    )


def _certificate(pem: str) -> Certificate | None:
    try:
        return Chain.read(pem).leaf
    except ValueError:
        return None


def _date(text: str) -> int:
    """As openssl prints it: Nov 20 12:00:00 2036 GMT."""
    return int(datetime.strptime(text.strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp())


def _programs(line: str) -> list[str]:
    found = _LISTENER.fullmatch(line)
    if found is None:
        raise ValueError(f"ss said: {line}")
    return [user["program"] for user in _PROGRAM.finditer(found["users"] or "")] or ["the kernel"]


def key_of(pem: str) -> str:
    """The sha256 of a public key's PEM, whatever spaces it ends in."""
    return hashlib.sha256(pem.strip().encode()).hexdigest()


def public_key(certificate: Certificate) -> str:
    """The same of a certificate's public key."""
    return key_of(certificate.public_key)


# -- clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """A client that is connected now."""

    name: str
    address: str
    """Where it comes from, with the port."""
    inside: str
    """Its address in the VPN."""
    received: int
    sent: int
    """Bytes, as the server sees them."""
    since: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class Issued:
    """A certificate that was given to a client."""

    name: str
    serial: str
    state: Literal["valid", "revoked", "expired"]
    until: int
    """Seconds since 1970."""
    revoked: int = 0


@dataclass(frozen=True)
class Clients:
    """The clients of one server."""

    issued: tuple[Issued, ...]
    """In the order they were made, without the server's own."""
    connected: tuple[Connection, ...] = ()
    now: int = 0

    def valid(self, name: str) -> Issued | None:
        """The one certificate of that name that opens the door."""
        return next((one for one in self.issued if one.name == name and one.state == "valid"), None)

    @property
    def newest(self) -> dict[str, Issued]:
        """Of each name the certificate that counts: the valid one, or else the last."""
        found: dict[str, Issued] = {}
        for one in self.issued:
            if one.name not in found or found[one.name].state != "valid":
                found[one.name] = one
        return found


@dataclass(frozen=True)
class VpnClients(Question[Clients]):
    """ABSENT where there is no such server, and never was."""

    server: str
    family: ClassVar[str] = "vpn_clients"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return _script(_CLIENTS, (("clients", q.server) for q in questions))

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Clients | Missing]:
        return {q: _clients(said) for q, said in zip(questions, _parts(section, len(questions)), strict=True)}


def _clients(said: Mapping[str, str]) -> Clients | Missing:
    if "index" not in said:
        return Missing.ABSENT
    now = int(said["now"])
    return Clients(tuple(issued(said["index"], now)), tuple(connections(said.get("status", ""))), now)


def issued(index: str, now: int) -> Iterable[Issued]:
    """Of the lines of openssl's database those of clients. Raises ValueError for a line that is none."""
    for line in index.splitlines():
        state, until, revoked, serial, _, subject = line.split("\t")
        name = subject.removeprefix("/CN=")
        if name.startswith("server:"):
            continue
        ends = _asn1(until)
        word: Literal["valid", "revoked", "expired"] = "revoked" if state == "R" else "expired" if ends <= now else "valid"
        yield Issued(name, serial, word, ends, _asn1(revoked.partition(",")[0]) if revoked else 0)


def _asn1(text: str) -> int:
    """A date of openssl's database: YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ after it."""
    long = len(text) == len("20500101000000Z")
    return int(datetime.strptime(text if long else f"20{text}", "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())


def connections(status: str) -> Iterable[Connection]:
    """Of the answer to `status 3` the clients that are through. Its own header says where each value stands."""
    places: list[str] = []
    for line in status.splitlines():
        words = line.split("\t")
        if words[:2] == ["HEADER", "CLIENT_LIST"]:
            places = words[2:]
        elif words[0] == "CLIENT_LIST":
            one = dict(zip(places, words[1:], strict=False))
            if one["Common Name"] == "UNDEF":
                continue
            counts = (int(one[name]) for name in ("Bytes Received", "Bytes Sent", "Connected Since (time_t)"))
            address = re.sub(r"^(udp|tcp)[46]?(-server)?:", "", one["Real Address"])
            yield Connection(one["Common Name"], address, one["Virtual Address"], *counts)


# -- what a profile is made of ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """What the host has for a client's profile; the private key is not among it."""

    ca: str
    tls_crypt: Secret = field(repr=False)
    remote: str
    """ADDRESS PORT PROTOCOL"""
    certificate: Certificate | None
    """The client's newest; None where it never had one."""
    pem: str
    valid: Issued | None
    """The certificate of that name that opens the door now."""

    @property
    def key(self) -> str:
        """The sha256 of the public key that the valid certificate is for."""
        if self.certificate is None or self.valid is None or int(self.valid.serial, 16) != int(self.certificate.serial, 16):
            return ""
        return public_key(self.certificate)


@dataclass(frozen=True)
class VpnProfile(Question[Parts]):
    """ABSENT where there is no such server."""

    server: str
    client: str
    family: ClassVar[str] = "vpn_profile"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return _script(_PROFILE, (("profile", q.server, q.client) for q in questions))

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Parts | Missing]:
        return {q: _profile(q.client, said) for q, said in zip(questions, _parts(section, len(questions)), strict=True)}


def _profile(client: str, said: Mapping[str, str]) -> Parts | Missing:
    if not all(name in said for name in ("ca", "remote", "tls_crypt", "index")):
        return Missing.ABSENT
    pem = said.get("certificate", "")
    valid = Clients(tuple(issued(said["index"], int(said["now"])))).valid(client)
    return Parts(said["ca"], Secret(said["tls_crypt"]), said["remote"].strip(), _certificate(pem), pem, valid)


def days_left(one: Issued, now: int) -> int:
    """Whole days; negative when it has expired."""
    return (one.until - now) // DAY


def overlaps(network: str, routes: Iterable[tuple[str, str]], own: str) -> tuple[str, str] | None:
    """The first route, with its device, that shares addresses with the network; the device `own` does not count."""
    wanted = ipaddress.IPv4Network(network)
    for text, device in routes:
        try:
            found = ipaddress.IPv4Network(text)
        except ValueError:  # unreachable, blackhole, …
            continue
        if device != own and found.prefixlen and found.overlaps(wanted):
            return text, device
    return None
