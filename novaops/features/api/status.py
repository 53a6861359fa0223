"""What `api check` shows of a host: the routes to each API, as JSON and as rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from novaops.errors import HostFailed
from novaops.features.api.facts import RouteProbe, RouteResult
from novaops.features.api.streaming import streaming, unmeasured
from novaops.features.api.verdict import ApiRoute, detour, judge
from novaops.model.question import Facts, Missing, Question
from novaops.providers.proof import Verdict


def questions(routes: Sequence[ApiRoute]) -> tuple[Question[Any], ...]:
    return tuple(route.probe for route in routes if route.probe)


def details(routes: Sequence[ApiRoute], facts: Facts) -> dict[str, Any]:
    """What `api check --json` says of a host. Raises HostFailed where the host has no curl, or could not say."""
    apis: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        apis.setdefault(route.api, []).append(_route(route, facts))
    return {"apis": [_api(name, found) for name, found in apis.items()]}


def all_work(found: dict[str, Any]) -> bool:
    """Whether each API can be used by one route at least."""
    return all(api["works"] for api in found["apis"])


def headers(*, several_apis: bool) -> tuple[str, ...]:
    return (*(["API"] if several_apis else []), "ROUTE", "DNS", "TCP", "TLS", "HTTP", "TTFB", "STREAMS", "VERDICT")


def rows(found: dict[str, Any], *, several_apis: bool) -> list[tuple[str, ...]]:
    """The details as rows of a table."""
    return [
        (
            *([api["api"]] if several_apis else []),
            *(route["route"], _addresses(route), _ms(route["tcp_ms"]), _ms(route["tls_ms"]), str(route["http_status"] or "–")),
            *(_ms(route["ttfb_ms"]), stream_cell(route["stream"])),
            _verdict_cell(route, fastest=sum(one["works"] for one in api["routes"]) > 1 and api["fastest"] == route["route"]),
        )
        for api in found["apis"]
        for route in api["routes"]
    ]


def stream_cell(stream: dict[str, Any]) -> str:
    if stream["streams"]:
        return f"yes: {stream['events']} events from {_ms(stream['first_ms'])} to {_ms(stream['last_ms'])} ms"
    return "no" if stream["streams"] is False else str(stream["why"]) or "–"


def _api(name: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    working = [route for route in routes if route["works"]]
    fastest = min(working, key=lambda route: route["ttfb_ms"], default=None)
    return {"api": name, "works": bool(working), "fastest": fastest["route"] if fastest else None, "routes": routes}


def _route(route: ApiRoute, facts: Facts) -> dict[str, Any]:
    verdict, stream = Verdict(works=False, text=f"not tried: {route.untried}"), unmeasured("")
    result: RouteResult | None = None
    if route.probe:
        answer = facts[route.probe]
        if answer is Missing.ABSENT:
            raise HostFailed("this host has no curl, and novaops looks with it", fix="apt-get install curl, or dnf install curl")
        result = answer
        verdict, stream = _judged(route, route.probe, result)
    return {
        "route": route.name,
        "kind": route.kind,
        "url": route.url,
        "tried": result is not None,
        "works": verdict.works,
        "verdict": verdict.text,
        "fix": verdict.fix,
        "addresses": list(result.addresses) if result else [],
        **{key: getattr(result, key, None) for key in ("address", "dns_ms", "tcp_ms", "tls_ms", "ttfb_ms", "http_status")},
        "stream": stream,
    }


def _judged(route: ApiRoute, probe: RouteProbe, result: RouteResult) -> tuple[Verdict, dict[str, Any]]:
    """The verdict on both requests, and what is said of the stream."""
    verdict, stream = judge(route, probe, result), unmeasured("")
    if result.stream:
        stream = streaming(probe, result.stream)
    elif verdict.works and route.unstreamed:
        stream = unmeasured(f"not tried: {route.unstreamed}")
    if stream["streams"] is False and verdict.works:
        fix = "look for a proxy on the way that buffers: nginx needs proxy_buffering off" if route.by else ""
        verdict = Verdict(works=False, text=f"{verdict.text}, but answers do not stream: {stream['why']}", fix=fix)
    if by := detour(probe, result):
        verdict = replace(verdict, text=f"{verdict.text} ({by})")
    return verdict, stream


def _verdict_cell(route: dict[str, Any], *, fastest: bool) -> str:
    glyph = "✓" if route["works"] else "✘" if route["tried"] else " "
    return f"{glyph} {route['verdict']}" + ("; the fastest" if fastest else "") + (f" → {route['fix']}" if route["fix"] else "")


def _addresses(route: dict[str, Any]) -> str:
    if not route["tried"]:
        return "–"
    found = route["addresses"] or ([route["address"]] if route["address"] else [])
    if not found:
        return "no address"
    return str(found[0]) + (f" +{len(found) - 1}" if len(found) > 1 else "")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004 - two digits that mean something
