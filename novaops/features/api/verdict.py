"""Whether a route to an API works, and why not: tables of what was seen and the sentence for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from novaops.features.api.facts import RouteProbe, RouteResult
from novaops.formats.curl import TIMED_OUT, TOO_LONG
from novaops.formats.names import pair
from novaops.providers import proof
from novaops.providers.proof import ApiAnswer, Asked, Rule, Verdict, first

_VPN_DEVICES = "vpn-"
"""What the names of the VPNs' devices begin with."""


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
    """Whether JSON is known to be at the URL."""
    described: bool = True
    """Whether a provider's file says so."""
    without_key: Container[int] = proof.WITHOUT_KEY
    """How the API answers to a request without a key."""


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


def judge(route: ApiRoute, probe: RouteProbe, result: RouteResult) -> Verdict:
    """What came of the first request."""
    if result.exit_code and not result.http_status:
        seen = [word for word, holds in _observations(route, probe, result).items() if holds]
        return first(UNANSWERED, result.exit_code, seen, _words(route, probe, result))
    if result.exit_code not in {0, TOO_LONG}:
        return Verdict(works=False, text=f"an answer began ({result.http_status}), and broke off: {result.error}")
    asked = Asked(
        path="/" + route.url.partition("://")[2].partition("/")[2],
        has_key=route.has_key,
        injects=route.injects,
        lacks=route.lacks,
        by=route.by,
        speaks_json=route.knows_probe,
        described=route.described,
        without_key=route.without_key,
        reached=f"reachable through {route.by}" if route.by else "reachable",
        region=f"the region of {route.by}" if route.by else "this host's region",
    )
    return proof.judge(asked, ApiAnswer(result.http_status or 0, result.content_type, result.body, result.redirect))


def _observations(route: ApiRoute, probe: RouteProbe, result: RouteResult) -> dict[str, bool]:
    """Whether each thing that the rules for no answer name was seen of the route."""
    return {
        "tunnel": route.kind == "tunnel",
        "all-refused": set(result.refusals) == {"Connection refused"},
        "no-dns": result.dns_ms is None,
        "no-connection": not result.connects,
        "no-tls": result.tls_ms is None and probe.url.startswith("https:"),
        "cut": re.search(_CUT, result.error, re.IGNORECASE) is not None,
        "plaintext": re.search("wrong version number|packet length", result.error) is not None,
        "untrusted": "trust" in _certificate(result.error),
    }


def _words(route: ApiRoute, probe: RouteProbe, result: RouteResult) -> dict[str, object]:
    """The fields of the rules' sentences."""
    target = pair(probe.host, probe.port)
    address = result.address or (result.addresses[0] if len(result.addresses) == 1 else "")
    resolved = f"{target} ({address})" if address and address != probe.host else target
    return {
        "by": route.by or "the proxy",
        "advice": route.advice,
        "host": probe.host,
        "at": f"the listener {probe.connect_to}" if probe.connect_to else resolved,
        "beyond": target if probe.connect_to else "the site",
        "interface": probe.interface,
        "connecting": probe.connecting_seconds,
        "seconds": probe.seconds,
        "refusals": ", ".join(result.refusals) or result.error,
        "certificate": _certificate(result.error) or f"is not accepted: {result.error}",
        "curl": result.error or f"curl ended with {result.exit_code}",
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
