"""ssh's configuration where no ssh is installed: read by paramiko, as far as paramiko reads it right."""

from __future__ import annotations

import glob
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from novaops.errors import UsageError
from novaops.shell import lines_of
from novaops.ssh.client_config import ClientConfig, Destination, Local

_NOTHING = "none"
_WITHOUT_VALUE = {"all", "canonical", "final"}
_JUDGED = {"host", "originalhost", "user", "localuser", "exec"}
"""The criteria of Match that paramiko judges. It takes every other one for met."""

_KEYWORD = re.compile(r"\s*(?P<keyword>match|include)\b\s*=?\s*(?P<rest>.*)", re.IGNORECASE)
_BLOCK = re.compile(r"\s*(host|match)\b", re.IGNORECASE)
_COMMENT_BEHIND = re.compile(r'^([^"#\n]*[^"#\s])\s+#[^\n]*$')
_SETTING = re.compile(r"\s*(?P<keyword>[A-Za-z]\w*)(?:\s*=\s*|\s+)(?P<rest>.+)")

_SWITCH = re.compile(r"yes|no|true|false", re.IGNORECASE)
_TEXT = re.compile(r".+")
_ONE_WORD = {
    **dict.fromkeys(("hostname", "user", "identityfile", "certificatefile", "identityagent", "hostkeyalias", "bindaddress"), _TEXT),
    **dict.fromkeys(("preferredauthentications", "pubkeyauthentication"), _TEXT),
    **dict.fromkeys(("hostkeyalgorithms", "kexalgorithms"), re.compile(r"[^+^-].*")),  # what those begin with is ssh's own list, changed
    **dict.fromkeys(("identitiesonly", "proxyusefdpass"), _SWITCH),
    "port": re.compile(r"(?!0+$)0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"),
    "connecttimeout": re.compile(r"[0-9]+|none", re.IGNORECASE),
    "addressfamily": re.compile(r"any|inet|inet6", re.IGNORECASE),
}
"""What is one word, and as which novaops understands it."""
_WORDS = {"userknownhostsfile", "globalknownhostsfile"}
_DEEPEST = 16
"""Files that include each other, as many as ssh takes."""


def read(asked: Destination, local: Local, files: list[Path]) -> ClientConfig:
    """The configuration of a destination. Raises UsageError for what paramiko would read wrongly."""
    there = {file: text for file in files if (text := _text(file)) is not None}
    # What was said explicitly comes first: so it wins, and Match sees it.
    said = {"user": asked.user, "port": asked.port, "proxyjump": asked.jump or None}
    head = "".join(f"{keyword} {value}\n" for keyword, value in said.items() if value is not None)
    found = _looked_up(asked.host, "\nHost *\n".join((head, *there.values())), " and ".join(map(str, there)))
    values = {keyword: tuple(value) if isinstance(value, list) else (value or _NOTHING,) for keyword, value in found.items()}
    defaults = [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk")]
    values.setdefault("identityfile", tuple(defaults))
    if asked.identity is not None:
        values["identityfile"] = (asked.identity,)
    return ClientConfig(asked, local, values)


def _text(file: Path) -> str | None:
    """A file with all that it includes, as paramiko reads it right; None where it is not there. Raises UsageError."""
    try:
        text = file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    text = _with_included(text, file)
    if wrong := next(_not_judged(text), None):
        raise _only_ssh(file, wrong)
    _looked_up("", text, str(file))
    return text


def _looked_up(host: str, text: str, where: str) -> dict[str, Any]:
    config = paramiko.SSHConfig()
    try:
        config.parse(io.StringIO(text))
        return config.lookup(host) if host else {}
    except (paramiko.SSHException, ValueError, KeyError) as error:
        raise UsageError(f"{where} cannot be read", why=str(error), fix="install the OpenSSH client, which says what is wrong") from None


def _only_ssh(file: Path, what: str) -> UsageError:
    why = "No ssh client was found on this machine."
    return UsageError(f"{file} has {what}, which only ssh itself can judge", why=why, fix="install the OpenSSH client")


def _with_included(text: str, file: Path, depth: int = 0) -> str:
    """The text with the files that it includes outside of any block. Within a block an Include stays: paramiko does not follow it."""
    if depth > _DEEPEST:
        raise UsageError(f"{file} includes more than {_DEEPEST} files in a row", fix="does a file include itself?")
    lines: list[str] = []
    rest = lines_of(text)
    while rest and not _BLOCK.match(rest[0]):
        line = rest.pop(0)
        match = _KEYWORD.match(line)
        if match is None:
            lines.append(_plain(line, file))
            continue
        for included in _included(match["rest"], file, line.strip()):
            try:
                more = included.read_bytes().decode("utf-8", "surrogateescape")
            except OSError as error:
                raise UsageError(f"{file} includes {included}, which cannot be read", why=error.strerror or str(error)) from None
            lines += [*lines_of(_with_included(more, file, depth + 1)), "Host *"]
    return "\n".join((*lines, *(_plain(line, file) for line in rest)))


def _included(rest: str, file: Path, line: str) -> Iterator[Path]:
    """The files that an Include names. What is no file is passed over, as ssh does. Raises UsageError."""
    for word in _words(rest) or [""]:
        if not word or re.search(r"%|\$\{", word):
            raise _only_ssh(file, line)
        try:
            pattern = file.parent / Path(word).expanduser()
        except RuntimeError:  # there is no such user
            raise _only_ssh(file, line) from None
        yield from (found for name in sorted(glob.glob(str(pattern))) if (found := Path(name)).is_file())  # noqa: PTH207 - an absolute pattern


def _plain(line: str, file: Path) -> str:
    """The line without quotes and comment, which paramiko takes for a part of the value. Raises UsageError."""
    match = _SETTING.fullmatch(line)
    keyword = match["keyword"].lower() if match else ""
    if match is None or keyword == "proxycommand":
        return line
    if keyword not in _ONE_WORD and keyword not in _WORDS:
        return _COMMENT_BEHIND.sub(r"\1", line)
    words = _words(match["rest"])
    if not words or (keyword in _ONE_WORD and (len(words) > 1 or not _ONE_WORD[keyword].fullmatch(words[0]))):
        raise _only_ssh(file, line.strip())
    return f"{keyword} {' '.join(words)}"  # several words as ssh -G prints them


def _words(text: str) -> list[str] | None:
    """The words of a value, as ssh takes them: in quotes or not, up to a comment. None where a quote has no end."""
    splitter = re.compile(r"""(?:"(?:\\["'\\]|[^"])*"|'(?:\\["'\\]|[^'])*'|\\[ "'\\]|[^\s"'])+""")
    words: list[str] = []
    at = 0
    while rest := text[at:].lstrip():
        match = splitter.match(rest)
        if rest.startswith("#"):
            break
        if match is None or (match.end() < len(rest) and not rest[match.end()].isspace()):
            return None
        words.append(re.sub(r"""\\([ "'\\])|["']""", lambda part: part[1] or "", match[0]))
        at = len(text) - len(rest) + match.end()
    return words


def _not_judged(text: str) -> Iterator[str]:
    """Each line, or part of one, that paramiko does not understand."""
    for line in lines_of(text):
        match = _KEYWORD.match(line)
        if match is None:
            continue
        if match["keyword"].lower() == "include":
            yield line.strip()
            continue
        words = re.findall(r'(?:"[^"]*"|[^\s"])+', match["rest"].partition(" #")[0])
        while words:
            name, given, _ = words.pop(0).lstrip("!").lower().partition("=")
            if name in _WITHOUT_VALUE:
                continue
            if name not in _JUDGED:
                yield f"Match {name}"
            if not given and words:
                words.pop(0)
