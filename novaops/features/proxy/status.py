"""What `proxy status` shows of a host's sites: where each listens, how long its certificate lasts, whether it and its upstreams answer."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from itertools import zip_longest
from typing import Any

from novaops.errors import HostFailed
from novaops.features.proxy.facts.nginx import Nginx, NginxFacts
from novaops.features.proxy.facts.site_state import HostSites, Reached, SiteState, SiteStates
from novaops.features.proxy.resources.nginx_files import site_files
from novaops.features.proxy.resources.site_answers import NO_CERTIFICATE, WANTS_CERTIFICATE, WHO_WANTS_IT, who_answers
from novaops.formats.curl import TOO_LONG
from novaops.formats.x509 import Certificate, Chain
from novaops.model.question import Facts, Question
from novaops.providers.proof import ApiAnswer, Asked, judge, own_error

_BROKEN = {"busy", "no_key", "bad_gateway", "timeout"}
"""Errors of a site of novaops' own that say that it cannot serve anybody."""


def questions() -> tuple[Question[Any], ...]:
    return Nginx(), SiteStates()


def details(facts: Facts) -> dict[str, Any]:
    """The details in `proxy status --json`. Raises HostFailed where there is no nginx."""
    nginx, served = facts.known(Nginx()), facts.known(SiteStates())
    if not nginx.installed:
        raise HostFailed("there is no nginx on this host", fix="novaops proxy deploy sets it up")
    return {
        "nginx": {"version": ".".join(map(str, nginx.version)), "running": served.running, "complaint": nginx.broken},
        "sites": [_site(site, nginx, served) for site in served.sites],
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    nginx = found["nginx"]
    lines: list[tuple[str, ...]] = []
    if not nginx["running"]:
        lines.append(("", "nginx does not run", "", "", ""))
    if nginx["complaint"]:
        lines.append(("", f"nginx would not start: {nginx['complaint']}", "", "", ""))
    for site in found["sites"]:
        upstreams = [_upstream(one) for one in site["upstreams"]]
        serves = [*site["serves"], *filter(None, [site["complaint"]])]
        columns = ([site["site"]], serves, [_days(site["certificate"])], upstreams, [_brief(site["errors"])])
        lines += zip_longest(*columns, fillvalue="")
    return lines or [("", "novaops has set up no site here", "", "", "")]


def _site(site: SiteState, nginx: NginxFacts, served: HostSites) -> dict[str, Any]:
    listens = [listen for server in nginx.conf.servers() if server.file in site_files(site.name) for listen in server.listens]
    return {
        "site": site.name,
        "serves": list(site.bases),
        "complaint": _complaint(site) if served.running else "",
        "listens": sorted({f"{listen.address}:{listen.port}" for listen in listens}),
        "certificate": _certificate(site, served.now),
        "upstreams": [_reached(one, site if number == 0 and site.probe else None) for number, one in enumerate(site.upstreams)],
        "errors": list(site.errors),
    }


def _complaint(site: SiteState) -> str:
    """Why a stranger's request does not get as far as it should; "" where it does, or was turned away by the site's own rules."""
    answer = site.answer
    if answer is None:
        return ""
    if not answer.status:
        return f"does not answer: {answer.error or 'nginx closed the connection'}"
    if answer.status == HTTPStatus.BAD_REQUEST and NO_CERTIFICATE in answer.body:
        return f"{WANTS_CERTIFICATE}: {WHO_WANTS_IT}"
    if answer.site != site.name:
        return f"{who_answers(answer.site)} answers in its place ({answer.status})"
    said = judge(Asked("/", by="the site"), ApiAnswer(answer.status, body=answer.body))
    own = own_error(answer.body)
    return said.text if own is not None and own.code in _BROKEN else ""


def _certificate(site: SiteState, now: int) -> dict[str, Any] | None:
    if not site.certificate:
        return None
    there, complaint = _leaf(site.chain)
    leaf = _leaf(site.shown)[0] or there
    if leaf is None:
        return {"path": site.certificate, "days_left": None, "days_left_on_disk": None, "names": [], "complaint": complaint}
    if there is not None and leaf.fingerprint != there.fingerprint:
        complaint = "nginx shows another certificate than its file has"
    on_disk = None if there is None else there.days_left(now)
    found = {"path": site.certificate, "days_left": leaf.days_left(now), "days_left_on_disk": on_disk}
    return {**found, "names": list(leaf.names), "complaint": complaint}


def _leaf(text: str) -> tuple[Certificate | None, str]:
    """The first certificate of a PEM text, or why there is none."""
    try:
        return Chain.read(text).leaf, ""
    except ValueError as error:
        return None, str(error)


def _reached(one: Reached, api: SiteState | None) -> dict[str, Any]:
    """What became of the request to an upstream. That of an `api` was its probe, without a key: its answer must be the right one, by what
    the deployment knew of it.
    """
    complaint = one.error if one.exit_code not in {0, TOO_LONG} or not one.status else ""
    if api and one.status and not complaint:
        described = "described" in api.expects
        asked = Asked(api.probe, speaks_json="json" in api.expects, described=described, closed=described, without_key=api.without_key)
        verdict = judge(asked, ApiAnswer(one.status, one.content_type, one.body, one.redirect))
        complaint = "" if verdict.works else verdict.text
    return {"upstream": one.address, "reachable": one.status > 0, "status": one.status or None, "complaint": complaint}


def is_down(found: dict[str, Any]) -> bool:
    """Whether nginx, or a site of it, cannot do what it is there for: it does not answer, or no upstream of it answers as it should."""
    nginx = found["nginx"]
    broken = not nginx["running"] or bool(nginx["complaint"])
    return broken or any(site["complaint"] or _reaches_nothing(site["upstreams"]) for site in found["sites"])


def _reaches_nothing(upstreams: list[dict[str, Any]]) -> bool:
    return bool(upstreams) and all(one["complaint"] or not one["reachable"] for one in upstreams)


def _upstream(one: dict[str, Any]) -> str:
    if not one["reachable"]:
        return f"{one['upstream']}: {one['complaint'] or 'no answer'}"
    return f"{one['upstream']} answers {one['status']}" + (f": {one['complaint']}" if one["complaint"] else "")


def _days(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return "none"
    days = certificate["days_left"]
    left = "" if days is None else "expired" if days < 0 else f"{days} days left"
    return ": ".join(filter(None, (left, str(certificate["complaint"]))))


def _brief(errors: list[str]) -> str:
    """The last one, without nginx's connection number and client."""
    return next(iter(_messages(errors)), "")


def _messages(errors: list[str]) -> Iterator[str]:
    for line in reversed(errors):
        when, _, rest = line.partition(" [")
        message = rest.partition(": ")[2].partition(", client:")[0]
        yield f"{when} {message.partition(' ')[2] if message.startswith('*') else message}".strip()
