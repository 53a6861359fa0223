"""ssh's configuration where no ssh is installed: read by paramiko, as far as paramiko reads it right."""

from __future__ import annotations

import glob
import io
import re
from collections.abc import Iterator
from pathlib import Path

import paramiko

from novaops.errors import UsageError
from novaops.ssh.client_config import ClientConfig, Destination, Local

_WITHOUT_VALUE = {"all", "canonical", "final"}
_JUDGED = {"host", "originalhost", "user", "localuser", "exec"}
"""The criteria of Match that paramiko judges. It takes every other one for met."""

_KEYWORD = re.compile(r"\s*(?P<keyword>match|include)\b\s*=?\s*(?P<rest>.*)", re.IGNORECASE)
_BLOCK = re.compile(r"\s*(host|match)\b", re.IGNORECASE)
_COMMENT_BEHIND = re.compile(r'^([^"#\n]*[^"#\s])\s+#[^\n]*$', re.MULTILINE)


def read(asked: Destination, local: Local, files: list[Path]) -> ClientConfig:
    """The configuration of a destination. Raises UsageError for what paramiko would read wrongly."""
    values: dict[str, tuple[str, ...]] = {}
    for file in files:
        try:
            text = file.read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            continue
        text = _COMMENT_BEHIND.sub(r"\1", text)
        text = _with_included(text, file.parent)
        if wrong := next(_not_judged(text), None):
            raise UsageError(
                f"{file} has {wrong}, which only ssh itself can judge",
                why="No ssh client was found on this machine.",
                fix="install the OpenSSH client",
            )
        config = paramiko.SSHConfig()
        try:
            config.parse(io.StringIO(text))
            found = config.lookup(asked.host)
        except (paramiko.SSHException, ValueError, KeyError) as error:
            raise UsageError(f"{file} cannot be read", why=str(error), fix="install the OpenSSH client, which says what is wrong") from None
        for keyword, value in found.items():
            several = tuple(value) if isinstance(value, list) else (value,)
            if keyword == "identityfile":
                values[keyword] = (*values.get(keyword, ()), *several)
            else:
                values.setdefault(keyword, several)
    defaults = [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk")]
    values.setdefault("identityfile", tuple(defaults))
    explicit = {"user": asked.user, "port": asked.port, "proxyjump": asked.jump or None, "identityfile": asked.identity}
    values |= {keyword: (str(value),) for keyword, value in explicit.items() if value is not None}
    return ClientConfig(asked, local, values)


def _with_included(text: str, folder: Path) -> str:
    """The text with the files that it includes outside of any block. Within a block an Include stays: paramiko does not follow it."""
    lines: list[str] = []
    for line in text.splitlines():
        match = _KEYWORD.match(line)
        if _BLOCK.match(line):
            break
        if match is None or match["keyword"].lower() != "include":
            lines.append(line)
            continue
        for word in re.findall(r'"[^"]*"|[^\s"]+', match["rest"]):
            pattern = folder / Path(word.strip('"')).expanduser()
            for file in sorted(glob.glob(str(pattern))):  # noqa: PTH207 - an absolute pattern
                included = Path(file).read_bytes().decode("utf-8", "surrogateescape")
                lines += [*_with_included(_COMMENT_BEHIND.sub(r"\1", included), folder).splitlines(), "Host *"]
    rest = text.splitlines()
    start = next((number for number, line in enumerate(rest) if _BLOCK.match(line)), len(rest))
    return "\n".join((*lines, *rest[start:]))


def _not_judged(text: str) -> Iterator[str]:
    """Each line, or part of one, that paramiko does not understand."""
    for line in text.splitlines():
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
