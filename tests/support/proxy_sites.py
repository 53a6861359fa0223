"""Sites as the tests of `novaops proxy` write them, what novaops makes of them, and how nginx reads; no host is asked."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from novaops.engine import inventory
from novaops.engine.desired import HostView
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError
from novaops.features.proxy.facts.nginx import SSL_COMMANDS, NginxFacts
from novaops.features.proxy.resources.nginx_files import NginxFiles
from novaops.features.proxy.settings import Site
from novaops.model.action import payload
from novaops.model.plan import Resource

CASES = Path(__file__).parents[1] / "cases" / "proxy"
BOOKS = Playbooks(Path())

ENV = {"PW": "wired-Fjord$8 'kite\" é", "KEY": "sk-$1{x};#\"'\\n\\", "TOKEN": "glass-Tundra-$1-{x};#", "OTHER": "second-Glacier-77\\"}
"""What the references of these sites lead to: all that could break out of nginx's configuration."""

INJECT = {"basic": {"nova": "env:PW"}, "inject": "env:KEY"}
API: Mapping[str, Any] = {"name": "gate", "provider": "openai", "domain": "gate.example.com", "tls": "self-signed", "auth": INJECT}
APP: Mapping[str, Any] = {"name": "shop", "upstreams": ["127.0.0.1:8080", "127.0.0.1:8081"], "domain": "shop.example.com"}
TOKEN: Mapping[str, Any] = {**API, "name": "token", "domain": "token.example.com", "auth": {"token": {"a": "env:TOKEN", "b": "env:OTHER"}}}
BASES = {"api": API, "app": APP, "token": TOKEN}

VERSIONS = [(1, 18), (1, 22, 1), (1, 24), (1, 25, 1), (1, 26, 3), (1, 27, 3), (1, 29)]
CONF = "/etc/nginx/conf.d"
SHARED = f"{CONF}/00-novaops.conf"


def section(sites: Any) -> list[Site]:
    """Read as the inventory is: every text as it was written. Raises InventoryError."""
    written = json.dumps({"hosts": {"canada": {"proxy": sites}}}).replace("\x7f", r"\x7f")
    known = inventory.parse(written, "inventory.yaml", ["proxy"])
    found: list[Site] = BOOKS.by_name["proxy"].settings(known, known.hosts["canada"])
    return found


def nginx(version: tuple[int, ...] = (1, 22, 1), **about: Any) -> NginxFacts:
    known = {"resolvers": ("192.0.2.53", "[2001:db8::53]"), "ipv6": True}
    known |= {"trust_folder": "/etc/ssl/certs"} if version >= SSL_COMMANDS else {}
    return NginxFacts(**{"installed": True, "version": version, **known, **about})


@dataclass(frozen=True)
class Written:
    text: str
    mode: str
    for_workers: bool


def resources(*sites: Mapping[str, Any]) -> list[Resource]:
    """All that is wanted of the host. The secrets are taken from the environment."""
    host = HostView("canada", "192.0.2.1", frozenset(), BOOKS.templates, Path(), Path())
    playbook = BOOKS.by_name["proxy"]
    return list(playbook.module.desired(host, playbook.prepare(host, section(list(sites))), {}))


def files(*sites: Mapping[str, Any], on: NginxFacts | None = None, old: Mapping[str, str] | None = None) -> dict[str, Written]:
    """Every file of nginx's that is wanted, by path."""
    parts = [part for resource in resources(*sites) if isinstance(resource, NginxFiles) for part in resource.parts]
    found = {part.path: (part, part.content(on or nginx(), (old or {}).get(part.path, ""))) for part in parts}
    return {path: Written(payload(text).decode(), part.mode, part.for_workers) for path, (part, text) in found.items() if text is not None}


def text(*sites: Mapping[str, Any], on: NginxFacts | None = None) -> str:
    """The file of the last site."""
    return files(*sites, on=on)[f"{CONF}/novaops-{sites[-1]['name']}.conf"].text


# -- how nginx reads --------------------------------------------------------------------------------------------------


def nginx_words(conf: str) -> list[str]:
    """The words and signs of a configuration, by the rules of ngx_conf_read_token(). Raises ValueError where nginx does."""
    found: list[str] = []
    position = 0
    while position < len(conf):
        sign = conf[position]
        if sign in " \t\r\n":
            position += 1
        elif sign == "#":
            position = (conf + "\n").index("\n", position)
        elif sign in ";{}":
            found.append(sign)
            position += 1
        else:
            word, position = _quoted(conf, position + 1, sign) if sign in "\"'" else _bare(conf, position)
            found.append(_unescaped(word))
    return found


def _quoted(conf: str, position: int, quote: str) -> tuple[str, int]:
    begin = position
    while conf[position : position + 1] != quote:
        if position >= len(conf):
            raise ValueError("no closing quote")
        position += 2 if conf[position] == "\\" else 1
    if conf[position + 1 : position + 2] not in {"", " ", "\t", "\r", "\n", ";", "{", ")"}:
        raise ValueError(f"unexpected {conf[position + 1]!r} after a quoted word")
    return conf[begin:position], position + 1


def _bare(conf: str, position: int) -> tuple[str, int]:
    begin, variable = position, False
    while position < len(conf) and conf[position] not in " \t\r\n;" and (conf[position] != "{" or variable):
        variable = conf[position] == "$" or (variable and conf[position] == "{")
        position += 2 if conf[position] == "\\" else 1
    return conf[begin:position], position


def _unescaped(word: str) -> str:
    read, position = "", 0
    while position < len(word):
        pair = word[position : position + 2]
        if len(pair) == 2 and pair[0] == "\\" and pair[1] in "\\\"'trn":
            read += {"t": "\t", "r": "\r", "n": "\n"}.get(pair[1], pair[1])
            position += 2
        else:
            read += pair[0]
            position += 1
    return read


# -- whatever the types take -----------------------------------------------------------------------------------------

HOSTILE = st.text(st.sampled_from("abZ09 \t\n\r\0\x0b\x7f\x85\u2028\"'\\${}();#@:/.*~^?+[]|<>=,-_é汉"), max_size=14)
"""All that means something to nginx, to a shell or to a regular expression."""

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
LABELS = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", fullmatch=True)
DOMAINS = st.builds(
    "{}{}.{}{}".format,
    st.sampled_from(["", "", "*.", "."]),
    LABELS,
    LABELS,
    st.sampled_from(["", "", ".example.com"]),
) | st.sampled_from(["www.*", r"~^(www\.)?\d{1,3}\.example\.(com|org)$", '~^a"b;c{2}$', "~^[^$]+\\\\.x$", "192.0.2.9", "2001:db8::9"])
PATHS = st.from_regex(r"(/[A-Za-z0-9._~@:+=,-]{1,8}){0,3}", fullmatch=True).filter(lambda path: not {".", ".."} & set(path.split("/")))
NETWORKS = st.builds(
    lambda address, bits: str(ipaddress.ip_network((int(address), bits), strict=False)), st.ip_addresses(v=4), st.integers(0, 32)
)
NETWORKS |= st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)), st.ip_addresses(v=6), st.integers(0, 128)
)
HOSTS = st.one_of(
    LABELS.map("{}.example.org".format), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map("[{}]".format), st.just("localhost")
)
SOCKETS = st.sampled_from(["unix:/run/app.sock", "unix:/run/a#b[1]*?é,(x).sock"])
UPSTREAM = st.fixed_dictionaries(
    {"address": st.builds("{}:{}".format, HOSTS, st.integers(1, 65535)) | SOCKETS},
    optional={
        "weight": st.integers(1, 1000),
        "max_fails": st.integers(0, 1000),
        "fail_timeout": st.integers(1, 86400),
        "backup": st.booleans(),
    },
)
BALANCE = st.sampled_from(["round_robin", "least_conn", "ip_hash"])
USERS = st.dictionaries(st.from_regex(r"who[A-Za-z0-9._@+-]{0,61}", fullmatch=True), st.just("env:PW"), min_size=1, max_size=3)
TOKENS = st.lists(
    st.tuples(NAMES, st.sampled_from(["env:TOKEN", "env:OTHER"])), min_size=1, unique_by=(lambda one: one[0], lambda one: one[1])
).map(dict)
FROM = st.lists(NETWORKS, min_size=1, max_size=3)
SIZES = st.from_regex(r"[0-9]{1,9}[kKmMgG]?", fullmatch=True)
LOCATION = st.fixed_dictionaries(
    {"path": st.from_regex(r"/[A-Za-z0-9._~@:+=,/-]{0,20}", fullmatch=True)},
    optional={"exact": st.booleans(), "upstreams": st.lists(UPSTREAM, min_size=1, max_size=2), "balance": BALANCE, "auth": st.just("off")},
)
LISTEN = st.lists(st.sampled_from(["127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::"]), max_size=2, unique=True)  # noqa: S104 - read
SITE = {
    "name": NAMES,
    "domain": st.lists(DOMAINS, min_size=1, max_size=3),
}
ANY_SITE = {
    "listen": LISTEN,
    "http_port": st.integers(1, 65535),
    "https_port": st.integers(1, 65535),
    "redirect": st.booleans(),
    "hsts": st.sampled_from(["off", "max-age=31536000; includeSubDomains"]),
    "http2": st.booleans(),
    "max_body": SIZES,
    "timeout": st.integers(1, 86400),
}
API_SITES = st.fixed_dictionaries(
    {
        **SITE,
        "upstream": st.builds(
            "https://{}.example.net{}{}".format, LABELS.filter(lambda label: "_" not in label), st.sampled_from(["", ":8443"]), PATHS
        ),
        "tls": st.sampled_from(["off", "self-signed", "letsencrypt"]),
        "auth": st.one_of(
            st.fixed_dictionaries({"basic": USERS, "inject": st.just("env:KEY")}, optional={"from": FROM}),
            st.fixed_dictionaries(
                {"token": TOKENS},
                optional={"from": FROM, "header": st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,63}", fullmatch=True)},
            ),
            st.fixed_dictionaries({"passthrough": st.just("true"), "from": FROM}),
        ),
    },
    optional={**ANY_SITE, "path": PATHS},
)
APP_SITES = st.fixed_dictionaries(
    {**SITE, "upstreams": st.lists(UPSTREAM, min_size=1, max_size=3), "tls": st.sampled_from(["off", "self-signed"])},
    optional={
        **ANY_SITE,
        "balance": BALANCE,
        "keepalive": st.integers(0, 10000),
        "locations": st.lists(LOCATION, max_size=3),
        "websockets": st.booleans(),
        "buffering": st.booleans(),
        "auth": st.fixed_dictionaries({}, optional={"basic": USERS, "from": FROM}),
    },
)


def _is_right(sites: Sequence[Mapping[str, Any]]) -> bool:
    """The types look at one value; some values do not go together."""
    try:
        section(list(sites))
    except InventoryError:
        return False
    return True


SITES = st.lists((API_SITES | APP_SITES).filter(lambda site: _is_right([site])), min_size=1, max_size=4).filter(_is_right)


# -- words, as somebody may spell them for nginx ----------------------------------------------------------------------


def _spelled(quote: str) -> st.SearchStrategy[tuple[str, str]]:
    """A word between quotes, and what it is."""
    pieces = st.sampled_from([*"ab;{}#$ \n\té汉[(", "'" if quote == '"' else '"', r"\d", r"\.", r"\$", "${x}"]).map(
        lambda piece: (piece, piece)
    ) | st.sampled_from([(r"\"", '"'), (r"\'", "'"), (r"\\", "\\"), (r"\n", "\n"), (r"\t", "\t"), (r"\r", "\r")])
    return st.lists(pieces, max_size=6).map(
        lambda found: (f"{quote}{''.join(raw for raw, _ in found)}{quote}", "".join(read for _, read in found))
    )


_BARE = st.sampled_from([*"ab}#\"'$é汉[(.:/\x0b\xa0", r"\d", r"\;", r"\{", r"\ ", "${x}"]).map(lambda piece: (piece, piece))
_BARE |= st.sampled_from([(r"\"", '"'), (r"\\", "\\"), (r"\n", "\n")])
WORDS = st.one_of(
    _spelled('"'),
    _spelled("'"),
    st.builds(
        lambda first, found: (first + "".join(raw for raw, _ in found), first + "".join(read for _, read in found)),
        st.sampled_from("ab.:/é$"),
        st.lists(_BARE, max_size=6),
    ).filter(lambda word: not word[0].endswith("$")),
)
"""How a word is written, and what nginx makes of it."""


def without(site: Mapping[str, Any], *keys: str, **other: Any) -> dict[str, Any]:
    return {**{key: value for key, value in site.items() if key not in keys}, **other}


def directives(conf: str, name: str) -> list[list[str]]:
    """The words after each directive of that name, as nginx reads them."""
    words, found, begun = nginx_words(conf), [], 0
    for position, word in enumerate(words):
        if word in {";", "{", "}"}:
            if words[begun:position][:1] == [name]:
                found.append(words[begun + 1 : position])
            begun = position + 1
    return found


def location(conf: str, path: str) -> str:
    """The text of a location."""
    return re.split(r"\n    }\n", conf.partition(f"    location {path} {{\n")[2])[0]
