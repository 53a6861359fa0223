"""Whether a host can use an API, by which route, how fast, and why not: every answer in plain words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import HostFailed
from novaops.features.api.facts import TIMED_OUT, Reached, Route, Streamed
from novaops.formats.names import bracketed
from novaops.model.question import Facts, Missing, Question

APART = 20
"""Milliseconds between two events that did not come in together."""
SEPARATE = 3
"""So many arrivals, each apart from the one before, are a stream."""

_LONGEST = 160
"""Characters of a message of the API's that are shown."""

_REGION = "unsupported_country_region_territory"
_TOO_LONG = 63
"""curl's exit status for an answer longer than it was to fetch."""

_DEVICES = "vpn-"
"""What the names of the VPNs' devices begin with."""

_OF_OURS = "novaops_proxy"
"""The type of the errors that a site of novaops' own answers with."""


@dataclass(frozen=True)
class ApiRoute:
    """One route of one host to one API: a request to make, or why there is none."""

    api: str
    name: str
    kind: str
    url: str
    question: Route | None = None
    untried: str = ""
    """Why the route is not tried."""
    unstreamed: str = ""
    """Why it is not tried whether answers stream."""
    has_key: bool = False
    """Whether a key of the API's goes with the request, from here or put in on the way."""
    injects: bool = False
    """Whether it is the proxy that puts the key in."""
    by: str = ""
    """The host that the route leads through."""
    lacks: str = ""
    """Why the request goes without the user or token that the proxy asks for."""
    advice: str = ""
    """What to do where the certificate is not trusted."""
    knows_probe: bool = True
    """Whether the API is known to have something at the URL."""


@dataclass(frozen=True)
class Verdict:
    works: bool
    text: str
    fix: str = ""


def questions(attempts: Sequence[ApiRoute]) -> tuple[Question[Any], ...]:
    return tuple(attempt.question for attempt in attempts if attempt.question)


def details(attempts: Sequence[ApiRoute], facts: Facts) -> dict[str, Any]:
    """What `api check --json` says of a host. Raises HostFailed where the host has no curl, or could not say."""
    apis: dict[str, list[dict[str, Any]]] = {}
    for attempt in attempts:
        apis.setdefault(attempt.api, []).append(_route(attempt, facts))
    return {"apis": [_api(name, routes) for name, routes in apis.items()]}


def all_work(found: dict[str, Any]) -> bool:
    """Whether each API can be used by one route at least."""
    return all(api["works"] for api in found["apis"])


def headers(*, several_apis: bool) -> tuple[str, ...]:
    return (*(["API"] if several_apis else []), "ROUTE", "DNS", "TCP", "TLS", "HTTP", "TTFB", "STREAMS", "VERDICT")


def rows(found: dict[str, Any], *, several_apis: bool) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    return [
        (
            *([api["api"]] if several_apis else []),
            *(route["route"], _addresses(route), _ms(route["tcp_ms"]), _ms(route["tls_ms"]), str(route["http_status"] or "–")),
            *(_ms(route["ttfb_ms"]), _streams(route["stream"])),
            _words(route, fastest=_working(api) > 1 and api["fastest"] == route["route"]),
        )
        for api in found["apis"]
        for route in api["routes"]
    ]


def _words(route: dict[str, Any], *, fastest: bool) -> str:
    glyph = "✓" if route["works"] else "✘" if route["tried"] else " "
    return f"{glyph} {route['verdict']}" + ("; the fastest" if fastest else "") + (f" → {route['fix']}" if route["fix"] else "")


def _working(api: dict[str, Any]) -> int:
    return sum(route["works"] for route in api["routes"])


def _api(name: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    working = [route for route in routes if route["works"]]
    fastest = min(working, key=lambda route: route["ttfb_ms"], default=None)
    return {"api": name, "works": bool(working), "fastest": fastest["route"] if fastest else None, "routes": routes}


def _route(attempt: ApiRoute, facts: Facts) -> dict[str, Any]:
    named = {"route": attempt.name, "kind": attempt.kind, "url": attempt.url}
    if attempt.question is None:
        nothing = dict.fromkeys(("address", "dns_ms", "tcp_ms", "tls_ms", "ttfb_ms", "http_status"))
        stream = {"streams": None, "why": "", "events": 0, "arrivals": 0, "first_ms": None, "last_ms": None}
        return {
            **named,
            "tried": False,
            "works": False,
            "verdict": f"not tried: {attempt.untried}",
            "fix": "",
            "addresses": [],
            **nothing,
            "stream": stream,
        }
    reached = facts[attempt.question]
    if reached is Missing.ABSENT:
        raise HostFailed("this host has no curl, and novaops looks with it", fix="apt-get install curl, or dnf install curl")
    verdict = judge(attempt, reached)
    stream = streaming(attempt, reached.stream) if verdict.works or reached.stream else _stream(streams=None, why="")
    if stream["streams"] is False and verdict.works:
        verdict = Verdict(works=False, text=f"{verdict.text}, but answers do not stream: {stream['why']}", fix=_unbuffer(attempt))
    if really := _what_direct_is(attempt.question, reached):
        verdict = replace(verdict, text=f"{verdict.text} ({really})")
    return {
        **named,
        "tried": True,
        "works": verdict.works,
        "verdict": verdict.text,
        "fix": verdict.fix,
        "addresses": list(reached.addresses),
        "address": reached.address or None,
        "dns_ms": reached.dns,
        "tcp_ms": reached.tcp,
        "tls_ms": reached.tls,
        "ttfb_ms": reached.first_byte,
        "http_status": reached.status or None,
        "stream": stream,
    }


# -- does it answer ---------------------------------------------------------------------------------------------------


def judge(attempt: ApiRoute, reached: Reached) -> Verdict:
    """What came of a request, as a sentence."""
    assert attempt.question is not None
    if reached.trouble and not reached.status:
        return _unanswered(attempt, attempt.question, reached)
    if reached.trouble and reached.trouble != _TOO_LONG:
        return Verdict(works=False, text=f"an answer began ({reached.status}), and broke off: {reached.said}")
    said = _said(reached.body)
    if said.kind == _OF_OURS:
        return _of_the_proxy(attempt, reached.status, said)
    if _is_html(reached.content_type, reached.body):
        title = _title(reached.body)
        return Verdict(works=False, text=f"something else answers: {reached.status} and a web page{title}, where the API answers with JSON")
    if 300 <= reached.status < 400:  # noqa: PLR2004 - redirections
        return Verdict(works=False, text=f"something else answers: {reached.status}, which leads to {reached.redirect or 'nowhere'}")
    return _of_the_api(attempt, reached, said)


def _what_direct_is(route: Route, reached: Reached) -> str:
    """What a way without a proxy really is, where this host itself leads the API's name or address elsewhere; "" where it does not."""
    if reached.astray and not reached.around:
        return f"by the transparent tunnel: this host leads {route.host} to {reached.astray}, and DNS tells no other address"
    past = f"past the transparent tunnel, which leads {route.host} to {reached.astray}" if reached.astray else ""
    by = f"by {reached.device}, where this host's routes lead" if reached.device.startswith(_DEVICES) else ""
    return ", and ".join(filter(None, (past, by)))


_REFUSALS = {
    403: "forbids it",
    404: "has nothing at this path",
    429: "had too many requests, or the quota is used up",
}


def _of_the_api(attempt: ApiRoute, reached: Reached, said: _Said) -> Verdict:
    through = f"reachable through {attempt.by}" if attempt.by else "reachable"
    message = f": {said.message}" if said.message else ""
    status = reached.status
    if status // 100 == 2:  # noqa: PLR2004 - what HTTP calls success
        if attempt.knows_probe and not said.is_json:
            return Verdict(works=False, text=f"something else answers: {status}, but no JSON as the API's")
        return Verdict(works=True, text=through + (", which asks for no user or token" if attempt.lacks else ""))
    if status == 401:  # noqa: PLR2004 - unauthorized
        return _unauthorized(attempt, through, message)
    if status in {404, 405} and not attempt.knows_probe and said.is_json:
        return Verdict(works=True, text=f"{through}: the API answers, though it has nothing at {_path(attempt.url)}")
    if _REGION in {said.code, said.kind} or (status == 403 and _REGION in reached.body):  # noqa: PLR2004 - forbidden
        whose = f"the region of {attempt.by}" if attempt.by else "this host's region"
        text = f"{through}, but refuses {whose}{message or ': ' + _REGION}"
        return Verdict(works=False, text=text, fix="take a route through another region")
    meaning = _REFUSALS.get(status, "is in trouble" if status >= 500 else "refuses the request")  # noqa: PLR2004 - errors of the server
    return Verdict(works=False, text=f"{through}, but the API {meaning} ({status}){message}")


def _unauthorized(attempt: ApiRoute, through: str, message: str) -> Verdict:
    if attempt.lacks:
        return Verdict(works=False, text=f"{attempt.by} answers and asks for its user or token, and none was sent: {attempt.lacks}")
    if attempt.injects:
        return Verdict(works=False, text=f"{through}, but the API does not take the key that the proxy puts in{message}")
    if attempt.has_key:
        return Verdict(works=False, text=f"{through}, but the API does not take the key{message}")
    return Verdict(works=True, text=f"{through}: the API asks for a key")


def _of_the_proxy(attempt: ApiRoute, status: int, said: _Said) -> Verdict:
    """The site's own errors: the request did not come to the API, or no answer came back."""
    site = attempt.by or "the proxy"
    match said.code:
        case "unauthorized" if attempt.lacks:
            return Verdict(works=False, text=f"{site} answers and asks for its user or token, and none was sent: {attempt.lacks}")
        case "unauthorized":
            return Verdict(
                works=False, text=f"{site} does not take the user or token of the inventory", fix="novaops proxy deploy puts them there"
            )
        case "forbidden":
            return Verdict(works=False, text=f"{site} does not serve this host's address", fix="add it to the site's auth: from:")
        case "bad_gateway":
            text = f"{site} cannot reach the API, or does not trust its certificate"
            return Verdict(works=False, text=text, fix="novaops proxy status shows its last error")
        case "timeout":
            return Verdict(works=False, text=f"{site} got no answer of the API in time", fix="novaops proxy status shows its last error")
        case "no_key":
            return Verdict(works=False, text=f"{site} has lost the key of the API", fix="novaops proxy deploy puts it there")
        case _:
            return Verdict(works=False, text=f"{site} passes nothing on at {_path(attempt.url)} ({status})")


def _unanswered(attempt: ApiRoute, route: Route, reached: Reached) -> Verdict:
    """Why there was no answer, by the phase that the request came to."""
    at = _at(route, reached)
    if verdict := _unopened(attempt, route, reached):
        return verdict
    match reached.trouble:
        case 6:
            text = f"DNS gives no address for {route.host}: there is no such name, or its name servers fail"
            return Verdict(works=False, text=text)
        case 7 if set(reached.refusals) == {"Connection refused"}:
            text = f"{at} refuses the connection: nothing listens there, or a firewall says so"
            return Verdict(works=False, text=text)
        case 7:
            why = ", ".join(reached.refusals) or reached.said
            return Verdict(works=False, text=f"no connection to {at}: {why}")
        case number if number == TIMED_OUT:
            lost = reached.dns is not None and not reached.connects
            return Verdict(works=False, text=_late(route, reached, at), fix="" if lost else "--timeout waits longer")
        case 35:
            return Verdict(works=False, text=_handshake(route, reached.said))
        case 51 | 60:
            return _certificate(attempt, route, reached.said)
        case 52 | 55 | 56:
            return Verdict(works=False, text=f"{at} cuts the connection instead of an answer")
        case number:
            return Verdict(works=False, text=f"no answer: {reached.said or f'curl ended with {number}'}")


def _unopened(attempt: ApiRoute, route: Route, reached: Reached) -> Verdict | None:
    """What only ways of novaops' own can suffer from."""
    if route.interface and reached.trouble == 45:  # noqa: PLR2004 - CURLE_INTERFACE_FAILED
        text = f"there is no device {route.interface}: {attempt.by} is not up"
        return Verdict(works=False, text=text, fix="novaops vpn status says why")
    cut = reached.trouble in {35, 52, 55, 56} and re.search(_CUT, reached.said, re.IGNORECASE)
    if attempt.kind == "tunnel" and cut:
        far = _far(route) if route.connect_to else "the site"
        text = f"the tunnel takes the connection and cuts it: {attempt.by} does not reach {far}, or does not let the tunnel"
        return Verdict(works=False, text=text, fix="novaops tunnel status says why")
    return None


def _late(route: Route, reached: Reached, at: str) -> str:
    waited = f"within {route.connecting_seconds} s"
    if reached.dns is None:
        return f"DNS does not answer {waited}"
    if not reached.connects:
        return f"{at} does not answer {waited}: packets are lost, which is what a blocked address and a firewall that drops look like"
    if reached.tls is None and route.url.startswith("https:"):
        return f"{at} takes the connection, and then is silent in the TLS handshake ({waited.removeprefix('within ')})"
    return f"{at} takes the request, and does not answer within {route.seconds} s"


_CUT = r"reset|SYSCALL|closed|EOF|terminated|zero return|empty reply"
"""What OpenSSL, GnuTLS and curl say of a connection that ends too early."""


def _handshake(route: Route, said: str) -> str:
    if re.search(_CUT, said, re.IGNORECASE):
        return f"the connection is cut in the TLS handshake: so does a filter that looks for the name {route.host}"
    if "wrong version number" in said or "packet length" in said:
        return f"no TLS there: {route.host} answers something else"
    return f"the TLS handshake with {route.host} fails: {said}"


_CERTIFICATE = (
    (r"has expired|expired certificate|certificate.*expired", "has expired"),
    (r"not yet valid|not activated", "is not valid yet: look at the host's clock"),
    (r"no alternative certificate subject name|does not match|doesn't match|host ?name mismatch", "is not for this name"),
    (
        r"self-signed certificate in certificate chain|self signed certificate in certificate chain",
        "comes from an authority that this host does not trust",
    ),
    (r"self-signed|self signed", "is self-signed, and this host does not trust it"),
    (
        r"unable to get local issuer|unknown|NOT trusted|signer not found|unable to verify",
        "comes from an authority that this host does not trust, or lacks its intermediate ones",
    ),
    (r"revoked", "was revoked"),
)
"""What OpenSSL and GnuTLS say through curl, and what it means. The first that fits."""


def _certificate(attempt: ApiRoute, route: Route, said: str) -> Verdict:
    meaning = next((meaning for pattern, meaning in _CERTIFICATE if re.search(pattern, said, re.IGNORECASE)), "")
    if not meaning:
        return Verdict(works=False, text=f"the certificate of {route.host} is not accepted: {said}")
    return Verdict(works=False, text=f"the certificate of {route.host} {meaning}", fix=attempt.advice if "trust" in meaning else "")


def _at(route: Route, reached: Reached) -> str:
    """Where the connection was to go."""
    if route.connect_to:
        return f"the listener {route.connect_to}"
    address = reached.address or (reached.addresses[0] if len(reached.addresses) == 1 else "")
    return _far(route) + (f" ({address})" if address and address != route.host else "")


def _far(route: Route) -> str:
    named = bracketed(route.host)
    return f"{named}:{route.port}"


# -- does it stream ---------------------------------------------------------------------------------------------------


def streaming(attempt: ApiRoute, streamed: Streamed | None) -> dict[str, Any]:
    """Whether the events of an answer came one by one. None: that could not be tried, or says nothing of the route."""
    if streamed is None:
        return _stream(streams=None, why=f"not tried: {attempt.unstreamed}" if attempt.unstreamed else "")
    message = _said(streamed.body).message
    if streamed.status and streamed.status != 200:  # noqa: PLR2004 - OK
        return _stream(streams=None, why=f"not measured: the API answers {streamed.status}{': ' + message if message else ''}")
    events = streamed.events
    arrivals = _arrivals(events)
    measured = {
        "events": len(events),
        "arrivals": arrivals,
        "first_ms": events[0] if events else None,
        "last_ms": events[-1] if events else None,
    }
    assert attempt.question is not None
    if not events and streamed.trouble == TIMED_OUT:
        return _stream(streams=False, why=f"no event within {attempt.question.streaming_seconds} s", **measured)
    if not events and streamed.trouble:
        return _stream(streams=False, why=f"no event came: {streamed.said}", **measured)
    if not events:
        return _stream(
            streams=None, why=f"not measured: the answer is no stream of events, but {streamed.content_type or 'of no type'}", **measured
        )
    if streamed.trouble and streamed.trouble != TIMED_OUT:
        return _stream(streams=False, why=f"it broke off after {_count(len(events), 'event')}: {streamed.said}", **measured)
    if arrivals >= SEPARATE:
        return _stream(streams=True, why="", **measured)
    if len(events) < SEPARATE:
        return _stream(streams=None, why=f"not measured: only {_count(len(events), 'event')} came", **measured)
    return _stream(streams=False, why=f"{len(events)} events came in {_count(arrivals, 'lump')}, after {_ms(events[0])} ms", **measured)


def _stream(*, streams: bool | None, why: str, **measured: Any) -> dict[str, Any]:
    return {"streams": streams, "why": why, "events": 0, "arrivals": 0, "first_ms": None, "last_ms": None, **measured}


def _arrivals(events: Sequence[int]) -> int:
    """How often something came in, apart from what came before."""
    counted, last = 0, None
    for time in events:
        if last is None or time - last >= APART:
            counted += 1
            last = time
    return counted


def _unbuffer(attempt: ApiRoute) -> str:
    return "look for a proxy on the way that buffers: nginx needs proxy_buffering off" if attempt.by else ""


# -- what the API says ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    """An error in the form that most APIs share: {"error": {"message": …, "type": …, "code": …}}."""

    is_json: bool
    kind: str = ""
    code: str = ""
    message: str = ""


def _said(body: str) -> _Said:
    try:
        document = json.loads(body)
    except ValueError:
        # What is longer than what was looked at is cut; its beginning shows what it is.
        return _Said(is_json=body.lstrip()[:1] in {"{", "["} and len(body) > 1000)  # noqa: PLR2004 - longer than any error
    if not isinstance(document, dict):
        return _Said(is_json=isinstance(document, list))
    error = document.get("error", document)
    if not isinstance(error, dict):
        return _Said(is_json=True, message=_short(error))
    texts = {key: _short(error.get(key)) for key in ("type", "code", "message", "detail", "msg")}
    message = texts["message"] or texts["detail"] or texts["msg"]
    return _Said(is_json=True, kind=texts["type"], code=texts["code"], message=message)


def _short(value: Any) -> str:
    """One line of it, without anything that a terminal would obey."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return ""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_html(content_type: str, body: str) -> bool:
    begin = body.lstrip()[:200].lower()
    return content_type.lower().startswith("text/html") or begin.startswith(("<!doctype html", "<html", "<head", "<body"))


def _title(body: str) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title", body, re.IGNORECASE | re.DOTALL)
    return f" (“{_short(found[1])}”)" if found and _short(found[1]) else ""


def _path(url: str) -> str:
    return "/" + url.partition("://")[2].partition("/")[2]


# -- cells of the table -----------------------------------------------------------------------------------------------


def _addresses(route: dict[str, Any]) -> str:
    if not route["tried"]:
        return "–"
    found = route["addresses"] or ([route["address"]] if route["address"] else [])
    if not found:
        return "no address"
    return str(found[0]) + (f" +{len(found) - 1}" if len(found) > 1 else "")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004 - two digits that mean something


def _streams(stream: dict[str, Any]) -> str:
    if stream["streams"]:
        return f"yes: {stream['events']} events from {_ms(stream['first_ms'])} to {_ms(stream['last_ms'])} ms"
    return "no" if stream["streams"] is False else str(stream["why"]) or "–"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
