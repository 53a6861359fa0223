"""What names, paths and addresses may look like. Every value of the inventory passes here before it goes anywhere."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""Of an account on a host: jane.doe and Jane are there where a directory or adduser --force-badname made them."""
_LOGIN = re.compile(r"""[^-\s'"`$%;&<>|(){}:,][^\s'"`$%;&<>|(){}:,]{0,255}(?<!\\)""")
"""What ssh refuses in a user name, because it could reach a shell, and what separates names."""
_TWO_WAYS = frozenset("ß\u03c2\u200c\u200d")
"""Letters that lead to one domain by the older rules, and to another one by the newer (RFC 5894, 7.2)."""
_NAMED_GROUP = re.compile(r"\(\?(?:<(?P<plain>[A-Za-z_]\w*)>|'(?P<quoted>[A-Za-z_]\w*)')")
"""As nginx's expressions also name one; Python's only know (?P<name>."""
_OPTION = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.:/@%+-]*(=("[^"]*"|[^",]*))?')


def host(text: str) -> str:
    """A host name or IP address. Raises ValueError with the offending text."""
    plain, zone, interface = text.partition("%")
    if is_address(plain) and (not zone or _NAME.fullmatch(interface)):
        return str(ipaddress.ip_address(text))
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in text.split(".")):  # noqa: PLR2004 - RFC 1035
        raise ValueError(f'"{text}" is no host name or IP address')
    return text


def ssh_host(text: str) -> str:
    """A host as ssh takes it, also with a dot at the end. Raises ValueError.

    A name with other letters stays as it is written: ssh's configuration may have it so. What it leads to becomes `dns_name`.
    """
    plain = dns_name(text)
    try:
        found = host(plain.removesuffix("."))
    except ValueError:
        raise ValueError(f'"{text}" is no host name or IP address') from None
    if plain != text:
        return text
    return f"{found}." if plain.endswith(".") and not is_address(found) else found


def dns_name(text: str) -> str:
    """A name in the form that DNS has of it (IDNA). Raises ValueError for one that has none, and for one that has two."""
    if text.isascii():
        return text
    if both := set(text) & _TWO_WAYS:
        raise ValueError(f'"{text}" has {min(both)!a}, which DNS has in two ways (IDNA 2003 and 2008): write it as xn--…')
    try:
        return text.encode("idna").decode("ascii")
    except ValueError:
        raise ValueError(f'"{text}" is no host name or IP address') from None


def login(text: str) -> str:
    """A user to log in as, as ssh takes it: also with a dot, capitals, or a domain in any of its forms. Raises ValueError."""
    if not _LOGIN.fullmatch(text) or not text.isprintable():
        raise ValueError(f'"{text}" is no user name')
    return text


def address(text: str, host: Callable[[str], str] = host) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address, as (host, port). Raises ValueError with the offending text."""
    match = re.fullmatch(r"\[(?P<name>[^\]]*)\](:(?P<port>\d+))?|(?P<plain>[^:\[\]]*)(:(?P<number>\d+))?", text)
    if match is None:
        return host(text), None
    if match["name"] is not None:
        if match["port"] is None and not is_address(match["name"]):
            raise ValueError(f'"{text}" is no address: brackets are for an IPv6 address, or before a port')
        name, digits = match["name"], match["port"]
    else:
        name, digits = match["plain"], match["number"]
    return host(name), port(digits) if digits else None


def bracketed(host: str) -> str:
    """A host as it stands in a URL, or before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def pair(host: str, port: int) -> str:
    """HOST:PORT."""
    return f"{bracketed(host)}:{port}"


def reached(address: str) -> str:
    """Where a client on the same host finds who listens at the address: of all of them, on loopback."""
    found = ipaddress.ip_address(address)
    return address if not found.is_unspecified else "127.0.0.1" if found.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def duration(text: str) -> int:
    """Seconds, of a time such as 60s, 5m or 1h; an hour is the most. Raises ValueError."""
    match = re.fullmatch(r"(?P<number>[0-9]{1,4})(?P<unit>[smh])", text, re.ASCII)
    seconds = int(match["number"]) * {"s": 1, "m": 60, "h": 3600}[match["unit"]] if match else -1
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise ValueError(f'"{text}" is no time such as 60s or 5m, of 1h at most')
    return seconds


def _as_written(text: str) -> str:
    duration(text)
    return text


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def port(value: Any) -> int:
    """A port, as digits or an integer."""
    text = str(value) if isinstance(value, (str, int)) else ""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004 - 16 bits
        raise ValueError(f"{shown(value)} is no port: 1 to 65535")
    return int(text)


def shown(value: Any) -> str:
    """A value as a message names it. What is in a mapping or a list is not shown: there may be secrets in it."""
    kinds = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
    return kinds.get(type(value)) or f'"{value}"'


def name(text: str) -> str:
    """A name that is safe as a file name and as a word anywhere."""
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name: letters, digits, "-", "_" and ".", beginning with a letter or digit')
    return text


def user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f'"{text}" is no user name')
    return text


def path(text: str) -> str:
    """An absolute path in its plain form: no "..", no "//", no trailing slash, no line breaks."""
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is not an absolute path')
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in text):
        raise ValueError(f"{text!r} has control characters in it")
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ValueError(f'"{text}" has ".." in it: write where it leads')
    return "/" + "/".join(parts)


def mount_option(text: str) -> str:
    """`noatime`, `commit=30`, `context="system_u:object_r:t:s0:c1,c2"`: a comma in a value only between quotes."""
    if not _OPTION.fullmatch(text) or any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in text):
        raise ValueError(f'"{text}" is no mount option')
    return text


def each_once(key: str, values: Sequence[str]) -> None:
    """Raises ValueError, with the numbers of the entries, where two entries have one value for `key`."""
    for value in values:
        if values.count(value) > 1:
            numbers = " and ".join(str(number) for number, other in enumerate(values, 1) if other == value)
            raise ValueError(f"{value} is there twice: entries {numbers} have that {key}")


def words(text: str) -> list[str]:
    """Those of a list with commas; blanks beside a comma are none of a word."""
    return [word for part in text.split(",") if (word := part.strip())]


def listed(value: Any) -> Any:
    """A list as it may be written in one word, with commas; anything else as it is."""
    parts = words(value) if isinstance(value, str) else []
    return parts or value


def network(text: str) -> str:
    """An address or a network, as sshd_config takes it: 198.51.100.7 is 198.51.100.7/32."""
    try:
        found = str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f'"{text}" is no address or network like 198.51.100.0/24: {error}') from None
    if found == "255.255.255.255/32":  # and nginx does not read it
        raise ValueError(f"{text} is the broadcast address: nobody comes from there")
    return found


def owner(text: str) -> str:
    """USER, USER:GROUP, or their numbers."""
    parts = text.split(":")
    if len(parts) > 2 or not all((part.isascii() and part.isdecimal()) or _USER.fullmatch(part) for part in parts):  # noqa: PLR2004 - user and group
        raise ValueError(f'"{text}" is no owner: USER or USER:GROUP')
    return text


def server_name(text: str) -> str:
    """A name that a web server answers to: exact, `*.example.com`, `.example.com`, `www.*`, or `~` and a regular expression."""
    if text.startswith("~"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what a later Python may read differently: nginx reads it, not Python
                re.compile(_NAMED_GROUP.sub(r"(?P<\g<plain>\g<quoted>>", text[1:]))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f'"{text}" is no regular expression: {error}') from None
        if any(unicodedata.category(c) == "Cc" for c in text) or "/" in text or text == "~":
            raise ValueError(f'"{text}" is no regular expression that a name could match')
        return text
    plain = (
        text.removeprefix("*.") if text.startswith("*.") else text.removeprefix(".") if text.startswith(".") else text.removesuffix(".*")
    )
    if "%" in plain or plain == "_" or (not is_address(plain) and not all(_HOST_LABEL.fullmatch(label) for label in plain.split("."))):
        raise ValueError(f'"{text}" is no domain like proxy.example.com or *.example.com')
    host(plain)
    if plain != text and is_address(plain):
        raise ValueError(f'"{text}" is no domain: an address has no names below it')
    return str(ipaddress.ip_address(text)) if is_address(text) else text.lower()


def covers(one: str, other: str) -> bool:
    """Whether nginx would have to choose between two server names: `.example.com` is example.com and *.example.com."""
    return bool(_spelled_out(one) & _spelled_out(other))


def _spelled_out(name: str) -> frozenset[str]:
    name = name.lower()
    return frozenset({name[1:], f"*{name}"} if name.startswith(".") else {name})


def ip_address(text: str) -> str:
    """An address to listen on, without a zone."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'"{text}" is no IP address') from None
    if "%" in text:
        raise ValueError(f'"{text}" is an address with a zone, which only means something on one link')
    return str(found)


Host = Annotated[str, AfterValidator(host)]
Name = Annotated[str, AfterValidator(name)]
User = Annotated[str, AfterValidator(user)]
Login = Annotated[str, AfterValidator(login)]
Path = Annotated[str, AfterValidator(path)]
ServerName = Annotated[str, AfterValidator(server_name)]
IpAddress = Annotated[str, AfterValidator(ip_address)]
MountOption = Annotated[str, AfterValidator(mount_option)]
Network = Annotated[str, AfterValidator(network)]
Duration = Annotated[str, AfterValidator(_as_written)]
Owner = Annotated[str, AfterValidator(owner)]
