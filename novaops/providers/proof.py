"""What an answer of an API proves: one table for `proxy deploy`, `proxy status`, `api check` and `verify`. Pure.

An API is proven by its own 2xx where a key goes with the request, and by its own 401 where none does. A provider's file names other
statuses for the latter (`without_key`). What has such a file says so in JSON. Everything else is a finding with a sentence: a 404 may be
a wrong path, a 400 came before anybody looked at the key, a 2xx may carry an error, and a status without a whole answer proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from novaops.providers.answer import ApiError, html_title, is_html, read_error

_REGION = re.compile(
    "unsupported_country_region_territory|(?:user location|country|territory) (?:is )?not (?:supported|available)"
    "|not (?:supported|available) in your (?:country|region|territory|location)|unsupported (?:country|region|territory)",
    re.IGNORECASE,
)
OWN_ERROR = "novaops_proxy"
"""The type of the errors that a site of novaops' own answers with."""
WITHOUT_KEY = (401,)
"""How an API answers to a request without a key, unless its file says otherwise."""


@dataclass(frozen=True)
class ApiAnswer:
    """What came back from an API, or from what stands before it."""

    status: int
    content_type: str = ""
    body: str = ""
    """The first bytes of it."""
    redirect: str = ""


@dataclass(frozen=True)
class Asked:
    """What is known of the request."""

    path: str
    """As the client wrote it, with its query."""
    has_key: bool = False
    """Whether a key of the API's went with it, or is put in on the way."""
    injects: bool = False
    """Whether it is a proxy that puts the key in."""
    lacks: str = ""
    """Why the request went without the user or token that the proxy asks for."""
    by: str = ""
    """The proxy that it went through."""
    speaks_json: bool = True
    """Whether the API is known to answer with JSON at the path."""
    described: bool = True
    """Whether a provider's file says what answers there: such an API asks for a key in JSON."""
    without_key: Container[int] = WITHOUT_KEY
    closed: bool = False
    """Whether a 2xx without a key proves nothing: at a site it may be somebody else's key that was put in."""
    reached: str = "reachable"
    """What every sentence about the API begins with."""
    region: str = "this host's region"


@dataclass(frozen=True)
class Verdict:
    works: bool
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Rule:
    """A sentence with a fix, and when it is said. The first rule that applies counts."""

    codes: Container[object] | None
    """None: every code."""
    seen: str
    """Words for what must have been seen, with blanks between them."""
    text: str
    """Its fields are filled in by `first`."""
    fix: str = ""
    works: bool = False


_NOT_SENT = "{by} answers and asks for its user or token, and none was sent: {lacks}"
_LAST_ERROR = "novaops proxy status shows its last error"

PROXY_ERRORS = (
    Rule({"unauthorized"}, "lacks", _NOT_SENT),
    Rule({"unauthorized"}, "", "{by} does not take the user or token of the inventory", "novaops proxy deploy puts them there"),
    Rule({"forbidden"}, "", "{by} does not serve this host's address", "add it to the site's auth: from:"),
    Rule({"bad_gateway"}, "", "{by} cannot reach the API, or does not trust its certificate", _LAST_ERROR),
    Rule({"timeout"}, "", "{by} got no answer of the API in time", _LAST_ERROR),
    Rule({"no_key"}, "", "{by} has lost the key of the API", "novaops proxy deploy puts it there"),
    Rule(
        {"busy"},
        "",
        "{by} turns requests away, by a limit of nginx's own (limit_conn or limit_req)",
        "novaops proxy deploy takes that back for its site; nginx -T shows who sets it",
    ),
    Rule(
        {"rate_limited"},
        "",
        "{by} lets no more of these requests through for now ({status}){message}",
        "wait a minute; limit: of the site says how many",
    ),
    Rule({"too_large"}, "", "{by} takes no request of that size ({status})", "max_body: of the site says what it takes"),
    Rule(None, "", "{by} passes nothing on at {path} ({status}){message}"),
)
"""By the code of an error of the site's own: the request did not come to the API, or no answer came back."""

_OK = range(200, 300)
_PATH = "look at the path of the API; probe: names a path that answers 2xx with a key and 401 without one"
_NO_JSON = "something else answers: {status}, but no JSON as the API's"
_OPEN = "if this API asks for no key, its provider's file says so: without_key: [200]"

ANSWERED = (
    Rule(None, "html", "something else answers: {status} and a web page{title}, where the API answers with JSON"),
    Rule(range(300, 400), "", "something else answers: {status}, which leads to {redirect}"),
    Rule(_OK, "error", "{reached}, but the API answers {status} with an error{message}"),
    Rule(_OK, "speaks-json no-json", _NO_JSON),
    Rule(_OK, "lacks", "{reached}, which asks for no user or token", works=True),
    Rule(_OK, "as-without-key", "{reached}", works=True),
    Rule(_OK, "no-key closed", "something else answers, or puts a key in: {status} without a key, and {path} should ask for one", _OPEN),
    Rule(_OK, "", "{reached}", works=True),
    Rule({401}, "lacks", _NOT_SENT),
    Rule(None, "region", "{reached}, but refuses {region}: {region_message}", "take a route through another region"),
    Rule(None, "as-without-key no-key described no-json", _NO_JSON),
    Rule(None, "as-without-key no-key", "{reached}: the API asks for a key", works=True),
    Rule({401}, "injects", "{reached}, but the API does not take the key that the proxy puts in{message}"),
    Rule({401}, "has-key", "{reached}, but the API does not take the key{message}"),
    Rule(None, "as-without-key injects", "{reached}, but the API does not take the key that the proxy puts in{message}"),
    Rule(None, "as-without-key has-key", "{reached}, but the API does not take the key{message}"),
    Rule({403}, "", "{reached}, but the API forbids it ({status}){message}"),
    Rule({404, 405}, "", "{reached}, but the API has nothing at {path} ({status}){message}", _PATH),
    Rule({429}, "", "{reached}, but the API had too many requests, or the quota is used up ({status}){message}"),
    Rule(range(500, 1000), "", "{reached}, but the API is in trouble ({status}){message}"),
    Rule({400}, "", "{reached}, but the API refuses the request before it looks at a key ({status}){message}"),
    Rule(None, "", "{reached}, but the API refuses the request ({status}){message}"),
)
"""By the HTTP status."""


def judge(asked: Asked, answer: ApiAnswer) -> Verdict:
    """What a whole answer proves. One that broke off, or never came, is the caller's to judge: it has no status to go by."""
    error = read_error(answer.body)
    region = "" if answer.status in _OK else refused_region(error, answer.body)
    seen = {
        "html": is_html(answer.content_type, answer.body),
        "speaks-json": asked.speaks_json,
        "no-json": not error.is_json,
        "error": error.is_stated,
        "lacks": bool(asked.lacks),
        "injects": asked.injects,
        "has-key": asked.has_key,
        "no-key": not asked.has_key,
        "described": asked.described,
        "closed": asked.closed,
        "as-without-key": answer.status in asked.without_key,
        "region": bool(region),
    }
    words = {
        "by": asked.by or "the proxy",
        "reached": asked.reached,
        "region": asked.region,
        "lacks": asked.lacks,
        "path": asked.path,
        "status": answer.status,
        "redirect": answer.redirect or "nowhere",
        "title": html_title(answer.body),
        "message": f": {error.message}" if error.message else "",
        "region_message": error.message or region,
    }
    holding = [word for word, holds in seen.items() if holds]
    if error.kind == OWN_ERROR:
        return first(PROXY_ERRORS, error.code, holding, words)
    return first(ANSWERED, answer.status, holding, words)


def first(rules: Iterable[Rule], code: object, seen: Container[str], words: dict[str, object]) -> Verdict:
    """The verdict of the first rule for that code whose words were all seen."""
    rule = next(rule for rule in rules if (rule.codes is None or code in rule.codes) and all(word in seen for word in rule.seen.split()))
    return Verdict(rule.works, rule.text.format_map(words), rule.fix.format_map(words))


def refused_region(error: ApiError, body: str) -> str:
    """What an API says that does not serve the country of who asks, in an answer without success; "" for anything else."""
    found = _REGION.search(f"{error.code} {error.kind} {error.message}" if error.is_json else body)
    return found[0] if found else ""


def own_error(body: str) -> ApiError | None:
    """The error of a site of novaops' own that this body states; None for an answer of the API's."""
    error = read_error(body)
    return error if error.kind == OWN_ERROR else None
