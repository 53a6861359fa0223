"""The types of single values in a `proxy:` section. Each validator raises ValueError with the offending text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from novaops.formats import names
from novaops.providers.loader import url_path


class StrictModel(BaseModel):
    """Unknown keys are errors, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def upstream_url(text: str) -> str:
    """https://HOST[:PORT][/PATH] of an API. Raises ValueError with the offending text, unless the text may contain a secret.

    http:// passes, with a name or an address: whether the API speaks it is its provider's to say (`in_the_clear`).
    """
    if "@" in text or "?" in text or "#" in text:
        raise ValueError("this is no URL like https://api.example.com/v1: host, port and path only. A key goes to auth: inject:")
    if any(not "!" <= c <= "~" for c in text):
        raise ValueError(f"{text!r} is no URL: it has blanks or strange characters in it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f'"{text}" is no URL like https://api.example.com/v1') from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError(in_the_clear(text))
    host, _ = names.address(parts.netloc)
    if names.is_address(host) and parts.scheme == "https":
        raise ValueError(f'"{text}" names an address: a certificate is checked against a name')
    url_path(parts.path)
    return text


def in_the_clear(url: str) -> str:
    """What is wrong with a URL that is not https://, for an API that is not known to be asked by plain http."""
    return f'"{url}" is no https:// URL: a key would travel in the clear (a provider\'s file with tls: off allows http://)'


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f'"{text}" is no {what}')
        return text

    return AfterValidator(check)


_CONNECTION = frozenset(
    {"connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "expect", "content-length"}
)
"""Of one connection, or of how a body travels."""
_SEEN = frozenset({"host", "x-real-ip", *(f"x-forwarded-{what}" for what in ("for", "proto", "host", "port", "prefix"))})
"""What nginx itself saw."""
_OWN_ANSWER = frozenset(
    {"strict-transport-security", "content-type", "content-encoding", "set-cookie", "location", "server", "date", "vary", "x-novaops-site"}
)


def _without(refused: frozenset[str], why: str) -> Callable[[dict[str, str]], dict[str, str]]:
    """Headers by name, without these and without one that is there twice."""

    def check(headers: dict[str, str]) -> dict[str, str]:
        names_seen = [name.lower() for name in headers]
        if wrong := next((name for name in headers if name.lower() in refused), None):
            raise ValueError(f"{wrong}: {why}")
        if twice := next((name for name in names_seen if names_seen.count(name) > 1), None):
            raise ValueError(f"{twice} is there twice")
        return headers

    return check


def _kilobytes(value: Any) -> int:
    """Read "32k" as 32. Raises ValueError with the offending text."""
    found = re.fullmatch(r"([0-9]{1,6})[kK]", str(value)) if isinstance(value, (str, int)) else None
    if found is None:
        raise ValueError(f'"{value}" is no size like 32k' if isinstance(value, (str, int)) else "a size like 32k is needed here")
    return int(found[1])


ONE_OR_MORE = BeforeValidator(names.listed, json_schema_input_type=str | list[str])
"""A list that may be written as one text with commas."""

Domains = Annotated[tuple[names.ServerName, ...], ONE_OR_MORE, Field(min_length=1)]
Networks = Annotated[tuple[names.Network, ...], ONE_OR_MORE]
Addresses = Annotated[tuple[names.IpAddress, ...], ONE_OR_MORE]


def _as_browsers_send(origin: str) -> str:
    """Without a port that the scheme has anyway (RFC 6454, 6.1). Raises ValueError."""
    scheme, _, rest = origin.partition("://")
    host, port = names.address(rest)
    own = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{names.bracketed(host)}{'' if port in {None, own} else f':{port}'}"


# Also of an application or extension: tauri://localhost, chrome-extension://ID.
_ORIGIN = _matching(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", "origin like https://app.example.com")
Origins = Annotated[tuple[Annotated[str, _ORIGIN, AfterValidator(_as_browsers_send)], ...], ONE_OR_MORE]
Port = Annotated[int, BeforeValidator(names.port, json_schema_input_type=int | str)]
Size = Annotated[str, _matching(r"[0-9]{1,9}[kKmMgG]?", "size like 64M or 4G")]
Head = Annotated[int, BeforeValidator(_kilobytes, json_schema_input_type=str), Field(ge=4, le=1024)]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Login = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", "user name")]
Limit = Annotated[str, _matching(r"[1-9][0-9]{0,4}/(s|min)", "limit like 60/min or 5/s")]
Header = Annotated[str, _matching(r"[A-Za-z][A-Za-z0-9-]{0,63}", "header's name")]
Email = Annotated[str, _matching(r"[^@\s'\"\\]+@[A-Za-z0-9.-]+", "mail address")]
AcmeDirectory = Annotated[
    str, _matching(r"https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", "URL of an ACME directory: https://HOST/PATH")
]
StrictTransport = Annotated[str, _matching(r"[A-Za-z0-9=; -]+", "value of Strict-Transport-Security like max-age=31536000")]
LocationPath = Annotated[str, _matching(r"/[A-Za-z0-9._~@:+=,/-]*", "path of a URL like /api/")]
Verify = Annotated[str, _matching(r'on|off|/[^\x00-\x20\x7f"\'\\;{}$]+', "on, off, or path of a file with authorities")]
HeaderValue = Annotated[str, _matching(r"[ -~]{0,1000}", "value of a header: printable ASCII")]
RequestHeaders = Annotated[dict[Header, HeaderValue], AfterValidator(_without(_CONNECTION | _SEEN, "the site itself says what it is"))]
ResponseHeaders = Annotated[
    dict[Header, HeaderValue], AfterValidator(_without(_CONNECTION | _OWN_ANSWER, "the site or its upstream says what it is"))
]
Url = Annotated[str, AfterValidator(upstream_url)]
Balance = Literal["round_robin", "least_conn", "ip_hash"]
Tls = Literal["off", "letsencrypt", "self-signed", "files"]
