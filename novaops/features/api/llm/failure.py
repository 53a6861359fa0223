"""What went wrong with a request, as a sentence with what to do: one table by HTTP status, and one for connections. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from novaops.errors import Unreachable
from novaops.features.api.llm.protocol import ApiFailed, Credential, KeyPair
from novaops.features.api.llm.token import TOLERANCE
from novaops.providers.answer import html_title, is_html, read_error
from novaops.providers.proof import OWN_ERROR, PROXY_ERRORS, Rule, first, refused_region

LONGEST = 2000
"""Characters of the API's own message that are shown."""
_CHECK = "novaops api check HOST… shows which routes work"
_TRUST = "see what answers there; SSL_CERT_FILE=FILE trusts another authority"
_MODELS = "--model takes another; novaops api models lists them"

RULES = (
    Rule(None, "html", "something else than {name} answers: {status} and a web page{title}", _CHECK),
    Rule(range(300, 400), "", "something else than {name} answers: {status}, which leads to {redirect}", _CHECK),
    Rule(None, "region", "{name} refuses the region of the request ({status}){message}", "--via takes another route; " + _CHECK),
    Rule({401, 403}, "clock", "{name} does not accept the token ({status}){message}", "this machine's clock is {skew}: set it right"),
    Rule({401}, "no-key", "{name} asks for a key ({status}){message}", "--key env:NAME gives one"),
    Rule({401}, "puts-in", "{name} does not accept the key that the proxy puts in ({status}){message}", "novaops proxy deploy replaces it"),
    Rule({401}, "", "{name} does not accept the key ({status}){message}", "--key env:NAME gives another"),
    Rule({403}, "", "{name} forbids it ({status}){message}", "may this key use this model?"),
    Rule({404}, "model", "{name} has no model {model} for this key ({status}){message}", _MODELS),
    Rule({404, 405}, "", "{name} has nothing at {path} ({status}){message}", "is the URL of --upstream right?"),
    Rule({413}, "", "the request is too large for {name} or a proxy ({status}){message}", "send less, or raise max_body of the site"),
    Rule({429}, "quota", "the quota of {name} is used up ({status}){message}", "see the account there: waiting does not help"),
    Rule({429}, "", "{name} had too many requests ({status}){message}", "{wait}"),
    Rule({408, 504}, "", "{name} did not answer in time ({status}){message}", "try again"),
    Rule(range(500, 1000), "", "{name} is in trouble ({status}){message}", "{wait}"),
    Rule(None, "", "{name} refuses the request ({status}){message}"),
)
"""By the HTTP status of an answer."""


@dataclass(frozen=True)
class Asked:
    """What is known of the request."""

    name: str
    """The provider's."""
    path: str
    model: str = ""
    credential: Credential = None
    puts_in: bool = False
    """Whether a proxy puts the key in."""
    by: str = ""
    """The proxy that it went through."""


def refused(asked: Asked, status: int, headers: Mapping[str, str], body: str, now: float) -> ApiFailed:
    """The error that an answer without success is. `headers` have names in small letters."""
    error = read_error(body, LONGEST)
    skew = clock_skew(headers.get("date", ""), now)
    said = f"{error.kind} {error.code} {error.message}".lower()
    seen = {
        "html": is_html(headers.get("content-type", ""), body),
        "region": bool(refused_region(error, body)),
        "clock": isinstance(asked.credential, KeyPair) and abs(skew) > TOLERANCE,
        "no-key": asked.credential is None and not asked.puts_in,
        "puts-in": asked.puts_in,
        "model": bool(asked.model) and ("model" in said or "deployment" in said),
        "quota": "quota" in f"{error.kind} {error.code}" or "balance" in said or "billing" in said,
    }
    wait = headers.get("retry-after", "")
    words: dict[str, object] = {
        "name": asked.name,
        "by": asked.by or "the proxy",
        "status": status,
        "path": asked.path,
        "model": asked.model,
        "redirect": headers.get("location") or "nowhere",
        "title": html_title(body),
        "message": f": {error.message}" if error.message else "",
        "skew": f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
        "wait": f"it says when to try again: Retry-After {wait}" if wait else "try again later",
        "lacks": "",
    }
    holding = [word for word, holds in seen.items() if holds]
    rules, code = (PROXY_ERRORS, error.code) if error.kind == OWN_ERROR else (RULES, status)
    verdict = first(rules, code, holding, words)
    return ApiFailed(verdict.text, fix=verdict.fix, status=status)


def clock_skew(date: str, now: float) -> float:
    """By how many seconds this machine's clock is ahead of the server's; 0 where the server does not say."""
    return -(until(date, now) or 0.0)


def until(date: str, now: float) -> float | None:
    """The seconds from now to a date of HTTP; None for what is none."""
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


CONNECTING = (
    (r"certificate verify failed: (?P<why>[^(\[]+)", "the certificate of {there} is not accepted: {why}", _TRUST),
    (r"Name or service not known|nodename nor servname|No address|getaddrinfo", "{there} has no address here", _CHECK),
    (r"Temporary failure in name resolution", "{there}: no name server answers", "is this machine connected?"),
    (r"refused", "{there} refuses the connection", "does anything listen there?"),
    (r"unreachable|No route", "there is no way to {there} from here", "--via takes another route; " + _CHECK),
    (r"EOF occurred|[Rr]eset|SSL", "the connection to {there} is cut before a request is sent", "--via takes another route; " + _CHECK),
)
"""By the words of an error while connecting."""


def not_connected(there: str, said: str, *, late: float = 0) -> Unreachable:
    """`late`: after so many seconds nothing had come."""
    if late:
        what = f"{there} does not answer within {late:g} s"
        return Unreachable(what, why="Packets are lost: a blocked address and a firewall look like that.", fix=f"--via; {_CHECK}")
    for pattern, what, fix in CONNECTING:
        if found := re.search(pattern, said):
            words = {"there": there, "why": (found.groupdict().get("why") or "").strip()}
            return Unreachable(what.format(**words), why=said, fix=fix)
    return Unreachable(f"{there} cannot be reached", why=said, fix=_CHECK)


def cut(name: str, said: str) -> ApiFailed:
    fix = "run it again; novaops api check HOST… shows whether a route passes streams on"
    return ApiFailed(f"the answer of {name} was cut off in the middle", why=said, fix=fix)


def stated(name: str, body: str) -> ApiFailed:
    """An error that came with the status of success."""
    error = read_error(body, LONGEST)
    return ApiFailed(f"{name} answers with an error: {error.message or error.kind or error.code or 'it does not say which'}")


def no_answer(name: str, said: str = "") -> ApiFailed:
    """`said`: the beginning of what came instead."""
    return ApiFailed(f"{name} ends without an answer", why=said, fix="run it again; is the URL of --upstream right?")


def silent(name: str, seconds: float) -> ApiFailed:
    return ApiFailed(f"{name} said nothing for {seconds:g} s", fix="--timeout gives it more time")
