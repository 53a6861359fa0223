"""OpenVPN profiles, parsed and written by OpenVPN's own rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

LONGEST_LINE = 255
"""Bytes. OpenVPN refuses a longer one, except within blocks."""

MOST_WORDS = 16

FILES = ("ca", "cert", "key", "extra-certs", "tls-auth", "tls-crypt", "tls-crypt-v2", "pkcs12", "crl-verify", "http-proxy-user-pass")
"""Options that name a file, and that can have its content in a block instead."""

BLOCKS = (*FILES, "peer-fingerprint", "verify-hash")
"""Options whose content may stand in a block, and stays in it."""

BINARY = ("pkcs12",)
"""Those whose block is in base64."""

_BLANK = " \t\v\f\r\n"

Beside = Callable[[str], bytes]
"""The file of that name beside the profile. Raises OSError."""


class ProfileError(ValueError):
    """A profile that cannot be read. `line` is where, 0 for all of it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


@dataclass(frozen=True)
class Option:
    words: tuple[str, ...]
    """The option's name, without dashes, and its parameters."""
    line: int
    block: str | None = field(default=None, repr=False)
    """The text between <name> and </name>, which may be a secret; None for a plain line."""
    within: int = 0
    """The line of the <connection> that contains it; 0 for none."""

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def parameter(self) -> str:
        """The first one, "" without any."""
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def is_placeholder(self) -> bool:
        """Whether it only says that its block is elsewhere in the profile."""
        return self.block is None and self.name in BLOCKS and self.parameter in {"[inline]", "inline", ""}


@dataclass(frozen=True)
class Profile:
    options: tuple[Option, ...]

    @classmethod
    def read(cls, content: bytes) -> Profile:
        """Raises ProfileError. LF or CRLF, with a byte order mark or without one."""
        if b"\0" in content:
            raise ProfileError(0, "this is no profile: there are NUL bytes in it")
        text = content.decode("utf-8-sig", "surrogateescape")
        return cls(tuple(_options(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1, 0)))

    def all(self, *names: str) -> tuple[Option, ...]:
        return tuple(option for option in self.options if option.name in names)

    def last(self, name: str) -> Option | None:
        """The last one, which overrides those before it."""
        return next(iter(self.all(name)[::-1]), None)

    def filled(self, beside: Beside) -> Profile:
        """The profile with the files that it names as blocks; `tls-auth FILE 1` becomes a block and key-direction. Raises ProfileError."""
        blocks = {option.name for option in self.options if option.block is not None}
        missing = next((option for option in self.options if option.is_placeholder and option.name not in blocks), None)
        if missing is not None:
            raise ProfileError(missing.line, f"{missing.name}: there is no block <{missing.name}>")
        return Profile(tuple(new for option in self.options for new in _filled(option, beside)))

    @property
    def remotes(self) -> tuple[tuple[str, str, str], ...]:
        """The servers: host, port and protocol, as the profile has them, including those within <connection>."""
        protocol, port = self.last_outside("proto"), self.last_outside("port") or self.last_outside("rport")
        found = []
        inside: dict[int, dict[str, str]] = {}
        for option in self.options:
            inside.setdefault(option.within, {})[option.name] = option.parameter
        for option in self.all("remote"):
            own = inside[option.within] if option.within else {}
            words = [*option.words[1:], "", "", ""]
            found.append((words[0], words[1] or own.get("port", port) or "1194", words[2] or own.get("proto", protocol) or "udp"))
        return tuple(dict.fromkeys(found))

    def last_outside(self, name: str) -> str:
        return next((option.parameter for option in reversed(self.options) if option.name == name and not option.within), "")


def words_of(line: str) -> tuple[str, ...]:  # noqa: C901, PLR0912 - one state after the other, as OpenVPN does it
    """A line split as OpenVPN does it: quotes, backslashes, and # or ; for a comment where a word could begin.

    Raises ValueError.
    """
    words: list[str] = []
    word, state, escaped = "", "between", False
    for c in line + "\n":
        if escaped:
            word, escaped = word + c, False
            state = "plain" if state == "between" else state
        elif c == "\\" and state != "single":
            escaped = True
        elif state == "double":
            if c == '"':
                words, word, state = [*words, word], "", "between"
            else:
                word += c
        elif state == "single":
            if c == "'":
                words, word, state = [*words, word], "", "between"
            else:
                word += c
        elif c in _BLANK:
            if state == "plain":
                words, word, state = [*words, word], "", "between"
        elif state == "between":
            if c in "#;":
                break
            state = {'"': "double", "'": "single"}.get(c, "plain")
            word = c if state == "plain" else ""
        else:
            word += c
    if state in {"double", "single"}:
        raise ValueError("a quotation mark is not closed")
    if escaped or state == "plain":
        raise ValueError("it ends in a backslash")
    if len(words) > MOST_WORDS:
        raise ValueError(f"it has more than {MOST_WORDS} words")
    return tuple(words)


def quoted(word: str) -> str:
    """A word, quoted for a configuration where that is needed. Raises ValueError for what no line can hold."""
    if any(c in "\r\n\0" for c in word):
        raise ValueError(f"a line of a configuration cannot hold {word!r}")
    if word and not any(c in _BLANK or c in "\\\"'#;<" for c in word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line_of(words: Sequence[str]) -> str:
    """Raises ValueError for words that make no line."""
    text = " ".join(map(quoted, words))
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST_LINE:
        raise ValueError(f"a line of more than {LONGEST_LINE} bytes: OpenVPN takes none")
    return text


def text_of(options: Sequence[Option]) -> str:
    """The options as a configuration, those of one <connection> in a block of it."""
    lines: list[str] = []
    within = 0
    for option in [*options, None]:
        here = option.within if option else 0
        if here != within:
            lines += ["</connection>"] if within else []
            lines += ["<connection>"] if here else []
            within = here
        if option is None:
            continue
        if option.block is None:
            lines.append(line_of(option.words))
        else:
            lines += [f"<{option.name}>", *option.block.strip("\n").split("\n"), f"</{option.name}>"]
    return "".join(f"{line}\n" for line in lines)


def _options(lines: Sequence[str], first: int, within: int) -> Iterator[Option]:
    """`first` is the number of the first line."""
    number = 0
    while number < len(lines):
        line, at = lines[number], first + number
        number += 1
        if not (tag := re.fullmatch(r"\s*<([A-Za-z0-9_-]+)>\s*([#;].*)?", line)):
            yield from _plain(line, at, within)
            continue
        name, end = tag[1], _end_of_block(lines, number, tag[1], first)
        content, number = lines[number:end], end + 1
        if name != "connection":
            # OpenVPN reads no key or certificate whose lines are indented, as they are where a profile was copied out of YAML.
            lines_of_it = (one.rstrip() if name.endswith("user-pass") else one.strip() for one in content)
            yield Option((name,), at, "\n".join(lines_of_it).strip("\n") + "\n", within)
        elif within:
            raise ProfileError(at, "a <connection> within another one")
        else:
            yield from _options(content, at + 1, at)


def _end_of_block(lines: Sequence[str], begin: int, name: str, first: int) -> int:
    """The index of the line that closes the block whose content begins at `begin`."""
    end = next((n for n in range(begin, len(lines)) if f"</{name}>" in lines[n]), None)
    if end is None:
        raise ProfileError(first + begin - 1, f"<{name}> is not closed: there is no </{name}>")
    if lines[end].strip() != f"</{name}>":  # OpenVPN may end the block there, and take what follows for options
        raise ProfileError(first + end, f"</{name}> has to stand alone")
    return end


def _plain(line: str, at: int, within: int) -> Iterator[Option]:
    """The option on a line, if there is one."""
    if line.strip().startswith("</"):
        raise ProfileError(at, f"{line.strip()[:40]} closes what was not opened")
    if len(line.encode("utf-8", "surrogateescape")) > LONGEST_LINE:
        raise ProfileError(at, f"it is longer than {LONGEST_LINE} bytes: OpenVPN takes none that long")
    try:
        words = words_of(line)
    except ValueError as error:
        raise ProfileError(at, str(error)) from None
    if not words:
        return
    name = words[0].removeprefix("--")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ProfileError(at, f"{words[0][:40]!r} is no option of OpenVPN's")
    if name == "setenv" and words[1:2] == ("opt",):  # setenv opt NAME: an option that is ignored by an OpenVPN that does not know it
        words = words[2:]
        if not words:
            return
        name = words[0].removeprefix("--")
    yield Option((name, *words[1:]), at, None, within)


def _filled(option: Option, beside: Beside) -> Iterator[Option]:
    if option.block is not None or option.name not in FILES or (option.name == "crl-verify" and option.words[2:3] == ("dir",)):
        yield option
        return
    if option.name == "tls-auth" and len(option.words) > 2:  # noqa: PLR2004 - tls-auth FILE DIRECTION
        yield Option(("key-direction", option.words[2]), option.line, None, option.within)
    if option.is_placeholder:
        return
    try:
        content = beside(option.parameter)
    except OSError as error:
        raise ProfileError(option.line, f"{option.name}: {option.parameter} cannot be read: {error.strerror or error}") from None
    if option.name in BINARY:
        from base64 import encodebytes

        text = encodebytes(content).decode("ascii")
    else:
        text = content.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
    if f"</{option.name}>" in text or "\0" in text:
        raise ProfileError(option.line, f"{option.name}: {option.parameter} is no file of that kind")
    yield Option((option.name,), option.line, text.strip("\n") + "\n", option.within)
