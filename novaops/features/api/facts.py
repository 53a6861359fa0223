"""One way from the host to an API: each phase timed, what was answered, and when the parts of a stream came in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self
from urllib.parse import urlsplit

from novaops.model.question import Missing, Question, Section
from novaops.secret import Secret
from novaops.shell import quote

NO_CURL = 7
TIMED_OUT = 28
"""curl's exit status."""
_MOST = 4000
"""Bytes of an answer that are looked at; of a stream, every event of a request that asks for 16 tokens."""

DNS_SECONDS = 3
"""How long DNS has for where a name leads that the host's own files lead astray: the request comes after it."""

TCP_SECONDS = 2
"""How long the second look may take, at a connection alone."""

_MARK = "novaops-curl"
_DONE = b"[DONE]"
_MEASURED = (
    *("http_code", "time_namelookup", "time_connect", "time_appconnect", "time_starttransfer"),
    *("remote_ip", "content_type", "redirect_url"),
)


@dataclass(frozen=True)
class Streamed:
    """What came of the request whose answer should stream."""

    trouble: int
    """curl's exit status."""
    said: str
    """What curl says of it."""
    status: int
    content_type: str
    events: tuple[int, ...]
    """When each came in: milliseconds after the request began."""
    body: str


@dataclass(frozen=True)
class Reached:
    """How far the request came. Times are milliseconds, each of its own phase; None for a phase that did not end."""

    trouble: int
    """curl's exit status: 0 when there was an answer."""
    said: str
    """What curl says of it."""
    refusals: tuple[str, ...]
    """Why no address took the connection."""
    connects: bool
    """Whether a connection could be made, whatever became of it."""
    addresses: tuple[str, ...]
    """What the name leads to."""
    address: str
    """The one that was taken."""
    dns: float | None
    tcp: float | None
    tls: float | None
    first_byte: float | None
    """From the very beginning, not from the end of the phase before."""
    status: int
    content_type: str
    redirect: str
    body: str
    stream: Streamed | None
    """None where the first request got no 2xx, or none was to be made."""
    astray: str = ""
    """The loopback address that the host's own files lead the name to; only looked for where the way goes around it."""
    around: bool = False
    """Whether DNS told where the name leads otherwise, and that was asked."""
    device: str = ""
    """The network device that the address is reached by; only looked for where the way goes around what leads astray."""


@dataclass(frozen=True)
class Route(Question[Reached]):
    """ABSENT where the host has no curl."""

    name: str
    url: str
    """What is asked for; "" after the host is "/"."""
    headers: tuple[tuple[str, str | Secret], ...] = ()
    login: Secret | None = None
    """USER:PASSWORD."""
    stream_url: str = ""
    stream_body: str = ""
    """JSON, in ASCII."""
    seconds: int = 12
    """How long the answer may take; a stream may take a little longer."""
    connect_to: str = ""
    """ADDRESS:PORT that is connected to in place of the URL's, whose name is kept for TLS and for the request."""
    interface: str = ""
    """The network device that is gone by."""
    around: bool = False
    """Whether to go past this host's own tunnels, where its files lead the name to one."""
    family: ClassVar[str] = "route"

    def __str__(self) -> str:
        return f"the route {self.name}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def connecting_seconds(self) -> int:
        """How long name, connection and TLS may take together."""
        return max(1, self.seconds * 2 // 3)

    @property
    def streaming_seconds(self) -> int:
        return self.seconds + self.seconds // 4

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        """All at once. Each curl reads its words from standard input: argv can be read by every user of the host."""
        asked = "".join(_one(number, question) for number, question in enumerate(questions))
        return f"""\
command -v curl >/dev/null || exit {NO_CURL}
folder=$(mktemp -d) || exit 1; trap 'rm -rf "$folder"' EXIT
text() {{ head -c {_MOST} -- "$1" 2>/dev/null | base64 -w 0; }}
{asked}wait
for number in $(seq 0 {len(questions) - 1}); do cat "$folder/$number.line"; echo; done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Reached | Missing]:
        if section.status:
            return dict.fromkeys(questions, Missing.ABSENT) if section.status == NO_CURL else {}
        lines = section.stdout.splitlines()
        if len(lines) != len(questions):
            return {}
        answers: dict[Self, Reached | Missing] = {}
        for question, line in zip(questions, lines, strict=True):
            answers[question] = _reached(question, line.split("\t")) if line else Missing.UNKNOWN
        return answers


def _one(number: int, question: Route) -> str:
    """A background job that writes one line. The stream is only asked for where the first answer was a good one.

    curl does not tell a server that is silent in the TLS handshake from one that is not there, and says of no connection
    why there is none; so it is asked once more, without the request's secrets.
    """
    again = f"curl -q \"$@\" -sv --noproxy '*' --max-time {TCP_SECONDS} -o /dev/null"
    why_not = f"{again} {quote(question.url)} 2>&1 </dev/null"
    plain = f"http://{urlsplit(question.url).netloc}" + ("" if urlsplit(question.url).port else ":443")
    connects = f"{again} -w '%{{time_connect}}' {quote(plain)} 2>/dev/null </dev/null"
    return f"""\
(
r=$folder/{number}
{_way(question)}measured=$(curl -q "$@" -sS -K - -o "$r.body" 2>"$r.said" <<'{_MARK}'
{_words(question, question.url)}{_MARK}
); status=$?
[ "$status" != 7 ] || {why_not} | sed -n -e 's/^\\* *connect to .* failed: //p' -e 's/^\\* *Immediate connect fail for [^ ]*: //p' >"$r.refusals"
[ "$status" != {TIMED_OUT} ] || {connects} >"$r.refusals"
{_stream(question)}wait
{_device(question)}printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t.' "$status" "$(printf '%s' "$measured" | base64 -w 0)" "$(text "$r.said")" "$(text "$r.body")" "$(text "$r.refusals")" "$(text "$r.names")" "$(cat "$r.streamed" 2>/dev/null)" "$(text "$r.way")" >"$r.line"
) &
"""


_ASTRAY = "127.86."
"""What the addresses begin with that a tunnel has for a name, where unchanged clients are to come through it."""


def _way(question: Route) -> str:
    """Sets "$@" to curl's words for the way, and writes what the name leads to. None of it is secret."""
    host, address = quote(question.host), question.connect_to.rpartition(":")[0].strip("[]")
    names = f"timeout {question.seconds} getent ahosts -- {host} 2>/dev/null | awk '!seen[$1]++ {{ print $1 }}'"
    if question.connect_to:
        return f"set -- --connect-to {quote(f'::{question.connect_to}')}\nprintf '%s\\n' {quote(address)} >\"$r.names\"\n"
    if question.interface:
        device = quote(f"if!{question.interface}")
        return f'set -- --interface {device}\n{names} >"$r.names" &\n'
    if not question.around:
        return f'set --\n{names} >"$r.names" &\n'
    elsewhere = (
        f"timeout {DNS_SECONDS} getent -s hosts:dns ahosts -- {host} 2>/dev/null | awk '!seen[$1]++ && $1 !~ /^127\\./ {{ print $1 }}'"
    )
    listed = 'awk \'{ printf "%s%s", comma, /:/ ? "[" $1 "]" : $1; comma = "," }\' "$r.dns"'
    return f"""\
set --
astray=$(getent -s hosts:files ahosts -- {host} 2>/dev/null | awk 'index($1, "{_ASTRAY}") == 1 {{ print $1; exit }}')
if [ -z "$astray" ]; then {names} >"$r.names" &
else
  {elsewhere} >"$r.dns"
  if [ -s "$r.dns" ]; then set -- --resolve {host}:{question.port}:"$({listed})"; cp "$r.dns" "$r.names"; else echo "$astray" >"$r.names"; fi
  echo "astray $astray $#" >"$r.way"
fi
"""


def _device(question: Route) -> str:
    """What leads there, as the host's routes say it."""
    if not question.around:
        return ""
    return """\
address=$(printf '%s' "$measured" | cut -f 6); [ -n "$address" ] || address=$(head -n 1 "$r.names" 2>/dev/null)
[ -z "$address" ] || ip -o route get "$address" 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/device \\1/p' >>"$r.way"
"""


def _stream(question: Route) -> str:
    """One read of a pipe takes what has arrived and no more, so each part of the answer has a time of its own. The time
    is read without starting a process, and one that has come in one lump stays one, however slow the host is.
    """
    if not question.stream_url:
        return ""
    return f"""\
case $status$measured in 02[0-9][0-9]*)
  read -r begun rest </proc/uptime
  {{ curl -q "$@" -sS -N -K - -D "$r.head" 2>"$r.stream.said" <<'{_MARK}'
{_words(question, question.stream_url, question.stream_body)}{_MARK}
  echo $? >"$r.status"; }} | {{
    part=1000
    while [ "$part" -lt 1400 ] && dd bs=65536 count=1 of="$r.part.$part" 2>/dev/null && [ -s "$r.part.$part" ]; do
      read -r now rest </proc/uptime; echo "$now" >>"$r.times"; part=$((part + 1))
    done
  }}
  for part in "$r".part.*; do wc -c <"$part"; done >"$r.sizes"
  cat "$r".part.* >"$r.stream"
  sed -n -e '/^HTTP\\//p' -e '/^[Cc]ontent-[Tt]ype:/p' "$r.head" >"$r.kind" 2>/dev/null
  printf '%s' "$(cat "$r.status"),$(text "$r.stream.said"),$(text "$r.kind"),$begun,$(echo $(cat "$r.times" 2>/dev/null)),$(echo $(cat "$r.sizes")),$(head -c 100000 "$r.stream" | base64 -w 0)" >"$r.streamed";;
esac
"""


def _words(question: Route, url: str, body: str = "") -> str:
    """A configuration of curl's: one option a line, its value in double quotes.

    HTTP/1.1 as the clients of APIs speak it: over HTTP/2 nginx lets events pass that it holds back from them.
    """
    seconds = question.streaming_seconds if body else question.seconds
    options = [("url", url), ("noproxy", "*"), ("connect-timeout", str(question.connecting_seconds)), ("max-time", str(seconds))]
    options += [("max-filesize", "8000000"), ("header", "Accept: text/event-stream" if body else "Accept: application/json")]
    if body:
        options += [("header", "Content-Type: application/json"), ("data", body)]
    else:
        options.append(("write-out", "\t".join(f"%{{{name}}}" for name in _MEASURED)))
    if question.login:
        options.append(("user", question.login.reveal()))
    for name, value in question.headers:
        options.append(("header", f"{name}: {value.reveal() if isinstance(value, Secret) else value}"))
    return "http1.1\n" + "".join(f'{name} = "{_escaped(value)}"\n' for name, value in options)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _reached(question: Route, fields: Sequence[str]) -> Reached:
    """Raises ValueError for anything but the line that the shell prints."""
    trouble, measured, said, body, refusals, names, streamed, way, end = fields
    if end != ".":
        raise ValueError("it was cut short")
    status, dns, connected, secured, first, address, content_type, redirect = _text(measured).split("\t", 7)
    ends = _ends(dns, connected, secured, first)
    again = tuple(dict.fromkeys(_text(refusals).splitlines()))
    late = int(trouble) == TIMED_OUT
    told = {word: rest for word, _, rest in (line.partition(" ") for line in _text(way).splitlines())}
    astray, _, given = told.get("astray", "").partition(" ")
    return Reached(
        int(trouble),
        _shown(question, _complaint(_text(said))),
        () if late else again,
        ends[1] is not None or (late and any(float(time) > 0 for time in again)),
        tuple(_text(names).split()),
        address,
        ends[0],
        _between(ends[0], ends[1]),
        _between(ends[1], ends[2]),
        ends[3] if int(status) else None,
        int(status),
        content_type,
        _shown(question, redirect),
        _shown(question, _text(body)),
        _streamed(question, streamed.split(",")) if streamed else None,
        astray,
        given not in {"", "0"},
        told.get("device", ""),
    )


def _ends(*times: str) -> list[float | None]:
    """When each phase ended, in milliseconds. curl says 0 of one that did not; but a number in place of a name takes none."""
    values = [round(float(time) * 1000, 1) for time in times]
    return [value if float(time) > 0 or any(values[n + 1 :]) else None for n, (time, value) in enumerate(zip(times, values, strict=True))]


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None or end < begin else round(end - begin, 1)


def _streamed(question: Route, fields: Sequence[str]) -> Streamed:
    trouble, said, head, begun, times, sizes, body = fields
    content = base64.b64decode(body, validate=True)
    began = float(begun)
    arrived = [round((float(time) - began) * 1000) for time in times.split()]
    statuses = re.findall(r"^HTTP/\S+ (\d{3})", _text(head), re.MULTILINE)
    kinds = re.findall(r"^content-type:\s*(.*)$", _text(head), re.MULTILINE | re.IGNORECASE)
    return Streamed(
        int(trouble),
        _shown(question, _complaint(_text(said))),
        int(statuses[-1]) if statuses else 0,
        kinds[-1].strip() if kinds else "",
        tuple(_events(content, arrived, [int(size) for size in sizes.split()])),
        _shown(question, content[:_MOST].decode("utf-8", "replace")),
    )


def _events(content: bytes, arrived: Sequence[int], sizes: Sequence[int]) -> Iterator[int]:
    """When each event came in: with the part of the answer that its line begins in. The last word is none."""
    starts = [match.start() for match in re.finditer(rb"^data:(?! ?" + re.escape(_DONE) + rb")", content, re.MULTILINE)]
    end = 0
    for time, size in zip(arrived, sizes, strict=False):
        begin, end = end, end + size
        yield from (time for start in starts if begin <= start < end)


def _complaint(text: str) -> str:
    """The sentence of curl's, without its name and number."""
    lines = [line for line in text.splitlines() if line.startswith("curl: ")]
    return re.sub(r"^curl: (\(\d+\) )?", "", lines[0]).strip() if lines else text.strip()


def _shown(question: Route, text: str) -> str:
    """The text, without the secrets of the request: a server may send them back."""
    secrets = [value.reveal() for _, value in question.headers if isinstance(value, Secret)]
    if question.login:
        plain = question.login.reveal()
        secrets += [plain, plain.partition(":")[2], base64.b64encode(plain.encode()).decode()]
    for secret in sorted((word for whole in secrets for word in {whole, whole.rpartition(" ")[2]} if word), key=len, reverse=True):
        text = text.replace(secret, str(Secret("")))
    return text


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise ValueError(str(error)) from None
