"""The requests that try one route to an API: each phase timed, what was answered, and when the events of a stream arrived."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self
from urllib.parse import urlsplit

from novaops.formats import curl
from novaops.formats.names import pair
from novaops.model.question import Missing, Question, Section
from novaops.secret import Secret
from novaops.shell import lines_of, quote, sh_file

NO_CURL = 7
"""Exit status of the script where the host has no curl."""
_SHOWN_BYTES = 4000
"""Of an answer that are kept; route.sh has the same number."""
_MEASURED = (
    *("http_code", "time_namelookup", "time_connect", "time_appconnect", "time_starttransfer"),
    *("remote_ip", "content_type", "redirect_url"),
)
"""Variables of curl's --write-out."""
_EVENT = re.compile(rb"^data:(?! ?\[DONE\])", re.MULTILINE)
"""Where a server-sent event begins. The last word of a stream of OpenAI's form is no event."""


@dataclass(frozen=True)
class StreamResult:
    """What came of the request whose answer should stream."""

    exit_code: int
    """curl's."""
    error: str
    """curl's message."""
    status: int
    content_type: str
    events: tuple[int, ...]
    """When each arrived: milliseconds after the request began."""
    body: str


@dataclass(frozen=True)
class RouteResult:
    """How far the first request came. Times are milliseconds, each of its own phase; None for a phase that did not end."""

    exit_code: int
    """curl's: 0 when there was an answer."""
    error: str
    """curl's message."""
    refusals: tuple[str, ...]
    """Why no address took the connection."""
    connects: bool
    """Whether a connection could be made, whatever became of it."""
    addresses: tuple[str, ...]
    """What the name resolves to."""
    address: str | None
    """The one that was connected to."""
    dns_ms: float | None
    tcp_ms: float | None
    tls_ms: float | None
    ttfb_ms: float | None
    """To the first byte of the answer: from the very beginning, not from the end of the phase before."""
    http_status: int | None
    """None where there was no answer."""
    content_type: str
    redirect: str
    body: str
    stream: StreamResult | None
    """None where the first request got no 2xx, or none was to be made."""
    local_address: str
    """The loopback address that a transparent tunnel has given the name in the host's own files; only with `bypass`."""
    bypassed: bool
    """Whether DNS had another address for the name, which was connected to."""
    device: str
    """The network device by which the host's routes lead to the address; only with `bypass`."""


@dataclass(frozen=True)
class RouteProbe(Question[RouteResult]):
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
    """ADDRESS:PORT to connect to instead of the URL's, whose name is kept for TLS and for the request."""
    interface: str = ""
    """The network device to use."""
    bypass: bool = False
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
        """All routes at once. curl reads its options from standard input: argv can be read by every user of the host."""
        calls = "".join(f"{_variables(question)}route {number} &\n" for number, question in enumerate(questions))
        return f"{sh_file(__package__, 'route.sh')}{calls}answers {len(questions)}\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, RouteResult | Missing]:
        if section.status:
            return dict.fromkeys(questions, Missing.ABSENT) if section.status == NO_CURL else {}
        lines = lines_of(section.stdout)
        if len(lines) != len(questions):
            return {}
        return {
            question: _result(question, line.split("\t")) if line else Missing.UNKNOWN
            for question, line in zip(questions, lines, strict=True)
        }


def _variables(probe: RouteProbe) -> str:
    """The assignments that route.sh reads."""
    values = {
        "url": probe.url,
        "host": probe.host,
        "port": str(probe.port),
        "connect_url": f"http://{pair(probe.host, probe.port)}",
        "seconds": str(probe.seconds),
        "connect_to": probe.connect_to,
        "interface": probe.interface,
        "bypass": "yes" if probe.bypass else "",
        "request": _curl_config(probe, probe.url),
        "stream_request": _curl_config(probe, probe.stream_url, probe.stream_body) if probe.stream_url else "",
    }
    return "".join(f"{name}={quote(value)}\n" for name, value in values.items())


def _curl_config(probe: RouteProbe, url: str, body: str = "") -> str:
    """A configuration file of curl's: one option a line, its value in double quotes.

    HTTP/1.1 as the clients of APIs speak it: over HTTP/2 nginx lets events pass that it holds back from them.
    """
    seconds = probe.streaming_seconds if body else probe.seconds
    options = [("url", url), ("noproxy", "*"), ("connect-timeout", str(probe.connecting_seconds)), ("max-time", str(seconds))]
    options += [("max-filesize", "8000000"), ("header", "Accept: text/event-stream" if body else "Accept: application/json")]
    if body:
        options += [("header", "Content-Type: application/json"), ("data", body)]
    else:
        options.append(("write-out", "\t".join(f"%{{{name}}}" for name in _MEASURED)))
    if probe.login:
        options.append(("user", probe.login.reveal()))
    for name, value in probe.headers:
        options.append(("header", f"{name}: {value.reveal() if isinstance(value, Secret) else value}"))
    return "http1.1\n" + curl.config(options).removesuffix("\n")


def _result(probe: RouteProbe, fields: Sequence[str]) -> RouteResult:
    """Raises ValueError for anything but the line that route.sh prints."""
    exit_code, measured, error, body, again, names, streamed, way, end = fields
    if end != ".":
        raise ValueError("it was cut short")
    status, *times, address, content_type, redirect = _text(measured).split("\t", 7)
    dns, connected, secured, first = _ends(times)
    second_try = tuple(dict.fromkeys(lines_of(_text(again))))
    late = int(exit_code) == curl.TIMED_OUT
    notes = {word: rest for word, _, rest in (line.partition(" ") for line in lines_of(_text(way)))}
    local_address, _, options = notes.get("hosts-file", "").partition(" ")
    return RouteResult(
        exit_code=int(exit_code),
        error=_redacted(probe, _message(_text(error))),
        refusals=() if late else second_try,
        connects=connected is not None or (late and any(float(time) > 0 for time in second_try)),
        addresses=tuple(_text(names).split()),
        address=address or None,
        dns_ms=dns,
        tcp_ms=_between(dns, connected),
        tls_ms=_between(connected, secured),
        ttfb_ms=first if int(status) else None,
        http_status=int(status) or None,
        content_type=content_type,
        redirect=_redacted(probe, redirect),
        body=_redacted(probe, _text(body)),
        stream=_stream_result(probe, streamed.split(",")) if streamed else None,
        local_address=local_address,
        bypassed=options not in {"", "0"},
        device=notes.get("device", ""),
    )


def _ends(times: Sequence[str]) -> list[float | None]:
    """When each phase ended, in milliseconds. curl prints 0 for one that did not end, and for the DNS phase of a bare address."""
    values = [round(float(time) * 1000, 1) for time in times]
    return [value if float(time) > 0 or any(values[n + 1 :]) else None for n, (time, value) in enumerate(zip(times, values, strict=True))]


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None or end < begin else round(end - begin, 1)


def _stream_result(probe: RouteProbe, fields: Sequence[str]) -> StreamResult:
    exit_code, error, head, begun, times, sizes, body = fields
    content = base64.b64decode(body, validate=True)
    arrivals = [round((float(time) - float(begun)) * 1000) for time in times.split()]
    statuses = re.findall(r"^HTTP/\S+ (\d{3})", _text(head), re.MULTILINE)
    types = re.findall(r"^content-type:\s*(.*)$", _text(head), re.MULTILINE | re.IGNORECASE)
    return StreamResult(
        exit_code=int(exit_code),
        error=_redacted(probe, _message(_text(error))),
        status=int(statuses[-1]) if statuses else 0,
        content_type=types[-1].strip() if types else "",
        events=tuple(_events(content, arrivals, [int(size) for size in sizes.split()])),
        body=_redacted(probe, content[:_SHOWN_BYTES].decode("utf-8", "replace")),
    )


def _events(content: bytes, arrivals: Sequence[int], sizes: Sequence[int]) -> Iterator[int]:
    """When each event arrived: with the part of the answer that its line begins in."""
    starts = [match.start() for match in _EVENT.finditer(content)]
    end = 0
    for time, size in zip(arrivals, sizes, strict=False):
        begin, end = end, end + size
        yield from (time for start in starts if begin <= start < end)


def _message(text: str) -> str:
    """The error message of curl, without its name and number."""
    lines = [line for line in lines_of(text) if line.startswith("curl: ")]
    return re.sub(r"^curl: (\(\d+\) )?", "", lines[0]).strip() if lines else text.strip()


def _redacted(probe: RouteProbe, text: str) -> str:
    """The text without the secrets of the request: a server may send them back."""
    secrets = [value.reveal() for _, value in probe.headers if isinstance(value, Secret)]
    if probe.login:
        plain = probe.login.reveal()
        secrets += [plain, plain.partition(":")[2], base64.b64encode(plain.encode()).decode()]
    words = {word for secret in secrets for word in (secret, secret.rpartition(" ")[2]) if word}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, str(Secret("")))
    return text


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise ValueError(str(error)) from None
