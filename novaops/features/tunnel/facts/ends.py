"""What the two ends of a tunnel must know of each other: the client's public key, the gateway's host keys and authorized keys."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.sshd import EFFECTIVE
from novaops.features.tunnel.paths import FOLDER, HOME, UNITS, USER, header
from novaops.model.question import Missing, Question, Section, Singleton
from novaops.shell import join, lines_of, sh_file

_PUBLIC = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}")


@dataclass(frozen=True)
class KeyFacts:
    public: str
    """Type and key, computed from the private one; "" where that is no key, or one with a passphrase."""
    written: str
    """Type and key as the .pub file has them."""
    private: bool
    """Whether only the tunnel's user can read it."""


@dataclass(frozen=True)
class TunnelKey(Question[KeyFacts]):
    """The key pair of a tunnel. The private key is never read by anything but ssh-keygen."""

    name: str
    family: ClassVar[str] = "tunnel-key"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"""\
for name in {join(q.name for q in questions)}; do
  file={FOLDER}/$name.key
  if [ ! -e "$file" ]; then echo absent; continue; fi
  printf '%s\\t%s\\t%s\\n' "$(stat -L -c '%a %U' -- "$file")" "$(ssh-keygen -y -P '' -f "$file" 2>/dev/null </dev/null | cut -d ' ' -f 1,2)" "$(head -n 1 "$file.pub" 2>/dev/null | cut -d ' ' -f 1,2)"
done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, KeyFacts | Missing]:
        *lines, end = lines_of(section.stdout) or [""]
        if section.status or end != "end":
            return {}
        return {question: _key(line) for question, line in zip(questions, lines, strict=True)}


def _key(line: str) -> KeyFacts | Missing:
    if line == "absent":
        return Missing.ABSENT
    permissions, public, written = line.split("\t")
    return KeyFacts(public if _PUBLIC.fullmatch(public) else "", written, permissions == f"600 {USER}")


class HostKeys(Singleton[tuple[str, ...]]):
    """The public keys that the host's own sshd shows: type and key of each."""

    family: ClassVar[str] = "host-keys"

    @classmethod
    def script_one(cls) -> str:
        return f"""{EFFECTIVE}
settings=$(effective root) || exit
printf '%s\\n' "$settings" | sed -n 's/^hostkey //p' | while IFS= read -r file; do
  # sshd shows the key that belongs to the private one; a .pub may be left from another. It counts where only an agent has the private one.
  public=$(ssh-keygen -y -P '' -f "$file" 2>/dev/null </dev/null) || public=$(cat "$file.pub" 2>/dev/null)
  [ -z "$public" ] || printf '%s\n' "$public" | cut -d ' ' -f 1,2
done
echo end
"""

    @classmethod
    def parse_one(cls, section: Section) -> tuple[str, ...] | Missing:
        *lines, end = lines_of(section.stdout) or [""]
        if section.status or end != "end":
            return Missing.UNKNOWN
        return tuple(line for line in lines if _PUBLIC.fullmatch(line))


@dataclass(frozen=True)
class AuthorizedKeysFile:
    """The file with the keys that log in as the tunnels' user."""

    path: str
    """"" where sshd reads keys from no file of that user alone."""
    content: bytes | None
    """None where there is no such file."""
    mode: str = ""
    owner: str = ""
    group: str = ""
    folder: bool = False
    """Whether its folder exists."""
    home: str = ""
    """The mode and the owner of the user's home; "" where there is none."""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(lines_of((self.content or b"").decode("utf-8", "surrogateescape")))


class AuthorizedKeys(Singleton[AuthorizedKeysFile]):
    family: ClassVar[str] = "admitted-keys"

    @classmethod
    def script_one(cls) -> str:
        return f"{EFFECTIVE}user={USER} home={HOME}\n{sh_file(__package__, 'authorized_keys.sh')}"

    @classmethod
    def parse_one(cls, section: Section) -> AuthorizedKeysFile | Missing:
        lines = lines_of(section.stdout)
        if section.status or lines[-1:] != ["end"]:
            return Missing.UNKNOWN
        said = {row[0]: row[1:] for row in (line.split("\t") for line in lines)}
        mode, owner, group = said.get("permissions", ["", "", ""])
        content = base64.b64decode(said["content"][0], validate=True) if "content" in said else None
        home = said.get("home", [""])[0]
        return AuthorizedKeysFile(said["path"][0], content, mode.rjust(4, "0") if mode else "", owner, group, "folder" in said, home)


@dataclass(frozen=True)
class TunnelFile:
    """A file of a tunnel, as it is."""

    path: str
    mode: str
    owner: str
    group: str
    content: bytes | None
    """None for a key: it is not read."""


@dataclass(frozen=True)
class TunnelFiles(Question[tuple[TunnelFile, ...]]):
    """Every file of one tunnel on the client: its units, what they read, its key."""

    name: str
    family: ClassVar[str] = "tunnel-files"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        headers = join(header(question.name) for question in questions)
        return f"set -- {headers}\nconfigs={FOLDER} units={UNITS}\n{sh_file(__package__, 'tunnel_files.sh')}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[TunnelFile, ...] | Missing]:
        lines = lines_of(section.stdout)
        if section.status or lines[-1:] != ["end"]:
            return {}
        groups: list[list[TunnelFile]] = []
        for line in lines[:-1]:
            if line == "tunnel":
                groups.append([])
                continue
            mode, owner, group, path, content = line.split("\t")
            groups[-1].append(
                TunnelFile(path, mode.rjust(4, "0"), owner, group, None if content == "-" else base64.b64decode(content, validate=True))
            )
        return {question: tuple(group) for question, group in zip(questions, groups, strict=True)}
