"""One target for each parser of foreign text: bytes in; what comes out is not looked at. Any exception but the parser's own is a fault."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import novaops
from novaops.engine import probe
from novaops.engine.run import Outcome, Watcher, _guarded, _read, new_run
from novaops.errors import NovaopsError
from novaops.features.eve.api_answer import Answer
from novaops.features.eve.api_client import EveApi
from novaops.features.vpn.findings import Given
from novaops.features.vpn.lint import examine
from novaops.features.vpn.profile import Profile
from novaops.formats import ansible, fstab, ss, visible
from novaops.formats.iptables import Ruleset
from novaops.formats.nginx_conf import NginxConf
from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.formats.x509 import Chain, RevocationList
from novaops.model.action import Command
from novaops.model.plan import Change, Step
from novaops.model.question import Question, Section
from novaops.secret import Secret
from novaops.ssh.known_hosts import _entry
from novaops.verify import sections
from novaops.verify.http import FAILURES, HttpConnection
from novaops.verify.http2 import Http2
from novaops.verify.http_answer import Request

Target = Callable[[bytes], object]

_TEXT = ("utf-8", "surrogateescape")


def families() -> Iterator[type[Question[Any]]]:
    """Every question that novaops knows."""
    for module in pkgutil.walk_packages(novaops.__path__, "novaops."):
        if ".facts" in module.name:
            importlib.import_module(module.name)
    todo: list[type[Any]] = [Question]
    while todo:
        one = todo.pop()
        todo += one.__subclasses__()
        complete = getattr(one, "family", "") and not getattr(one, "__abstractmethods__", None)
        if complete and one.__module__.startswith("novaops."):  # tests have questions of their own
            yield one


def question(family: type[Question[Any]]) -> Question[Any]:
    """One of the family, with some word, number and so on for whatever it wants to know."""
    if not dataclasses.is_dataclass(family):
        return family()
    hints = typing.get_type_hints(family)
    wanted = [
        one for one in dataclasses.fields(family) if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    return family(**{one.name: _some(hints[one.name]) for one in wanted})


def _some(kind: Any) -> Any:
    known = {int: 1, bool: False, float: 1.0, str: "a", bytes: b"a", Secret: Secret("a"), Path: Path("/a")}
    if kind in known:
        return known[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {tuple, frozenset, list}:
        return () if origin is tuple and Ellipsis in inner else tuple(map(_some, inner)) if origin is tuple else origin()
    if origin is typing.Literal:
        return inner[0]
    if type(None) in inner:
        return None
    if inner:
        return _some(inner[0])
    if dataclasses.is_dataclass(kind):
        return question(kind)  # type: ignore[arg-type]
    raise TypeError(kind)


def _answers(family: type[Question[Any]], data: bytes) -> None:
    """As the probe reads them: what is caught there may be raised."""
    one = question(family)
    with suppress(ValueError, KeyError, IndexError, RecursionError):
        family.parse([one], Section(data.decode(*_TEXT), "", data[0] % 2 if data else 0))


class _Watcher:
    """Is told, and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


_STEPS = (Step("a", (Change("b", None, "c"),), (Command(("true",)),)),) * 2


def _events(data: bytes) -> None:
    outcome = Outcome(new_run(_STEPS, "", wait=False), "failed")
    for line in data.decode(*_TEXT).split("\n"):
        with suppress(NovaopsError):
            _guarded(line, outcome)
            _read(line, outcome, cast("Watcher", _Watcher()))
    assert outcome.done <= {0, 1}


def _profile(data: bytes) -> None:
    with suppress(ValueError, NovaopsError):
        examine(Profile.read(data), Given(1_800_000_000))


def _nginx(data: bytes) -> None:
    found = NginxConf.read(f"# configuration file /etc/nginx/nginx.conf:\n{data.decode(*_TEXT)}")
    for _ in (*found.servers(), *found.other_servers, *found.of_http):
        pass


def _sshd(data: bytes) -> None:
    config = SshdConfig({"/etc/ssh/sshd_config": data.decode(*_TEXT)})
    config.ruling("passwordauthentication", Peer("a"))


def _sockets(data: bytes) -> None:
    with suppress(ValueError):
        ss.listeners(data)


def _probe(data: bytes) -> None:
    """The frames around the families' answers. A parser's own fault would be told as one here."""
    asked = probe.families([question(family) for family in families()])
    found = probe.read(asked, "mark", "\n".join(f"mark {line}" for line in data.decode(*_TEXT).split("\n")))
    assert "itself went wrong" not in "".join(found._reasons.values())


def _ansible(data: bytes) -> None:
    with suppress(NovaopsError):
        ansible.read(data.decode("utf-8", "replace"), "hosts")


class _Eve(EveApi):
    """EVE-NG's API, where every answer is the same."""

    def __init__(self, data: bytes) -> None:
        self.user, self._data, self._warn = "admin", data, lambda _: None
        self.login = lambda: None  # type: ignore[method-assign]

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        del body
        return Answer(f"{method} {path}", 200, "application/json", self._data)


def _asks(api: EveApi) -> Iterator[Callable[[], object]]:
    yield from (api.status, api.templates)
    yield from (partial(ask, "/a") for ask in (api.template, api.lab, api.nodes, api.networks))
    yield from (partial(api.interfaces, "/a", 1), partial(api.add_node, "/a", {}), partial(api.add_network, "/a", "n", "t"))


def _eve(data: bytes) -> None:
    """As what an answer holds, and as the whole of one."""
    for text in (b'{"status": "success", "data": %s}' % data, data):
        for ask in _asks(_Eve(text)):
            with suppress(NovaopsError):
                ask()


class _Bytes:
    """A web server's side of a connection: what it says, and then the end."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def recv(self, size: int) -> bytes:
        part, self._left = self._left[:size], self._left[size:]
        return part

    def sendall(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def _http(data: bytes) -> None:
    for text in (data, b"HTTP/1.1 200 OK\r\n" + data, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data):
        with suppress(*FAILURES):
            HttpConnection(_Bytes(text)).ask(Request("/", "a"))
    line = _Bytes(data)
    with suppress(*FAILURES):
        Http2(line.recv, line.sendall).ask(Request("/", "a"))


def _one(parser: Callable[[str], object], data: bytes) -> None:
    with suppress(ValueError):
        parser(data.decode(*_TEXT))


TARGETS: Mapping[str, Target] = {
    **{f"facts: {family.family}": partial(_answers, family) for family in sorted(set(families()), key=lambda one: one.family)},
    "frames of a probe": _probe,
    "events of a run": _events,
    "OpenVPN profile": _profile,
    "nginx -T": _nginx,
    "sshd_config": _sshd,
    "certificates": partial(_one, Chain.read),
    "list of revoked certificates": partial(_one, RevocationList.read),
    "known_hosts": partial(_one, lambda text: [_entry(line, Path("/k"), 1) for line in text.split("\n")]),
    "fstab": lambda data: list(fstab.parse(data)),
    "ss": _sockets,
    "iptables-save": partial(_one, lambda text: Ruleset(text).rules),
    "inventory of Ansible's": _ansible,
    "what is shown": partial(_one, visible.lines),
    "sections of checks": partial(_one, sections.read),
    "EVE-NG's API": _eve,
    "HTTP": _http,
}
