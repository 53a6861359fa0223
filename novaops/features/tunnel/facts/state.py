"""Tunnels on the host that they begin on: does a request come through each forward, now, and what does ssh say where none does?"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.features.tunnel.paths import FOLDER
from novaops.model.question import Missing, Question, Section
from novaops.shell import join

SECONDS = 8
"""How long an answer may take."""

FRESH = 15
"""Seconds that a tunnel which has just begun is given to come up."""

LINES = 60
"""So many of the unit's last lines are looked at."""

ASK = rf"""
through() {{ # ADDRESS PORT KIND URL: "yes", or "no", with status, seconds and what went wrong; the columns are apart by tabs
  plain=${{1#\[}}; plain=${{plain%\]}}
  case $3 in
    tcp)
      if ! command -v bash >/dev/null; then said='bash is missing, which is needed to try it'; set -- no
      elif said=$(timeout {SECONDS} bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
        read -r -t 1.5 -N 1 -u 3; [ $? != 1 ] || {{ echo "the connection is closed at once" >&2; exit 1; }}' tcp "$plain" "$2" 2>&1); then said= ; set -- yes
      else set -- no
      fi
      printf '%s\t0\t0\t%s\n' "$1" "$(printf %s "$said" | tail -n 1)" ;;
    *)
      said=$(curl -q -sS -o /dev/null --noproxy '*' -m {SECONDS} --max-filesize 1000000 --connect-to "::$1:$2" \
        -w '\n%{{http_code}} %{{time_total}}' -- "$4" 2>&1)
      last=${{said##*"$newline"}}
      case $last in
        000* | *[!0-9.,\ ]* | '') printf 'no\t0\t0\t%s\n' "$(printf '%s\n' "$said" | grep -m 1 '^curl: ' || echo 'curl did not run: is it installed?')" ;;
        *) printf 'yes\t%s\t%s\t\n' "${{last%% *}}" "${{last##* }}" ;;
      esac ;;
  esac
}}
newline='
'
ask_through() {{ # FORWARDS FOLDER [front|listener]: each of them at once, the answers in files of the folder by number
  number=0
  while IFS='	' read -r address port kind url to listen front front_port; do
    case $address in '' | '#'*) continue ;; esac
    number=$((number + 1))
    if [ "$3" = front ] && [ "$front" != - ]; then address=$front port=$front_port; fi
    {{ answer=$(through "$address" "$port" "$kind" "$url"); printf '%s\n' "$answer" >"$2/$number"; }} &
  done <"$1"
  wait
}}
youngest() {{ # UNIT: sets ssh, its newest ssh process, and age, the seconds since that began; nothing when there is none
  age= ssh=
  read -r up _ </proc/uptime
  for group in $(grep -ls "/$1\$" /proc/[0-9]*/cgroup); do
    process=${{group%/cgroup}}
    {{ read -r word <"$process/comm"; }} 2>/dev/null || continue
    [ "$word" = ssh ] || continue
    ticks=$(sed 's/.*) //' "$process/stat" 2>/dev/null | cut -d ' ' -f 20)
    [ -n "$ticks" ] || continue
    seconds=$((${{up%.*}} - ticks / $(getconf CLK_TCK)))
    if [ -z "$age" ] || [ "$seconds" -lt "$age" ]; then age=$seconds ssh=${{process#/proc/}}; fi
  done
}}
"""
"""sh functions, in the check of each tunnel and in what is asked here: the same eyes."""

_LOOK = rf"""
mark=$(printf '\t')
listeners=$(ss -l -t -n -p -H)
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
asked() {{ # NAME: whether every forward answers
  rm -f "$folder/$1"/*; mkdir -p "$folder/$1"
  ask_through "{FOLDER}/$1.forwards" "$folder/$1" front
  ! grep -qs '^no' "$folder/$1"/*
}}
settled() {{ # UNIT: no time is given to what runs long, or not at all
  case $(systemctl show -p ActiveState --value -- "$1") in active | activating) ;; *) return 0 ;; esac
  youngest "$1"
  [ "${{age:-0}}" -ge {FRESH} ]
}}
holder() {{ # ADDRESS:PORT, of ss's lines: who listens there, or on all addresses of its kind
  awk -v place="$1" '
    BEGIN {{ port = place; sub(/.*:/, "", port); any = place ~ /^\[/ ? "[::]:" : "0.0.0.0:" }}
    $4 == place || $4 == any port || $4 == "*:" port {{ print; exit }}'
}}
led() {{ # NAME: the addresses that clients of this host find, apart by commas
  timeout 5 getent ahosts "$1" | cut -d ' ' -f 1 | awk '!seen[$0]++' | paste -s -d ,
}}
tunnel() {{ # NAME WAIT
  forwards={FOLDER}/$1.forwards unit=novaops-tunnel-$1.service
  if [ ! -e "$forwards" ]; then printf 'tunnel\t%s\tabsent\n' "$1"; return; fi
  if [ "$2" = wait ]; then
    begun=$(date +%s)
    until asked "$1" || settled "$unit" || [ $(($(date +%s) - begun)) -ge {FRESH} ]; do sleep 0.5; done
  else asked "$1"
  fi
  printf 'tunnel\t%s\tpresent\n' "$1"
  sed -n 's/^# \(via\|supervisor\|direction\) /\1\t/p' "$forwards"
  systemctl show -p ActiveState,SubState,NRestarts,ActiveEnterTimestampMonotonic,MainPID -- "$unit" | sed 's/^/unit\t/'
  printf 'check\t%s\n' "$(systemctl is-active -- "novaops-tunnel-$1-check.timer")"
  read -r up _ </proc/uptime; printf 'up\t%s\n' "$up"
  number=0
  while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    number=$((number + 1))
    printf 'forward\t%s\nanswer\t%s\n' "$line" "$(cat "$folder/$1/$number" 2>/dev/null)"
    place=$(printf %s "$line" | cut -f 1,2 | tr '\t' :)
    printf 'held\t%s\n' "$(printf '%s\n' "$listeners" | holder "$place")"
    set -- "$1" "$2" "$(printf %s "$line" | cut -f 5)" "$(printf %s "$line" | cut -f 7)"
    printf 'leads\t%s\n' "$([ "$4" = - ] || led "${{3%:*}}")"
  done <"$forwards"
  youngest "$unit"
  if [ -n "$ssh" ]; then
    printf 'ssh\t%s\t%s\n' "$ssh" "$age"
    port=$(sed -n 's/^ *Port //p' "{FOLDER}/$1.conf" 2>/dev/null)
    ss -t -n -p -i -H -O state established 2>/dev/null | awk -v pid="pid=$ssh," -v port=":$port\$" 'index($0, pid) && $4 ~ port' | head -n 1 | sed 's/^/link\t/'
  fi
  journalctl -u "$unit" -b -n {LINES} -o short-unix --no-pager -q 2>/dev/null | base64 -w 0 | sed 's/^/journal\t/'
  echo
}}
"""


@dataclass(frozen=True)
class ForwardState:
    """One forward, asked a moment ago."""

    to: str
    listen: str
    url: str
    """What was asked for; "" for a mere connection."""
    front: str
    """ADDRESS:PORT that the name leads to for unchanged clients; "" for none."""
    up: bool
    status: int
    """The HTTP status; 0 for what is not HTTP, and where no answer came."""
    seconds: float
    trouble: str
    """curl's words, or bash's, where no answer came."""
    holder: str
    """The program that listens where it is asked; "" for none."""
    pid: int
    leads: str = ""
    """Where a name with a front leads clients of this host: addresses, apart by commas."""


@dataclass(frozen=True)
class TunnelFacts:
    name: str
    via: str
    supervisor: str
    reverse: bool
    active: str
    """The unit's state, in systemd's words."""
    since: float | None
    """Seconds for which the unit has been active without a break; None where it is not."""
    restarts: int
    """How often systemd has started it again."""
    checked: bool
    """Whether the timer runs that asks through it."""
    forwards: tuple[ForwardState, ...]
    ssh: int
    """The process; 0 for none."""
    ssh_age: int
    sent: int
    """Bytes over the connection that it has now; -1 where there is none."""
    received: int
    journal: tuple[tuple[float, str], ...]
    """When, in seconds of 1970, and what: the unit's last lines since the boot."""


@dataclass(frozen=True)
class TunnelNamed(Question[TunnelFacts]):
    """One tunnel. One that has only begun is waited for. ABSENT, and nothing is asked, where it is not installed."""

    name: str
    family: ClassVar[str] = "tunnel"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f'{ASK}{_LOOK}for name in {join(q.name for q in questions)}; do tunnel "$name" wait; done\necho end\n'

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, TunnelFacts | Missing]:
        found = _read(section)
        return {} if found is None else {question: found.get(question.name) or Missing.ABSENT for question in questions}


@dataclass(frozen=True)
class Tunnels(Question[tuple[TunnelFacts, ...]]):
    """All that novaops has set up here, as they are at this moment."""

    family: ClassVar[str] = "tunnels"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return f"""{ASK}{_LOOK}\
for file in {FOLDER}/*.forwards; do
  [ -e "$file" ] || continue
  name=${{file##*/}}
  tunnel "${{name%.forwards}}" now >"$folder/${{name%.forwards}}.said" &
done
wait
for file in "$folder"/*.said; do [ ! -e "$file" ] || cat "$file"; done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[TunnelFacts, ...] | Missing]:
        found = _read(section)
        return {} if found is None else dict.fromkeys(questions, tuple(one for one in found.values() if one is not None))


def _read(section: Section) -> dict[str, TunnelFacts | None] | None:
    lines = [line for line in section.stdout.splitlines() if line]
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
    link = dict(word.split(":", 1) for word in said.get("link", [""])[0].split(" ") if word.startswith("bytes_") and ":" in word)
    forwards = zip(*([row for row in rows if row[0] == word] for word in ("forward", "answer", "held", "leads")), strict=True)
    return TunnelFacts(
        name=name,
        via=said["via"][0],
        supervisor=said["supervisor"][0],
        reverse=said["direction"][0] == "-R",
        active=unit["ActiveState"],
        since=float(said["up"][0]) - entered if unit["ActiveState"] == "active" and entered else None,
        restarts=int(unit.get("NRestarts") or 0),
        checked=said["check"][0] == "active",
        forwards=tuple(_forward(*four) for four in forwards),
        ssh=pid,
        ssh_age=age,
        sent=int(link.get("bytes_sent", 0)) if "link" in said else -1,
        received=int(link.get("bytes_received", 0)) if "link" in said else -1,
        journal=_journal(base64.b64decode(said.get("journal", [""])[0]).decode("utf-8", "replace")),
    )


def _forward(forward: Sequence[str], answer: Sequence[str], held: Sequence[str], leads: Sequence[str]) -> ForwardState:
    _, _address, _port, _kind, url, to, listen, front, front_port = forward
    word, status, seconds, trouble = (*answer[1:], "", "", "", "")[:4]
    holder, _, rest = "\t".join(held[1:]).partition('users:(("')[2].partition('"')
    pid = rest.partition("pid=")[2].partition(",")[0]
    return ForwardState(
        to=to,
        listen=listen,
        url="" if url == "-" else url,
        front="" if front == "-" else f"{front}:{front_port}",
        up=word == "yes",
        status=int(status or 0),
        seconds=float((seconds or "0").replace(",", ".")),
        trouble=trouble,
        holder=holder or ("somebody" if "".join(held[1:]) else ""),
        pid=int(pid or 0),
        leads=leads[1],
    )


def _journal(text: str) -> tuple[tuple[float, str], ...]:
    """`TIME HOST PROGRAM[PID]: TEXT`; lines that are none, such as what belongs to the one before, are passed over."""
    found = []
    for line in text.splitlines():
        time, _, rest = line.partition(" ")
        program, colon, said = rest.partition(": ")
        if colon and time.replace(".", "", 1).isdecimal():
            found.append((float(time), f"{program.partition(' ')[2].partition('[')[0]}: {said.rstrip()}"))
    return tuple(found)
