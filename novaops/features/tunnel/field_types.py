"""Types of the keys of an entry of `tunnel:`: what may be written, and how it is kept. Pure."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from novaops.formats import names
from novaops.formats.forward import LOOPBACK
from novaops.formats.names import pair

ANY = "*"

_FIRST_UNPRIVILEGED = 1024
"""Ports below are root's, and no part of a tunnel runs as root."""


def _target(text: str) -> str:
    host, port = names.address(text)
    if port is None:
        hint = "; a SOCKS proxy is socks: 127.0.0.1:1080" if host.startswith("socks") else ""
        raise ValueError(f'"{text}" has no port: HOST:PORT{hint}')
    return pair(host, port)


def _reach(text: str) -> str:
    """In sshd's own form: HOST:PORT, with * for any host or any port."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f'"{text}" has no port: HOST:PORT, with * for any')
    bare = ANY if host == ANY else names.address(host)[0].lower()
    return f"{names.bracketed(bare)}:{ANY}" if port == ANY else pair(bare, names.port(port))


def is_covered(reach: str, *, by: str) -> bool:
    """Whether `by` allows all that `reach` allows. Both are in sshd's own form."""
    pairs = zip(reach.rpartition(":")[::2], by.rpartition(":")[::2], strict=True)
    return all(allowed in {ANY, wanted} for wanted, allowed in pairs)


def _listener(value: Any) -> str:
    if not isinstance(value, (str, int)):
        raise ValueError(f"{names.shown(value)} is neither a port nor ADDRESS:PORT")  # noqa: TRY004 - pydantic takes ValueErrors
    text = str(value)
    address, colon, digits = text.rpartition(":")
    plain = address.removeprefix("[").removesuffix("]") if address.startswith("[") else address
    if colon and (not address or (":" in plain and plain == address)):
        raise ValueError(f'"{text}" is neither a port nor ADDRESS:PORT')
    host = LOOPBACK if plain in {"", "localhost"} else names.ip_address(plain)
    port = names.port(digits)
    if port < _FIRST_UNPRIVILEGED:
        raise ValueError(f'"{text}": ports below {_FIRST_UNPRIVILEGED} are root\'s, and no part of a tunnel runs as root')
    return pair(host, port)


def host_port(text: str) -> str:
    host, port = names.address(text)
    return host if port is None else pair(host, port)


def _check(text: str) -> str:
    if text == "tcp":
        return text
    if any(not "!" <= c <= "~" or c in "\"'\\`<>{}|^@" for c in text):
        raise ValueError(f'"{text}" is no URL: it has blanks or strange characters in it')
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f'"{text}" is neither tcp nor a URL like https://api.example.com/')
    names.address(parts.netloc)
    return text


def gateway_name(text: str) -> str:
    if not text or any(c.isspace() or not c.isprintable() or c in "\"',\\" for c in text):
        raise ValueError(f'"{text}" is no host')
    return text


Target = Annotated[str, AfterValidator(_target)]
Listener = Annotated[str, BeforeValidator(_listener, json_schema_input_type=str | int)]
Check = Annotated[str, AfterValidator(_check)]
Reach = Annotated[str, AfterValidator(_reach)]
