"""Tunnels on the host that they begin on: does a request get an answer through each forward now, and what does ssh say where none does?"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.listening import OF_SOCKETS
from novaops.features.tunnel.diagnosis import PROHIBITED, lines_of_connection
from novaops.features.tunnel.paths import FOLDER
from novaops.features.tunnel.settings import SOCKS
from novaops.formats import ss
from novaops.model.question import Missing, Question, Section, Singleton
from novaops.shell import join, lines_of, sh_file

FRESH = 15
"""Seconds that a tunnel which has just begun is given to come up."""

_PLACE = 3
"""The column of ss in which ADDRESS:PORT stands."""

PROBES = "\n" + sh_file(__package__, "probes.sh")
"""Functions of sh. The check of each tunnel has the same ones, so that it and the status never disagree."""


def _script(body: str) -> str:
    return f"{PROBES}{OF_SOCKETS}configs={FOLDER} fresh={FRESH}\n{sh_file(__package__, 'state.sh')}{body}"


@dataclass(frozen=True)
class ForwardState:
    """One forward, and what a request through it got a moment ago."""

    to: str
    listen: str
    url: str
    """What was requested; "" where only a connection was made."""
    local_alias: str
    """ADDRESS:PORT that /etc/hosts is to give the target's name; "" for none."""
    up: bool
    status: int
    """The HTTP status; 0 for what is not HTTP, and where no answer came."""
    seconds: float
    error: str
    """What curl or bash said where no answer came."""
    listener: str
    """The program that listens where the request was sent; "" for none."""
    pid: int
    direct: str = ""
    """Of a reverse forward without an answer: what the target itself says on this host, "yes" or the error; "" where it was not asked."""
    addresses: str = ""
    """What a name with a local alias resolves to on this host, apart by commas."""
    socks: bool = False
    """Whether it is a SOCKS proxy; then `to` is what was requested through it."""


@dataclass(frozen=True)
class TunnelFacts:
    name: str
    via: str
    supervisor: str
    reverse: bool
    active: str
    """The unit's ActiveState of systemd."""
    since: float | None
    """Seconds for which the unit has been active without a break; None where it is not."""
    restarts: int
    """How often systemd has started it again."""
    checked: bool
    """Whether the timer of its check runs."""
    forwards: tuple[ForwardState, ...]
    ssh: int
    """The process id; 0 for none."""
    ssh_age: int
    sent: int
    """Bytes over the connection that it has now; -1 where there is none."""
    received: int
    journal: tuple[tuple[float, str], ...]
    """The unit's last lines since the boot: when (seconds since 1970), and what."""
    stale: tuple[str, ...] = ()
    """The files that have changed since its ssh read them."""

    @property
    def is_unasked(self) -> bool:
        """Whether the gateway forbids the way that the request of a reverse tunnel takes to its listener. The tunnel itself does not need it."""
        return self.reverse and bool(self.ssh) and PROHIBITED in "\n".join(lines_of_connection([text for _, text in self.journal]))


@dataclass(frozen=True)
class TunnelNamed(Question[TunnelFacts]):
    """One tunnel. One that has just begun is waited for. ABSENT where it is not installed; then no request is made."""

    name: str
    family: ClassVar[str] = "tunnel"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return _script(f'for name in {join(q.name for q in questions)}; do tunnel "$name" wait; done\necho end\n')

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, TunnelFacts | Missing]:
        found = _read(section)
        return {} if found is None else {question: found.get(question.name) or Missing.ABSENT for question in questions}


class Tunnels(Singleton[tuple[TunnelFacts, ...]]):
    """All that novaops has set up here, as they are now."""

    family: ClassVar[str] = "tunnels"

    @classmethod
    def script_one(cls) -> str:
        return _script("""\
for file in "$configs"/*.forwards; do
  [ -e "$file" ] || continue
  name=${file##*/}
  tunnel "${name%.forwards}" now >"$folder/${name%.forwards}.said" &
done
wait
for file in "$folder"/*.said; do [ ! -e "$file" ] || cat "$file"; done
echo end
""")

    @classmethod
    def parse_one(cls, section: Section) -> tuple[TunnelFacts, ...] | Missing:
        found = _read(section)
        return Missing.UNKNOWN if found is None else tuple(one for one in found.values() if one is not None)


def _read(section: Section) -> dict[str, TunnelFacts | None] | None:
    lines = [line for line in lines_of(section.stdout) if line]
    if section.status or lines[-1:] != ["end"]:
        return None
    rows = [line.split("\t") for line in lines[:-1]]
    begins = [number for number, row in enumerate(rows) if row[0] == "tunnel"]
    found: dict[str, TunnelFacts | None] = {}
    for begin, end in zip(begins, [*begins, len(rows)][1:], strict=True):
        name, state = rows[begin][1:3]
        found[name] = _tunnel(name, rows[begin + 1 : end]) if state == "present" else None
    return found


def _tunnel(name: str, rows: Sequence[Sequence[str]]) -> TunnelFacts:
    said = {row[0]: list(row[1:]) for row in rows}
    unit = dict(row[1].split("=", 1) for row in rows if row[0] == "unit")
    entered = int(unit["ActiveEnterTimestampMonotonic"]) / 1e6
    pid, age = (int(word) for word in said.get("ssh", ("0", "0")))
    words = (word.partition(":")[::2] for word in said.get("link", [""])[0].split(" "))
    link = {key: int(value) for key, value in words if value.isdecimal()}
    sockets = {one.place: one for one in ss.listeners(base64.b64decode(said.get("processes", [""])[0]).strip(b"\n"))}
    forwards = zip(
        *([row for row in rows if row[0] == word] for word in ("forward", "answer", "direct", "listener", "addresses")), strict=True
    )
    return TunnelFacts(
        name=name,
        via=said["via"][0],
        supervisor=said["supervisor"][0],
        reverse=said["direction"][0] == "-R",
        active=unit["ActiveState"],
        since=float(said["up"][0]) - entered if unit["ActiveState"] == "active" and entered else None,
        restarts=int(unit.get("NRestarts") or 0),
        checked=said["check"][0] == "active",
        forwards=tuple(_forward(*five, sockets=sockets) for five in forwards),
        ssh=pid,
        ssh_age=age,
        sent=link.get("bytes_sent", 0) if "link" in said else -1,
        received=link.get("bytes_received", 0) if "link" in said else -1,
        stale=tuple(row[1] for row in rows if row[0] == "stale"),
        journal=_journal(base64.b64decode(said.get("journal", [""])[0]).decode("utf-8", "replace")),
    )


def _forward(
    forward: Sequence[str],
    answer: Sequence[str],
    direct: Sequence[str],
    listener: Sequence[str],
    addresses: Sequence[str],
    *,
    sockets: Mapping[str, ss.Socket],
) -> ForwardState:
    _, _address, _port, kind, url, to, listen, alias, alias_port = forward
    word, status, seconds, error = (*answer[1:], "", "", "", "")[:4]
    columns = " ".join(listener[1:]).split()
    found = sockets.get(columns[_PLACE]) if len(columns) > _PLACE else None
    program, pid = found.processes[0] if found and found.processes else ("", 0)
    return ForwardState(
        to=to,
        listen=listen,
        url="" if url == "-" else url,
        local_alias="" if alias == "-" else f"{alias}:{alias_port}",
        up=word == "yes",
        status=int(status or 0),
        seconds=float((seconds or "0").replace(",", ".")),
        error=error,
        listener=program or ("somebody" if columns else ""),
        pid=pid,
        direct="yes" if direct[1] == "yes" else direct[-1],
        addresses=addresses[1],
        socks=kind == SOCKS,
    )


def _journal(text: str) -> tuple[tuple[float, str], ...]:
    """Lines are `TIME HOST PROGRAM[PID]: TEXT`. Others, such as the rest of a line with a line break, are skipped."""
    found = []
    for line in lines_of(text):
        time, _, rest = line.partition(" ")
        program, colon, said = rest.partition(": ")
        if colon and time.replace(".", "", 1).isdecimal():
            found.append((float(time), f"{program.partition(' ')[2].partition('[')[0]}: {said.rstrip()}"))
    return tuple(found)
