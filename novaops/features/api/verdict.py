"""Whether a route to an API works, and why not: tables of what was seen and the sentence for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from novaops.features.api.answer import ApiError, html_title, is_html, read_error
from novaops.features.api.facts import TIMED_OUT, RouteProbe, RouteResult
from novaops.formats.names import pair

_TOO_LONG = 63
"""curl's exit code for an answer longer than it was to fetch. Its beginning says enough."""
_VPN_DEVICES = "vpn-"
"""What the names of the VPNs' devices begin with."""
_OWN_ERROR = "novaops_proxy"
"""The type of the errors that a site of novaops' own answers with."""
_REGION = "unsupported_country_region_territory"


@dataclass(frozen=True)
class ApiRoute:
    """One route of one host to one API: the requests to make, or why there are none."""

    api: str
    name: str
    kind: str
    url: str
    probe: RouteProbe | None = None
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


@dataclass(frozen=True)
class Rule:
    """A sentence with a fix, and when it is said."""

    codes: Container[object] | None
    """None: every code."""
    seen: str
    """What must have been seen: words of `_observations`, with blanks between them."""
    text: str
    """Its fields are those of `_words`."""
    fix: str = ""
    works: bool = False


_WAIT_LONGER = "--timeout waits longer"

UNANSWERED = (
    Rule({45}, "", "there is no device {interface}: {by} is not up", "novaops vpn status says why"),
    Rule(
        *({35, 52, 55, 56}, "tunnel cut"),
        "the tunnel takes the connection and cuts it: {by} does not reach {beyond}, or does not let the tunnel",
        "novaops tunnel status says why",
    ),
    Rule({6}, "", "DNS gives no address for {host}: there is no such name, or its name servers fail"),
    Rule({7}, "all-refused", "{at} refuses the connection: nothing listens there, or a firewall says so"),
    Rule({7}, "", "no connection to {at}: {refusals}"),
    Rule({TIMED_OUT}, "no-dns", "DNS does not answer within {connecting} s", _WAIT_LONGER),
    Rule(
        *({TIMED_OUT}, "no-connection"),
        "{at} does not answer within {connecting} s: packets are lost, which is what a blocked address and a firewall that drops look like",
    ),
    Rule({TIMED_OUT}, "no-tls", "{at} takes the connection, and then is silent in the TLS handshake ({connecting} s)", _WAIT_LONGER),
    Rule({TIMED_OUT}, "", "{at} takes the request, and does not answer within {seconds} s", _WAIT_LONGER),
    Rule({35}, "cut", "the connection is cut in the TLS handshake: so does a filter that looks for the name {host}"),
    Rule({35}, "plaintext", "no TLS there: {host} answers something else"),
    Rule({35}, "", "the TLS handshake with {host} fails: {curl}"),
    Rule({51, 60}, "untrusted", "the certificate of {host} {certificate}", "{advice}"),
    Rule({51, 60}, "", "the certificate of {host} {certificate}"),
    Rule({52, 55, 56}, "", "{at} cuts the connection instead of an answer"),
    Rule(None, "", "no answer: {curl}"),
)
"""By curl's exit code, where there was no answer. The first rule that applies counts, here and below."""

_UNTRUSTED = "comes from an authority that this host does not trust"
_CERTIFICATES = {
    r"has expired|expired certificate|certificate.*expired": "has expired",
    r"not yet valid|not activated": "is not valid yet: look at the host's clock",
    r"no alternative certificate subject name|does not match|doesn't match|host ?name mismatch": "is not for this name",
    r"self[- ]signed certificate in certificate chain": _UNTRUSTED,
    r"self[- ]signed": "is self-signed, and this host does not trust it",
    r"unable to get local issuer|unknown|NOT trusted|signer not found|unable to verify": f"{_UNTRUSTED}, or lacks its intermediate ones",
    r"revoked": "was revoked",
}
"""What OpenSSL and GnuTLS say of a certificate through curl, and what it means. The first pattern that is found."""

_CUT = r"reset|SYSCALL|closed|EOF|terminated|zero return|empty reply"
"""What OpenSSL, GnuTLS and curl say of a connection that ends too early."""

_NOT_SENT = "{by} answers and asks for its user or token, and none was sent: {lacks}"
_LAST_ERROR = "novaops proxy status shows its last error"

PROXY_ERRORS = (
    Rule({"unauthorized"}, "lacks", _NOT_SENT),
    Rule({"unauthorized"}, "", "{by} does not take the user or token of the inventory", "novaops proxy deploy puts them there"),
    Rule({"forbidden"}, "", "{by} does not serve this host's address", "add it to the site's auth: from:"),
    Rule({"bad_gateway"}, "", "{by} cannot reach the API, or does not trust its certificate", _LAST_ERROR),
    Rule({"timeout"}, "", "{by} got no answer of the API in time", _LAST_ERROR),
    Rule({"no_key"}, "", "{by} has lost the key of the API", "novaops proxy deploy puts it there"),
    Rule(None, "", "{by} passes nothing on at {path} ({status})"),
)
"""By the code of an error of the site's own: the request did not come to the API, or no answer came back."""

_OK = range(200, 300)

ANSWERED = (
    Rule(None, "html", "something else answers: {status} and a web page{title}, where the API answers with JSON"),
    Rule(range(300, 400), "", "something else answers: {status}, which leads to {redirect}"),
    Rule(_OK, "known-path no-json", "something else answers: {status}, but no JSON as the API's"),
    Rule(_OK, "lacks", "{reachable}, which asks for no user or token", works=True),
    Rule(_OK, "", "{reachable}", works=True),
    Rule({401}, "lacks", _NOT_SENT),
    Rule({401}, "injects", "{reachable}, but the API does not take the key that the proxy puts in{message}"),
    Rule({401}, "has-key", "{reachable}, but the API does not take the key{message}"),
    Rule({401}, "", "{reachable}: the API asks for a key", works=True),
    Rule({404, 405}, "unknown-path json", "{reachable}: the API answers, though it has nothing at {path}", works=True),
    Rule(None, "region", "{reachable}, but refuses {region}: {region_message}", "take a route through another region"),
    Rule({403}, "", "{reachable}, but the API forbids it ({status}){message}"),
    Rule({404}, "", "{reachable}, but the API has nothing at this path ({status}){message}"),
    Rule({429}, "", "{reachable}, but the API had too many requests, or the quota is used up ({status}){message}"),
    Rule(range(500, 1000), "", "{reachable}, but the API is in trouble ({status}){message}"),
    Rule(None, "", "{reachable}, but the API refuses the request ({status}){message}"),
)
"""By the HTTP status."""


def judge(route: ApiRoute, probe: RouteProbe, result: RouteResult) -> Verdict:
    """What came of the first request."""
    error = read_error(result.body)
    rules: tuple[Rule, ...] = ANSWERED
    code: int | str | None = result.http_status
    if result.exit_code and not result.http_status:
        rules, code = UNANSWERED, result.exit_code
    elif result.exit_code not in {0, _TOO_LONG}:
        return Verdict(works=False, text=f"an answer began ({result.http_status}), and broke off: {result.error}")
    elif error.kind == _OWN_ERROR:
        rules, code = PROXY_ERRORS, error.code
    seen = _observations(route, probe, result, error)
    rule = next(rule for rule in rules if (rule.codes is None or code in rule.codes) and all(seen[word] for word in rule.seen.split()))
    words = _words(route, probe, result, error)
    return Verdict(rule.works, rule.text.format_map(words), rule.fix.format_map(words))


def _observations(route: ApiRoute, probe: RouteProbe, result: RouteResult, error: ApiError) -> dict[str, bool]:
    """Whether each thing that rules name was seen of the route."""
    names_region = _REGION in {error.code, error.kind} or (result.http_status == 403 and _REGION in result.body)  # noqa: PLR2004 - forbidden
    return {
        "tunnel": route.kind == "tunnel",
        "lacks": bool(route.lacks),
        "injects": route.injects,
        "has-key": route.has_key,
        "known-path": route.knows_probe,
        "unknown-path": not route.knows_probe,
        "all-refused": set(result.refusals) == {"Connection refused"},
        "no-dns": result.dns_ms is None,
        "no-connection": not result.connects,
        "no-tls": result.tls_ms is None and probe.url.startswith("https:"),
        "cut": re.search(_CUT, result.error, re.IGNORECASE) is not None,
        "plaintext": re.search("wrong version number|packet length", result.error) is not None,
        "untrusted": "trust" in _certificate(result.error),
        "html": is_html(result.content_type, result.body),
        "json": error.is_json,
        "no-json": not error.is_json,
        "region": names_region,
    }


def _words(route: ApiRoute, probe: RouteProbe, result: RouteResult, error: ApiError) -> dict[str, object]:
    """The fields of the rules' sentences."""
    target = pair(probe.host, probe.port)
    address = result.address or (result.addresses[0] if len(result.addresses) == 1 else "")
    resolved = f"{target} ({address})" if address and address != probe.host else target
    return {
        "by": route.by or "the proxy",
        "reachable": f"reachable through {route.by}" if route.by else "reachable",
        "region": f"the region of {route.by}" if route.by else "this host's region",
        "lacks": route.lacks,
        "advice": route.advice,
        "path": "/" + route.url.partition("://")[2].partition("/")[2],
        "host": probe.host,
        "at": f"the listener {probe.connect_to}" if probe.connect_to else resolved,
        "beyond": target if probe.connect_to else "the site",
        "interface": probe.interface,
        "connecting": probe.connecting_seconds,
        "seconds": probe.seconds,
        "refusals": ", ".join(result.refusals) or result.error,
        "certificate": _certificate(result.error) or f"is not accepted: {result.error}",
        "curl": result.error or f"curl ended with {result.exit_code}",
        "status": result.http_status,
        "redirect": result.redirect or "nowhere",
        "title": html_title(result.body),
        "message": f": {error.message}" if error.message else "",
        "region_message": error.message or _REGION,
    }


def _certificate(said: str) -> str:
    """What curl's message means for the certificate; "" where that is not known."""
    return next((meaning for pattern, meaning in _CERTIFICATES.items() if re.search(pattern, said, re.IGNORECASE)), "")


def detour(probe: RouteProbe, result: RouteResult) -> str:
    """Where a direct route really leads, if this host itself leads the API's name or address elsewhere; "" if it does not."""
    if result.local_address and not result.bypassed:
        return f"by the transparent tunnel: this host leads {probe.host} to {result.local_address}, and DNS tells no other address"
    past = f"past the transparent tunnel, which leads {probe.host} to {result.local_address}" if result.local_address else ""
    by = f"by {result.device}, where this host's routes lead" if result.device.startswith(_VPN_DEVICES) else ""
    return ", and ".join(filter(None, (past, by)))
