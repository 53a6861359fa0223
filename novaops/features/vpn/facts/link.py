"""The VPN links of a host, as they are now: device, routes of each name's addresses, and whether the API answers through them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section

SECONDS = 8
"""How long the API may take to answer."""


@dataclass(frozen=True)
class LinkRoute:
    """One address of a name, or a network, and the device that it is routed over."""

    route: str
    address: str
    device: str
    """"" where there is no way to it."""


@dataclass(frozen=True)
class LinkState:
    name: str
    device: str
    running: bool
    """Whether systemd says so, which proves nothing."""
    addresses: tuple[str, ...]
    """The device's; none where it is not up."""
    server: str
    handshake: int
    """When the ends last agreed on keys, in seconds of 1970; 0 for never since the boot."""
    received: int
    sent: int
    """Bytes through the device, since it is there."""
    restarts: int
    ways: tuple[LinkRoute, ...]
    unresolved: tuple[str, ...]
    """Names that lead nowhere now."""
    url: str
    status: int
    """The HTTP status that it answered; 0 when it did not."""
    source: str
    """The host's own address in that request."""
    milliseconds: int
    trouble: str
    """What curl says of a request without an answer."""
    error: str
    """The last thing that OpenVPN complained of, in plain words; "" for nothing."""

    @property
    def works(self) -> bool:
        return bool(self.addresses) and not self.astray and self.status > 0 and self.source in self.addresses

    @property
    def astray(self) -> tuple[LinkRoute, ...]:
        """Addresses that something else than the link would be taken for."""
        return tuple(way for way in self.ways if way.device != self.device and way.device)

    @property
    def shut(self) -> tuple[LinkRoute, ...]:
        """Addresses that there is no way to."""
        return tuple(way for way in self.ways if not way.device)


@dataclass(frozen=True)
class Links:
    now: int
    links: tuple[LinkState, ...]

    def named(self, name: str) -> LinkState | None:
        return next((link for link in self.links if link.name == name), None)


@dataclass(frozen=True)
class LinkStates(Question[Links]):
    family: ClassVar[str] = "vpn-links"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """All links at once: each waits for its API and for DNS."""
        del questions
        return f"""\
printf 'now\\t%s\\n' "$(date +%s)"
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
one() {{
  of() {{ sed -n "s/^$1 //p" "$file"; }}
  device=$(of device) unit=openvpn-client@$name.service url=$(of check)
  curl -q -g -s -o /dev/null --noproxy '*' -m {SECONDS} -w '%{{http_code}}\\t%{{local_ip}}\\t%{{time_total}}\\t%{{errormsg}}' "$url" >"$folder/$name.answer" 2>/dev/null &
  for word in $(of name); do
    for database in ahostsv4 hosts; do timeout 8 getent "$database" -- "$word" | awk -v w="$word" '$1 !~ /%/ {{ print w "\\t" $1 }}' & done
  done >"$folder/$name.found"
  printf 'link\\t%s\\ndevice\\t%s\\nurl\\t%s\\n' "$name" "$device" "$url"
  ! systemctl is-active -q "$unit" || echo running
  ip -o address show dev "$device" up scope global 2>/dev/null | awk '{{ sub("/.*", "", $4); print "address\\t" $4 }}'
  printf 'restarts\\t%s\\n' "$(systemctl show -p NRestarts --value "$unit")"
  for way in rx tx; do printf '%s\\t%s\\n' $way "$(cat "/sys/class/net/$device/statistics/${{way}}_bytes" 2>/dev/null || echo 0)"; done
  journalctl -q -b -u "$unit" -o short-unix -n 1500 2>/dev/null >"$folder/$name.log"
  awk '/Initialization Sequence Completed|TLS: soft reset/ {{ at = $1 }} END {{ printf "handshake\\t%.0f\\n", int(at) }}' "$folder/$name.log"
  sed -n 's/.*Peer Connection Initiated with \\[AF_INET6\\{{0,1\\}}\\]/server\\t/p' "$folder/$name.log" | tail -n 1 | grep . ||
    printf 'server\\t%s\\n' "$(of server | head -n 1 | awk '{{ print $1 ":" $2 }}')"
  sed -e 's/^[^:]*: //' "$folder/$name.log" | awk '/Initialization Sequence Completed/ {{ said = ""; next }} {{ said = said $0 "\\n" }} END {{ printf "%s", said }}' |
    sh "/etc/novaops/vpn/$name.sh" "$name" why quiet 2>/dev/null | base64 -w 0 | sed 's/^/error\\t/'
  echo
  wait
  sort -u "$folder/$name.found" | while read -r word address; do
    printf 'way\\t%s\\t%s\\t%s\\n' "$word" "$address" "$(ip route get "$address" 2>/dev/null | sed -n '1s/.* dev \\([^ ]*\\).*/\\1/p')"
  done
  of network | while read -r network; do
    printf 'way\\t%s\\t%s\\t%s\\n' "$network" "${{network%/*}}" "$(ip route get "${{network%/*}}" 2>/dev/null | sed -n '1s/.* dev \\([^ ]*\\).*/\\1/p')"
  done
  for word in $(of name); do cut -f 1 "$folder/$name.found" | grep -q -F -x -e "$word" || printf 'unresolved\\t%s\\n' "$word"; done
  printf 'answer\\t%s\\n' "$(cat "$folder/$name.answer")"
}}
for file in /etc/novaops/vpn/*.routes; do
  [ -e "$file" ] || continue
  name=${{file##*/}}; name=${{name%.routes}}
  ( one >"$folder/$name.said" ) &
done
wait
for file in "$folder"/*.said; do [ ! -e "$file" ] || cat "$file"; done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Links | Missing]:
        lines = [line.split("\t") for line in section.stdout.splitlines()]
        if not lines or lines[-1] != ["end"]:
            return {}
        begins = [number for number, line in enumerate(lines) if line[0] == "link"]
        links = tuple(_link(lines[begin:end]) for begin, end in pairwise([*begins, len(lines)]))
        return dict.fromkeys(questions, Links(int(lines[0][1]), links))


def _link(lines: Sequence[Sequence[str]]) -> LinkState:
    def all_of(word: str) -> list[Sequence[str]]:
        return [line[1:] for line in lines if line[0] == word]

    def one(word: str, otherwise: str = "") -> str:
        return next((line[0] for line in all_of(word) if line), otherwise)

    status, source, seconds, trouble = [*next(iter(all_of("answer")), []), "", "", "", ""][:4]
    return LinkState(
        name=one("link"),
        device=one("device"),
        running=["running"] in [list(line) for line in lines],
        addresses=tuple(line[0] for line in all_of("address")),
        server=one("server"),
        handshake=int(one("handshake", "0")),
        received=int(one("rx", "0")),
        sent=int(one("tx", "0")),
        restarts=int(one("restarts") or 0),
        ways=tuple(LinkRoute(*line) for line in all_of("way")),
        unresolved=tuple(line[0] for line in all_of("unresolved")),
        url=one("url"),
        status=int(status or 0),
        source=source,
        milliseconds=round(float(seconds or 0) * 1000),
        trouble=trouble,
        error=base64.b64decode(one("error")).decode("utf-8", "replace").strip(),
    )


@dataclass(frozen=True)
class Near:
    gateways: tuple[str, ...]
    networks: tuple[tuple[str, str], ...]
    """Those that are reached without a gateway, and the device."""


@dataclass(frozen=True)
class Nearby(Question[Near]):
    """What the host reaches over its own links."""

    family: ClassVar[str] = "nearby"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return "for family in 4 6; do ip -N -$family route show table main; done; echo end\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Near | Missing]:
        lines = [line.split() for line in section.stdout.splitlines()]
        if not lines or lines[-1] != ["end"]:
            return {}
        gateways, networks = [], []
        for words in lines[:-1]:
            after = dict(pairwise(words))
            if "via" in after:
                gateways.append(after["via"])
            elif words[0] not in {"default", "unreachable", "blackhole", "prohibit", "multicast", "nexthop"} and after.get("proto") != "86":
                networks.append((words[0], after.get("dev", "")))
        return dict.fromkeys(questions, Near(tuple(dict.fromkeys(g for g in gateways if g != "inet6")), tuple(networks)))
