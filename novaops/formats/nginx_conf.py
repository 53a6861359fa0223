"""nginx's configuration as `nginx -T` prints it, read for its servers: where they listen, and under which names. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_LUA_BLOCK = "_by_lua_block"
_LUA_SIGN = re.compile(r"""[{}"']|--(?:\[=*\[)?|\[=*\[""")
_ENDS_OF_STRINGS = {quote: re.compile(rf"(?:\\.|[^{quote}\\])*{quote}", re.DOTALL) for quote in "\"'"}
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
    directives: tuple[Directive, ...] = field(default=(), repr=False, compare=False)
    """What stands in the server itself."""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class Directive:
    words: list[str]
    file: str
    line: int
    block: list[Directive] | None = None

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class _Parsed:
    directives: list[Directive]
    stopped: int
    """The line of the first text that is not nginx's syntax; 0 where all of it is."""


_MARK = "its_place;"


@dataclass
class NginxConf:
    """The files of `nginx -T`, by path; the first one is the main file."""

    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, dump: str) -> NginxConf:
        """A line as before a file that has come already is a comment in the file where it stands: somebody has pasted a dump."""
        parts, here = _FILE.split(dump), ""
        files: dict[str, str] = {}
        for path, text in zip(parts[1::2], parts[2::2], strict=True):
            if path in files:
                files[here] += f"# configuration file {path}:{text}"
            else:
                here, files[path] = path, text.removeprefix("\n")
        return cls(files)

    def servers(self) -> tuple[NginxServer, ...]:
        """Every server of http."""
        return self._http_servers

    @cached_property
    def _http_servers(self) -> tuple[NginxServer, ...]:
        return tuple(self._servers("http", (Listen("*", 80),)))

    @cached_property
    def other_servers(self) -> tuple[NginxServer, ...]:
        """Those of stream and mail, which take ports too."""
        return tuple(server for context in ("stream", "mail") for server in self._servers(context, ()))

    def _servers(self, context: str, implicit: tuple[Listen, ...]) -> Iterator[NginxServer]:
        for server in self._blocks((d for outer in self._blocks(self._main(), context) for d in self._flat(outer.block or [])), "server"):
            lines = list(self._flat(server.block or []))
            listens = tuple(listen for d in lines if d.name == "listen" and len(d.words) > 1 for listen in _listens(d.words[1:]))
            names = tuple(name.lower() for d in lines if d.name == "server_name" for name in d.words[1:])
            shown = [next((d.words[1] for d in lines if d.name == word and len(d.words) > 1), "") for word in _CERTIFICATE]
            certificate = (shown[0], shown[1]) if all(shown) else None
            yield NginxServer(server.file, server.line, names or ("",), listens or implicit, certificate, tuple(lines))

    def value(self, name: str) -> tuple[str, ...]:
        """The words after a directive of the main level, such as `user`; none when it is not there."""
        found = self.main_directive(name)
        return tuple(found.words[1:]) if found else ()

    def main_directive(self, name: str) -> Directive | None:
        """The first directive of that name of the main level."""
        return next((d for d in self._flat(self._main()) if d.name == name), None)

    def files_with(self, name: str) -> tuple[str, ...]:
        """The files in which a directive of http's own level stands, such as `server_names_hash_bucket_size`."""
        return tuple(d.file for d in self.of_http if d.name == name)

    @cached_property
    def of_http(self) -> tuple[Directive, ...]:
        """What stands in http itself. Servers inherit most of it."""
        return tuple(d for http in self._blocks(self._main(), "http") for d in self._flat(http.block or []))

    def after(self, path: str) -> tuple[Directive, ...]:
        """What stands in http itself and is read after this file, whether or not the file exists yet."""
        there = NginxConf({**self.files, path: _MARK})
        there._parsed = {**self._parsed, path: _parse(_MARK, path)}  # a host may have many files, and this is asked for each site
        found = list(there.of_http)
        places = [number for number, directive in enumerate(found) if directive.file == path]
        return tuple(found[places[0] + 1 :]) if places else ()

    @property
    def http_place(self) -> str:
        """Where http begins, or the main file where it has none."""
        return next((http.place for http in self._blocks(self._main(), "http")), next(iter(self.files), ""))

    def reads(self, path: str) -> bool:
        """Whether http has an include that this file matches, whether or not the file exists."""
        patterns = (p for http in self._blocks(self._main(), "http") for p in self._patterns(http.block or []))
        return any(_matches(path, pattern) for pattern in patterns)

    @property
    def unread(self) -> tuple[str, ...]:
        """FILE:LINE of each text at which a file could not be read further, although nginx can."""
        return tuple(f"{path}:{parsed.stopped}" for path, parsed in self._parsed.items() if parsed.stopped)

    @cached_property
    def _parsed(self) -> Mapping[str, _Parsed]:
        return {path: _parse(text, path) for path, text in self.files.items()}

    def _main(self) -> list[Directive]:
        return next((parsed.directives for parsed in self._parsed.values()), [])

    def _blocks(self, directives: Iterable[Directive], name: str) -> Iterator[Directive]:
        return (d for d in self._flat(directives) if d.name == name and d.block is not None)

    def _flat(self, directives: Iterable[Directive], depth: int = 0) -> Iterator[Directive]:
        """The directives of one level, with those of included files in their place."""
        for directive in directives:
            if _is_include(directive) and depth < _DEEPEST:
                for path in self._included(directive.words[1]):
                    yield from self._flat(self._parsed[path].directives, depth + 1)
            else:
                yield directive

    def _patterns(self, directives: Iterable[Directive], depth: int = 0) -> Iterator[str]:
        """What the includes of one level match, with those of included files."""
        for directive in directives:
            if _is_include(directive) and depth < _DEEPEST:
                yield self._absolute(directive.words[1])
                for path in self._included(directive.words[1]):
                    yield from self._patterns(self._parsed[path].directives, depth + 1)

    def _included(self, pattern: str) -> Iterator[str]:
        absolute = self._absolute(pattern)
        yield from sorted(path for path in self.files if _matches(path, absolute))

    def _absolute(self, pattern: str) -> str:
        folder = next(iter(self.files), "").rpartition("/")[0]
        return pattern if pattern.startswith("/") else f"{folder}/{pattern}"


def _is_include(directive: Directive) -> bool:
    return directive.name == "include" and directive.block is None and len(directive.words) > 1


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) and path.count("/") == pattern.count("/")


def _parse(text: str, file: str) -> _Parsed:
    top: list[Directive] = []
    levels: list[list[Directive]] = [top]
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
                lua = match["sign"] == "{" and bool(words) and words[0].endswith(_LUA_BLOCK)
                ends = _end_of_lua(text, position) if lua else position
                if ends < 0 or not _close(";" if lua else match["sign"], levels, words, (file, line)):
                    position = here
                    break
                words, position = [], ends
            case group:
                begun = begun if words else here
                words.append(_ESCAPED.sub(lambda found: _CONTROL.get(found[1], found[1]), match[group]))
    is_whole = position >= len(text) and not words and len(levels) == 1
    return _Parsed(top, 0 if is_whole else text.count("\n", 0, begun if words else position) + 1)


def _end_of_lua(text: str, position: int) -> int:
    """Behind the brace that closes a block of Lua, which has strings and comments of its own; -1 where nothing closes it."""
    depth = 1
    while depth:
        sign = _LUA_SIGN.search(text, position)
        if sign is None:
            return -1
        position, said = sign.end(), sign.group()
        if said in "{}":
            depth += 1 if said == "{" else -1
        elif said in _ENDS_OF_STRINGS:
            end = _ENDS_OF_STRINGS[said].match(text, position)
            position = end.end() if end else -1
        elif said.endswith("["):
            end_of_long = "]" + "=" * said.count("=") + "]"
            found = text.find(end_of_long, position)
            position = found + len(end_of_long) if found >= 0 else -1
        else:
            position = text.find("\n", position)
        if position < 0:
            return -1
    return position


def _close(sign: str, levels: list[list[Directive]], words: list[str], place: tuple[str, int]) -> bool:
    """End a directive, or begin or end a block. False where the sign does not belong there."""
    if sign == "}":
        if len(levels) == 1 or words:
            return False
        levels.pop()
        return True
    if not words:
        return False
    directive = Directive(words, *place, [] if sign == "{" else None)
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
    return Listen("*" if host == "0.0.0.0" else _spelled(host), int(port), options)  # noqa: S104 - read, not bound


def _spelled(host: str) -> str:
    """An IPv6 address as everybody else writes it: [::] for [::0]."""
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]" if host.startswith("[") else host
    except ValueError:
        return host
