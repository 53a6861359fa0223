"""known_hosts files of OpenSSH: entries are read with file and line. New lines are appended; nothing is rewritten."""

from __future__ import annotations

import base64
import fcntl
import fnmatch
import functools
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from novaops.shell import lines_of


@dataclass(frozen=True)
class Entry:
    """One line: the hosts, their key, and the place of the line."""

    patterns: tuple[str, ...]
    key_type: str
    key: bytes
    file: Path
    line: int
    marker: str = ""
    """@revoked or @cert-authority; "" for a plain key."""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def host_name(address: str, port: int) -> str:
    """How known_hosts names a server: the address alone on port 22, else `[address]:port`."""
    return address if port == 22 else f"[{address}]:{port}"  # noqa: PLR2004 - ssh's own port


def fingerprint(key: bytes) -> str:
    """SHA256:…, as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def entries(files: Iterable[Path]) -> Iterator[Entry]:
    """Every entry of the files that exist. Lines that cannot be read are skipped, as ssh does."""
    for file in files:
        path = file.expanduser()
        try:
            text = path.read_text("utf-8", "surrogateescape")
        except OSError:
            continue
        for number, line in enumerate(lines_of(text), 1):
            if entry := _entry(line, path, number):
                yield entry


def _entry(line: str, path: Path, number: int) -> Entry | None:
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:  # noqa: PLR2004 - patterns, type, key
        return None
    try:
        key = base64.b64decode(fields[2], validate=True)
    except ValueError:
        return None
    return Entry(tuple(fields[0].split(",")), fields[1], key, path, number, marker)


@dataclass(frozen=True)
class _Index:
    """The entries of one file: by name those that only name hosts, and the others, which have patterns."""

    named: Mapping[str, Sequence[Entry]]
    others: Sequence[Entry]

    def find(self, host: str) -> list[Entry]:
        found = [*self.named.get(host.lower(), ()), *(entry for entry in self.others if _matches(host, entry.patterns))]
        return sorted(found, key=lambda entry: entry.line)


def find(host: str, files: Iterable[Path]) -> list[Entry]:
    """`matching` over the files. Each version of a file is read once: with a thousand hosts that is what takes the time."""
    return [entry for file in files for entry in _index(file.expanduser(), _version(file.expanduser())).find(host)]


def _version(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


@functools.lru_cache(maxsize=16)
def _index(path: Path, _: tuple[int, ...]) -> _Index:
    named: dict[str, list[Entry]] = {}
    others = []
    for entry in entries([path]):
        if any(set(pattern) & set("*?!|") for pattern in entry.patterns):
            others.append(entry)
        else:
            for name in {pattern.lower() for pattern in entry.patterns}:
                named.setdefault(name, []).append(entry)
    return _Index(named, others)


def matching(host: str, known: Iterable[Entry]) -> list[Entry]:
    """The entries for `host`, which is in the form of `host_name`."""
    return [entry for entry in known if _matches(host, entry.patterns)]


def _matches(host: str, patterns: tuple[str, ...]) -> bool:
    found = False
    for pattern in patterns:
        if pattern.startswith("|1|"):
            found = found or _hashed(host, pattern)
        elif pattern.startswith("!"):
            if fnmatch.fnmatchcase(host.lower(), _literal_brackets(pattern[1:])):
                return False
        elif fnmatch.fnmatchcase(host.lower(), _literal_brackets(pattern)):
            found = True
    return found


def _literal_brackets(pattern: str) -> str:
    """A pattern for fnmatch. To ssh only * and ? are special, to fnmatch a bracket is too."""
    return pattern.lower().replace("[", "[[]")


def _hashed(host: str, pattern: str) -> bool:
    try:
        _, _, salt, digest = pattern.split("|")
        return hmac.compare_digest(hmac.digest(base64.b64decode(salt), host.lower().encode(), "sha1"), base64.b64decode(digest))
    except ValueError:
        return False


def add(file: Path, host: str, key_type: str, key: bytes) -> bool:
    """Append a line, under a lock; the rest of the file stays byte for byte. False when the line is there already."""
    path = file.expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = f"{host} {key_type} {base64.b64encode(key).decode()}\n".encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        text = stream.readall() or b""
        if line in text.splitlines(keepends=True):
            return False
        stream.write(line if text.endswith(b"\n") or not text else b"\n" + line)
    return True
