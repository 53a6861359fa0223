"""What this machine's environment says of the way out: HTTPS_PROXY, ALL_PROXY, NO_PROXY, and whose certificates are trusted."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from novaops.errors import UsageError


def chosen_proxies(urls: Sequence[str]) -> dict[str, str] | None:
    """By the beginning of a URL the proxy that is asked for it; None where the client may read the environment itself.

    It may not where one of the proxies is of a kind that it cannot speak to, although none of the URLs needs that one: many programs
    that lead through a proxy set ALL_PROXY to socks5://… beside HTTPS_PROXY. Raises UsageError where a URL needs it.
    """
    if all(map(_is_spoken, filter(None, map(getproxies().get, ("http", "https", "all"))))):
        return None
    chosen = {}
    for url in urls:
        parts, (name, proxy) = urlsplit(url), proxy_of(url)
        if not _is_spoken(proxy):
            what = f"{name} names a proxy of the kind {proxy.partition('://')[0]}, and novaops speaks only HTTP to proxies"
            fix = f"{parts.scheme}_proxy=http://HOST:PORT names one that does; NO_PROXY={parts.hostname} needs none, nor does --via HOST"
            raise UsageError(what, fix=fix)
        if proxy:
            chosen[f"{parts.scheme}://{parts.netloc}"] = proxy if "://" in proxy else f"http://{proxy}"
    return chosen


def proxy_of(url: str) -> tuple[str, str]:
    """The proxy that is asked for a URL, after the name of the variable that says so; both "" for none."""
    parts, known = urlsplit(url), getproxies()
    kind = parts.scheme if known.get(parts.scheme) else "all"
    if not known.get(kind) or proxy_bypass(parts.netloc):
        return "", ""
    return f"{kind.upper()}_PROXY", known[kind]


def _is_spoken(proxy: str) -> bool:
    kind, named, _ = proxy.lower().partition("://")
    return not named or kind in {"http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ())}


def trusted() -> ssl.SSLContext:
    """Raises UsageError where the authorities cannot be read that the environment names."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        named = [f"{name}={value}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE") if (value := os.environ.get(name))]
        if not named:
            raise
        what = f"what the environment says of certificates cannot be used: {', '.join(named)}"
        raise UsageError(what, why=f"{error.strerror or error}.", fix="name files that are there, or unset it") from None
