"""What is seen of tunnels: requests from the client through them, and what their key opens when it is really tried.

Nothing is asked of novaops' own files but what ssh makes of them: it is started as the tunnel's unit starts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from novaops.errors import HostFailed
from novaops.features.tunnel import paths
from novaops.features.tunnel.settings import ResolvedForward, Tunnel
from novaops.formats import names
from novaops.shell import join
from novaops.verify.backend import output
from novaops.verify.sections import SAY, Ended, read

if TYPE_CHECKING:
    from testinfra.host import Host

PATIENCE = 60
"""Seconds after which a tunnel is to be back: after a boot, and after its ssh was killed."""

GOT_IN = "novaops-verify-got-in"
_REQUEST_SECONDS = 15
_STAYS = 1
"""Seconds for which a connection must stay open, where nobody knows what is spoken there."""

Asked = Mapping[str, Ended]


@dataclass(frozen=True)
class ExpectedTunnel:
    """An entry of `tunnel:`."""

    tunnel: Tunnel

    @property
    def present(self) -> bool:
        return self.tunnel.state == "present"

    @cached_property
    def passages(self) -> tuple[ResolvedForward, ...]:
        """Where a site listens on the gateway is the gateway's business: here it is only entered."""
        return self.tunnel.passages("127.0.0.1:80" if self.tunnel.site else "") if self.present else ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it must not listen any more when it is absent."""
        written = [self.tunnel.listen, *(forward.listen for forward in self.tunnel.forwards)]
        return tuple(int(listen.rpartition(":")[2]) for listen in written if listen and not self.tunnel.reverse)


@dataclass(frozen=True)
class ObservedTunnel:
    wanted: ExpectedTunnel
    listening: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The addresses at which something listens, by port."""
    requests: Asked = field(default_factory=dict)
    """A request through each forward, by where the forward leads."""
    names: Asked = field(default_factory=dict)
    """What each name leads to that was taken over for unchanged clients."""
    unchanged: Asked = field(default_factory=dict)
    """The request of such a client."""
    opens: Asked = field(default_factory=dict)
    """What the key was tried at: shell, sftp, port, back. What ssh says of it is there too, but for sftp."""
    pinned: Asked = field(default_factory=dict)
    """A login with other host keys in known_hosts: another one, none."""
    key: Ended = field(default_factory=Ended)
    """Owner and mode of the private key, or why there are none."""
    left: Asked = field(default_factory=dict)
    """What is there of a tunnel that is to be absent: files, units, processes, names."""
    enabled: Ended = field(default_factory=Ended)


@dataclass(frozen=True)
class Rebooted:
    """After the boot: the requests again, and once more after the ssh was killed."""

    requests: Asked
    killed: Ended
    healed: Asked


def entries_of(settings: Sequence[Tunnel]) -> list[tuple[str, ExpectedTunnel]]:
    return [(tunnel.name, ExpectedTunnel(tunnel)) for tunnel in settings]


def observe(host: Host, entries: Sequence[ExpectedTunnel]) -> list[ObservedTunnel]:
    """One exec for each tunnel. Raises HostFailed where it cannot be seen."""
    return [_present(host, wanted) if wanted.present else _absent(host, wanted) for wanted in entries]


def before_reboot(host: Host, seen: Sequence[ObservedTunnel]) -> None:
    """Nothing has to be left there."""


def after_reboot(host: Host, seen: Sequence[ObservedTunnel]) -> list[Rebooted]:
    """The ssh of a tunnel is killed only here: it cuts who is using it, and so does a reboot."""
    found = []
    for one in seen:
        if not one.wanted.present:
            found.append(Rebooted({}, Ended(), {}))
            continue
        told = _asked(host, one.wanted, _HEALS)
        again, healed = (_of(told, kind) for kind in ("boot", "healed"))
        found.append(Rebooted(again, told.get("killed", Ended(1)), healed))
    return found


def _present(host: Host, wanted: ExpectedTunnel) -> ObservedTunnel:
    told = _asked(host, wanted, _LOOK)
    ports = {passage.asked_at[1] for passage in wanted.passages}
    return ObservedTunnel(
        wanted,
        {port: _addresses(told["listening"], port) for port in ports},
        _of(told, "request"),
        _of(told, "name"),
        _of(told, "unchanged"),
        _of(told, "opens"),
        _of(told, "pinned"),
        told["key"],
        enabled=told["enabled"],
    )


def _absent(host: Host, wanted: ExpectedTunnel) -> ObservedTunnel:
    told = _asked(host, wanted, _GONE)
    listening = {port: _addresses(told["listening"], port) for port in wanted.ports}
    return ObservedTunnel(wanted, listening, left=_of(told, "left"))


def _asked(host: Host, wanted: ExpectedTunnel, script: str) -> Asked:
    name = wanted.tunnel.name
    words = [name, paths.USER, paths.own(name, "conf"), paths.key(name), paths.unit(name)]
    known = {"requests": _requests(wanted), "unchanged": _unchanged(wanted), "hosts": join([paths.hosts_mark(name)])}
    body = f"{SAY}set -- {join(words)}\nname=$1 user=$2 conf=$3 key=$4 unit=$5\n{_TOOLS}{script}"
    for mark, text in known.items():
        body = body.replace(f"@{mark}@", text)
    told = read(output(host, body))
    if "end" not in told:
        raise HostFailed(f"{name} could not be looked at: the script on {host.backend.get_hostname()} did not come to its end")
    return told


def _requests(wanted: ExpectedTunnel) -> str:
    """sh: a function that asks through each forward. Its first word is what the keys begin with."""
    lines = ["ask() {"]
    for passage in wanted.passages:
        address, port = passage.asked_at
        place = names.pair(address, port)
        if passage.kind == "tcp":
            words = ["stays", address, str(port)]
        elif passage.to_site:
            words = ["request", passage.check]
        else:
            words = ["request", "--connect-to", f"{passage.target}:{place}", passage.check]
        lines.append(f'saw "$1:"{join([passage.target])} {join(words)}')
    return "\n".join([*lines, ":", "}"]) + "\n"


def _unchanged(wanted: ExpectedTunnel) -> str:
    lines = []
    for passage in wanted.passages:
        if passage.transparent:
            lines.append(f"saw name:{join([passage.target])} getent ahosts -- {join([passage.host])}")
            if passage.kind == "tcp":
                lines.append(f"saw unchanged:{join([passage.target])} stays {join([passage.host, str(passage.port)])}")
            else:
                lines.append(f"saw unchanged:{join([passage.target])} request {join([passage.check])}")
    return "\n".join(lines) + "\n"


def _of(told: Asked, kind: str) -> Asked:
    return {key.removeprefix(f"{kind}:"): found for key, found in told.items() if key.startswith(f"{kind}:")}


def _addresses(listening: Ended, port: int) -> frozenset[str]:
    """Of lines as ss prints them."""
    places = [fields[3] for line in listening.lines if len(fields := line.split()) > 3]  # noqa: PLR2004 - State Recv-Q Send-Q Local
    split = [re.fullmatch(r"\[?(.*?)\]?(?:%\w+)?:(\d+)", place) for place in places]
    return frozenset(match[1] for match in split if match and int(match[2]) == port)


_TOOLS = f"""\
request() {{ curl -q -sS -o /dev/null --noproxy '*' --max-time {_REQUEST_SECONDS} -w '%{{http_code}} %{{remote_ip}}' "$@"; }}
stays() {{
  said=$(sleep {_STAYS + 1} | timeout {_STAYS} curl -q -sS --noproxy '*' "telnet://$1:$2" 2>&1); ended=$?
  case $ended in 124) return 0;; 0) [ -n "$said" ] || {{ echo "it was closed at once"; return 1; }};; *) echo "$said"; return $ended;; esac
}}
as_user() {{ timeout 25 runuser -u "$user" -- "$@"; }}
door() {{ as_user ssh -v -F "$conf" -o ClearAllForwardings=yes -o ExitOnForwardFailure=yes -o ConnectTimeout=15 "$@"; }}
@requests@
"""

_LOOK = f"""\
saw listening ss -Htln
ask request
@unchanged@
saw key stat -c '%U %a' "$key"
saw enabled systemctl is-enabled -- "$unit"
port=$(as_user ssh -G -F "$conf" gateway 2>/dev/null | sed -n 's/^port //p')
saw opens:shell door -T gateway echo {GOT_IN}
greet() {{ printf '\\000\\000\\000\\005\\001\\000\\000\\000\\003'; }}
sftp() {{ greet | door -T -s gateway sftp 2>/dev/null | head -c 5 | od -An -tu1; }}
saw opens:sftp sftp
saw opens:port door -W "127.0.0.1:${{port:-22}}" gateway
folder=$(mktemp -d) || exit 1
chmod 755 "$folder"; sed '/^[[:space:]]*[A-Za-z]*Forward[[:space:]]/d' "$conf" >"$folder/conf"; : >"$folder/none"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/other" && printf '* %s\\n' "$(cat "$folder/other.pub")" >"$folder/known"
chmod 644 "$folder/conf" "$folder/known" "$folder/none"
back() {{ timeout 10 runuser -u "$user" -- ssh -v -F "$folder/conf" -o ExitOnForwardFailure=yes -N -R 127.0.0.1:0:127.0.0.1:9 gateway; }}
saw opens:back back
saw pinned:another door -o UserKnownHostsFile="$folder/known" gateway true
saw pinned:none door -o UserKnownHostsFile="$folder/none" gateway true
rm -rf "$folder"
saw end true
"""

_GONE = """\
saw listening ss -Htln
files() { ls -d "/etc/novaops/tunnel/$name".* 2>/dev/null; }
units() { ls -d "/etc/systemd/system/novaops-tunnel-$name".* "/etc/systemd/system/novaops-tunnel-$name-check".* 2>/dev/null; }
processes() {
  for one in /proc/[0-9]*; do tr '\\000' ' ' <"$one/cmdline" 2>/dev/null | grep -qF -- " $conf " && echo "${one#/proc/}"; done
}
named() { awk -v mark=@hosts@ 'substr($0, length($0) - length(mark) + 1) == mark' /etc/hosts; }
saw left:files files
saw left:units units
saw left:processes processes
saw left:names named
saw end true
"""

_HEALS = f"""\
works() {{ ask "$1" >"$folder/said"; ! grep '^= ' "$folder/said" | grep -qv ' 0$'; }}
until_works() {{
  end=$(($(date +%s) + {PATIENCE}))
  until works "$1"; do [ "$(date +%s)" -lt "$end" ] || break; echo "# waiting"; sleep 1; done
  cat "$folder/said"
}}
folder=$(mktemp -d) || exit 1
until_works boot
kill_it() {{
  killed=
  for one in /proc/[0-9]*; do
    [ "$(cat "$one/comm" 2>/dev/null)" = ssh ] || continue
    tr '\\000' ' ' <"$one/cmdline" | grep -qF -- " $conf " || continue
    kill -KILL "${{one#/proc/}}" && killed=yes
  done
  [ -n "$killed" ]
}}
saw killed kill_it
until_works healed
rm -rf "$folder"
saw end true
"""
