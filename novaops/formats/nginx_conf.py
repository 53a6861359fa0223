"""nginx's configuration as `nginx -T` prints it, read for its servers: where they listen, and under which names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

_FILE = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_TOKEN = re.compile(
    r"""[ \t\r\n]+ | \#[^\n]*     # blanks and comments
    | (?P<sign>[{};])
    | "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)'
    | (?P<word>(?:\\.|\$\{?|[^ \t\r\n{};\\$])(?:\\.|\$\{?|[^ \t\r\n{;\\$])*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"""\\([\\"'trn])""")
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}
_PORTS = re.compile(r"(?P<first>\d+)-(?P<last>\d+)")
_DEEPEST = 32
_CERTIFICATE = ("ssl_certificate", "ssl_certificate_key")


@dataclass(frozen=True)
class Listen:
    """One `listen`. `address` is "*" for all of IPv4, "[::]" for all of IPv6, or a path for a unix socket."""

    address: str
    port: int
    options: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        return self.address.startswith("127.") or self.address in {"[::1]", "localhost"}

    @property
    def is_default(self) -> bool:
        return bool({"default_server", "default"} & set(self.options))


@dataclass(frozen=True)
class NginxServer:
    """A `server` block of http."""

    file: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    certificate: tuple[str, str] | None = None
    """The paths of its certificate and key."""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class _Directive:
    words: list[str]
    file: str
    line: int
    block: list[_Directive] | None = None


@dataclass
class NginxConf:
    """The files of `nginx -T`, by path; the first one is the main file."""

    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, dump: str) -> NginxConf:
        parts = _FILE.split(dump)
        return cls({path: text.removeprefix("\n") for path, text in zip(parts[1::2], parts[2::2], strict=True)})

    def servers(self) -> tuple[NginxServer, ...]:
        return self._servers

    @cached_property
    def _servers(self) -> tuple[NginxServer, ...]:
        """Every server of http. A file is read up to the first text that is not nginx's syntax, such as a block of Lua."""
        found = []
        for http in self._blocks(self._main(), "http"):
            for server in self._blocks(http.block or [], "server"):
                lines = list(self._flat(server.block or []))
                listens = tuple(listen for d in lines if d.words[0] == "listen" and len(d.words) > 1 for listen in _listens(d.words[1:]))
                names = tuple(name.lower() for d in lines if d.words[0] == "server_name" for name in d.words[1:])
                shown = [next((d.words[1] for d in lines if d.words[0] == word and len(d.words) > 1), "") for word in _CERTIFICATE]
                certificate = (shown[0], shown[1]) if all(shown) else None
                found.append(NginxServer(server.file, server.line, names or ("",), listens or (Listen("*", 80),), certificate))
        return tuple(found)

    def value(self, name: str) -> tuple[str, ...]:
        """The words after a directive of the main level, such as `user`; none when it is not there."""
        return next((tuple(d.words[1:]) for d in self._flat(self._main()) if d.words[0] == name), ())

    def files_with(self, name: str) -> tuple[str, ...]:
        """The files in which a directive of http's own level stands, such as `server_names_hash_bucket_size`."""
        return tuple(d.file for http in self._blocks(self._main(), "http") for d in self._flat(http.block or []) if d.words[0] == name)

    def _main(self) -> list[_Directive]:
        path = next(iter(self.files), "")
        return _parse(self.files.get(path, ""), path)

    def _blocks(self, directives: Sequence[_Directive], name: str) -> Iterator[_Directive]:
        return (d for d in self._flat(directives) if d.words[0] == name and d.block is not None)

    def _flat(self, directives: Sequence[_Directive], depth: int = 0) -> Iterator[_Directive]:
        """The directives of one level, with those of included files in their place."""
        for directive in directives:
            if directive.words[0] == "include" and directive.block is None and len(directive.words) > 1 and depth < _DEEPEST:
                for path in self._included(directive.words[1]):
                    yield from self._flat(_parse(self.files[path], path), depth + 1)
            else:
                yield directive

    def _included(self, pattern: str) -> Iterator[str]:
        folder = next(iter(self.files), "").rpartition("/")[0]
        absolute = pattern if pattern.startswith("/") else f"{folder}/{pattern}"
        yield from (p for p in self.files if fnmatchcase(p, absolute) and p.count("/") == absolute.count("/"))


def _parse(text: str, file: str) -> list[_Directive]:
    top: list[_Directive] = []
    levels: list[list[_Directive]] = [top]
    words: list[str] = []
    begun = position = counted = 0
    line = 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            break
        here, position = position, match.end()
        match match.lastgroup:
            case None:
                continue
            case "sign":
                line, counted = line + text.count("\n", counted, begun), begun
                if not _close(match["sign"], levels, words, (file, line)):
                    break
                words = []
            case group:
                begun = begun if words else here
                words.append(_ESCAPED.sub(lambda found: _CONTROL.get(found[1], found[1]), match[group]))
    return top


def _close(sign: str, levels: list[list[_Directive]], words: list[str], place: tuple[str, int]) -> bool:
    """End a directive, or begin or end a block. False where the sign does not belong there."""
    if sign == "}":
        if len(levels) == 1 or words:
            return False
        levels.pop()
        return True
    if not words:
        return False
    directive = _Directive(words, *place, [] if sign == "{" else None)
    levels[-1].append(directive)
    if directive.block is not None:
        levels.append(directive.block)
    return True


def _listens(words: Sequence[str]) -> Iterator[Listen]:
    """One `listen`, or one for each port of a range such as 8000-8010."""
    host, colon, port = words[0].rpartition(":")
    ports = _PORTS.fullmatch(port)
    if ports is None:
        yield _listen(words)
        return
    for number in range(int(ports["first"]), int(ports["last"]) + 1):
        yield _listen([f"{host}{colon}{number}", *words[1:]])


def _listen(words: Sequence[str]) -> Listen:
    address, options = words[0], tuple(words[1:])
    if address.startswith("unix:"):
        return Listen(address.removeprefix("unix:"), 0, options)
    if address.isdecimal():
        return Listen("*", int(address), options)
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or (address.startswith("[") and not host.endswith("]")):
        host, port = address, "80"
    return Listen("*" if host == "0.0.0.0" else host, int(port), options)  # noqa: S104 - read, not bound
