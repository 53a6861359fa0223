"""What is seen of VPNs: where the kernel sends packets, a request, the bytes that it moves; of a server, its port and its ways out."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509

from novaops.errors import HostFailed
from novaops.features.vpn.settings import Link, Server, Vpn
from novaops.shell import join
from novaops.verify import reach as way
from novaops.verify.backend import output
from novaops.verify.sections import SAY, Ended, read

if TYPE_CHECKING:
    from testinfra.host import Host

PATIENCE = 90
"""Seconds after a boot in which a link is to be up."""
STRANGER = "203.0.113.7"
"""An address that nobody has: what leads to it leads everywhere."""

_REQUEST_SECONDS = 15


@dataclass(frozen=True)
class ExpectedLink:
    """An entry of `vpn:`."""

    entry: Vpn

    @property
    def present(self) -> bool:
        return self.entry.state == "present"

    @cached_property
    def link(self) -> Link:
        assert isinstance(self.entry, Link)
        return self.entry

    @cached_property
    def server(self) -> Server:
        assert isinstance(self.entry, Server)
        return self.entry

    @property
    def is_link(self) -> bool:
        return isinstance(self.entry, Link)


@dataclass(frozen=True)
class ObservedRoute:
    """Where the kernel sends what is for an address."""

    address: str
    device: str = ""
    """"" for nowhere: it is unreachable."""
    own: bool = False
    """Whether it is on one of the host's own links, or the host itself: there is nothing on the way."""
    shut: bool = False
    """Whether it would be unreachable without the device."""


@dataclass(frozen=True)
class ObservedLink:
    wanted: ExpectedLink
    here: str = ""
    """This machine's address, as the host sees it."""
    device: Ended = field(default_factory=Ended)
    """The addresses of the device; a status where there is none."""
    ways: Mapping[str, tuple[ObservedRoute, ...]] = field(default_factory=dict)
    """Of each wanted route."""
    others: Mapping[str, ObservedRoute] = field(default_factory=dict)
    """Of what must not go through it: by what that is."""
    request: Ended = field(default_factory=Ended)
    moved: tuple[int, int] = (0, 0)
    """Bytes that the request sent and got through the device."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Owner and mode of the files that nobody else is to read."""
    enabled: Ended = field(default_factory=Ended)
    left: Mapping[str, Ended] = field(default_factory=dict)
    """What is there of one that is to be absent."""
    listening: bool = False
    """Of a server: whether its port is taken."""
    forwards: bool = False
    masquerades: int = 0
    """How many rules hide its clients' network behind the host."""
    revoked: str = ""
    """What is wrong with the list of revoked certificates."""


@dataclass(frozen=True)
class Rebooted:
    request: Ended
    device: Ended
    listening: bool = False
    masquerades: int = 0


def observe(host: Host, entries: Sequence[ExpectedLink]) -> list[ObservedLink]:
    """One exec for each, and one. Raises HostFailed where it cannot be seen."""
    here, _ = way.addresses(host.backend.session)
    return [_seen(host, wanted, here) for wanted in entries]


def before_reboot(host: Host, seen: Sequence[ObservedLink]) -> None:
    """Nothing has to be left there."""


def after_reboot(host: Host, seen: Sequence[ObservedLink]) -> list[Rebooted]:
    found = []
    for one in seen:
        if not one.wanted.present:
            found.append(Rebooted(Ended(), Ended()))
        elif one.wanted.is_link:
            told = _told(host, one.wanted, _AGAIN, [one.wanted.link.url])
            found.append(Rebooted(told["request"], told["device"]))
        else:
            told = _told(host, one.wanted, _SERVER, _server_words(one.wanted.server))
            found.append(Rebooted(Ended(), told["device"], _listens(told, one.wanted.server), _masquerades(told, one.wanted.server)))
    return found


def _seen(host: Host, wanted: ExpectedLink, here: str) -> ObservedLink:
    if not wanted.present:
        told = _told(host, wanted, _GONE, [])
        return ObservedLink(wanted, here, left={key.removeprefix("left:"): ended for key, ended in told.items() if key.startswith("left:")})
    if wanted.is_link:
        return _link(host, wanted, here)
    told = _told(host, wanted, _SERVER, _server_words(wanted.server))
    return ObservedLink(
        wanted,
        here,
        told["device"],
        files=dict(_files(told["files"])),
        enabled=told["enabled"],
        listening=_listens(told, wanted.server),
        forwards=told["forwards"].said == "1",
        masquerades=_masquerades(told, wanted.server),
        revoked=_revoked(told["crl"], told["authority"]),
    )


def _link(host: Host, wanted: ExpectedLink, here: str) -> ObservedLink:
    link = wanted.link
    inside = [str(ipaddress.ip_network(one)[min(1, ipaddress.ip_network(one).num_addresses - 1)]) for one in link.networks]
    told = _told(host, wanted, _LINK, [link.url, here, STRANGER, *link.hosts, "--", *inside])
    ways = {name: tuple(_ways(told, told[f"name:{name}"].lines)) for name in link.hosts}
    ways |= {network: tuple(_ways(told, [address])) for network, address in zip(link.networks, inside, strict=True)}
    servers = told["dns"].lines
    others = {"everything else": STRANGER, "the connection from here": here, **{f"the DNS server {one}": one for one in servers}}
    return ObservedLink(
        wanted,
        here,
        told["device"],
        ways,
        {what: found for what, address in others.items() for found in _ways(told, [address])},
        told["request"],
        _moved(told),
        dict(_files(told["files"])),
        told["enabled"],
    )


def _told(host: Host, wanted: ExpectedLink, script: str, words: Sequence[str]) -> Mapping[str, Ended]:
    entry = wanted.entry
    own = join([entry.name, entry.device])
    body = f"{SAY}set -- {own}\nname=$1 device=$2\n{_TOOLS}set -- {join(words)}\n{script}saw end true\n"
    told = read(output(host, body))
    if "end" not in told:
        raise HostFailed(f"{entry.name} could not be looked at: the script on {host.backend.get_hostname()} did not come to its end")
    return told


def _server_words(server: Server) -> list[str]:
    return [server.protocol[0], str(server.port)]


def _ways(told: Mapping[str, Ended], addresses: Sequence[str]) -> Iterator[ObservedRoute]:
    for address in addresses:
        ended = told[f"way:{address}"]
        shut = "unreachable" in told.get(f"below:{address}", Ended()).text
        device = re.search(r" dev (\S+)", ended.text)
        if ended.status or device is None or ended.text.startswith("unreachable"):
            yield ObservedRoute(address, shut=shut)
        else:
            own = " via " not in ended.text or ended.text.startswith("local ")
            yield ObservedRoute(address, device[1], own, shut)


def _moved(told: Mapping[str, Ended]) -> tuple[int, int]:
    before, after = ([int(line) for line in told[key].lines if line.isdecimal()] for key in ("before", "after"))
    return (after[0] - before[0], after[1] - before[1]) if len(before) == len(after) == 2 else (0, 0)  # noqa: PLR2004 - out and in


def _files(ended: Ended) -> Iterator[tuple[str, str]]:
    for line in ended.lines:
        said, _, path = line.partition(" /")
        if path:
            yield f"/{path}", said


def _listens(told: Mapping[str, Ended], server: Server) -> bool:
    places = [fields[3] for line in told["listening"].lines if len(fields := line.split()) > 3]  # noqa: PLR2004 - as ss prints it
    return any(place.endswith(f":{server.port}") for place in places)


def _masquerades(told: Mapping[str, Ended], server: Server) -> int:
    return sum("masquerade" in line.lower() and server.network in line for line in told["rules"].lines)


def _revoked(crl: Ended, authority: Ended) -> str:
    try:
        listed = x509.load_pem_x509_crl(crl.text.encode())
        issuer = x509.load_pem_x509_certificate(authority.text.encode())
    except ValueError as error:
        return f"it cannot be read: {crl.said if crl.status else error}"
    key = issuer.public_key()
    if not listed.is_signature_valid(key):  # type: ignore[arg-type]  # an authority of ours has a key that can sign
        return "the authority did not sign it"
    until = listed.next_update_utc
    if until is not None and until < dt.datetime.now(dt.UTC):
        return f"it was valid until {until:%Y-%m-%d %H:%M} UTC, and OpenVPN lets nobody in with it"
    return ""


_TOOLS = f"""\
request() {{ curl -q -sS -o /dev/null --noproxy '*' --max-time {_REQUEST_SECONDS} -w '%{{http_code}} %{{remote_ip}}' "$@"; }}
counted() {{ cat "/sys/class/net/$device/statistics/tx_bytes" "/sys/class/net/$device/statistics/rx_bytes"; }}
addresses() {{ ip -o address show dev "$device" up scope global; }}
private() {{ for one; do [ ! -e "$one" ] || stat -c '%U %a %n' "$one"; done; }}
led() {{
  saw "way:$1" ip -o route get "$1"
  family=4; case $1 in *:*) family=6;; esac
  saw "below:$1" ip "-$family" route show type unreachable root "$1"
}}
servers() {{
  {{ cat /etc/resolv.conf; cat /run/systemd/resolve/resolv.conf 2>/dev/null; }} |
    sed -n 's/^nameserver[[:space:]]*\\([0-9a-fA-F.:]*\\).*/\\1/p' | grep -v -e '^127\\.' -e '^::1$' | sort -u
}}
"""

_LINK = """\
url=$1 here=$2 stranger=$3; shift 3
saw device addresses
led "$here"; led "$stranger"
saw dns servers
for one in $(servers); do led "$one"; done
while [ "$1" != -- ]; do
  found=$(getent ahosts -- "$1" | awk '!seen[$1]++ { print $1 }')
  saw "name:$1" printf '%s' "$found"
  for one in $found; do led "$one"; done
  shift
done
shift
for one; do led "$one"; done
saw before counted
saw request request "$url"
saw after counted
client=/etc/openvpn/client/$name
saw files private "$client.conf" "$client.auth" "$client.pass"
saw enabled systemctl is-enabled -- "openvpn-client@$name.service"
"""

_AGAIN = f"""\
end=$(($(date +%s) + {PATIENCE}))
until request "$1" >/dev/null 2>&1 && [ -n "$(addresses)" ]; do
  [ "$(date +%s)" -lt "$end" ] || break
  echo "# waiting"; sleep 1
done
saw device addresses
saw request request "$1"
"""

_SERVER = """\
rules() { nft list ruleset 2>/dev/null; iptables-save -t nat 2>/dev/null | grep -v -e '^#'; }
folder=/etc/openvpn/server/$name
for wait in 1 2 3 4 5 6 7 8 9 10; do ss "-Hln$1" | grep -q ":$2 " && break; echo "# waiting"; sleep 1; done
saw device addresses
saw listening ss "-Hln$1"
saw forwards cat /proc/sys/net/ipv4/ip_forward
saw rules rules
saw files private "$folder"/*.key
saw crl cat "$folder.crl.pem"
saw authority cat "$folder/ca.crt"
saw enabled systemctl is-enabled -- "openvpn-server@$name.service"
"""

_GONE = """\
files() { ls -d "/etc/openvpn/client/$name".* "/etc/openvpn/server/$name.conf" "/etc/novaops/vpn/$name".* 2>/dev/null; }
units() {
  systemctl list-units --all --plain --no-legend "openvpn-client@$name.service" "openvpn-server@$name.service" "novaops-vpn-$name-*"
}
running() { units | awk '$3 == "active" || $3 == "activating" { print $1 }'; }
routes() { ip route show dev "$device"; ip -6 route show dev "$device"; }
left() { "$@" 2>/dev/null; :; }
saw left:device left addresses
saw left:routes left routes
saw left:files left files
saw left:units left running
"""
