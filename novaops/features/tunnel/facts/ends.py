"""What the two ends of a tunnel must know of each other: the client's public key, the gateway's host keys, and who may come in there."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.sshd import EFFECTIVE
from novaops.features.tunnel.paths import FOLDER, HOME, UNITS, USER, head
from novaops.model.question import Missing, Question, Section
from novaops.shell import join

_PUBLIC = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}")


@dataclass(frozen=True)
class KeyFacts:
    public: str
    """Type and key, computed from the private one; "" where that is no key that can be used without a word."""
    written: str
    """What the .pub file says."""
    private: bool
    """Whether nobody but its user can read it."""


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
        *lines, end = section.stdout.splitlines() or [""]
        if section.status or end != "end":
            return {}
        return {question: _key(line) for question, line in zip(questions, lines, strict=True)}


def _key(line: str) -> KeyFacts | Missing:
    if line == "absent":
        return Missing.ABSENT
    permissions, public, written = line.split("\t")
    return KeyFacts(public if _PUBLIC.fullmatch(public) else "", written, permissions == f"600 {USER}")


@dataclass(frozen=True)
class HostKeys(Question[tuple[str, ...]]):
    """The public keys that the host's own sshd shows: type and key of each."""

    family: ClassVar[str] = "host-keys"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return f"""{EFFECTIVE}
settings=$(effective root) || exit
printf '%s\\n' "$settings" | sed -n 's/^hostkey //p' | while IFS= read -r file; do
  if [ -s "$file.pub" ]; then cut -d ' ' -f 1,2 <"$file.pub"
  elif [ -e "$file" ]; then ssh-keygen -y -P '' -f "$file" </dev/null | cut -d ' ' -f 1,2
  fi
done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[str, ...] | Missing]:
        *lines, end = section.stdout.splitlines() or [""]
        if section.status or end != "end":
            return {}
        return dict.fromkeys(questions, tuple(line for line in lines if _PUBLIC.fullmatch(line)))


@dataclass(frozen=True)
class Admitted:
    """The file with the keys that may come in as the tunnels' user."""

    path: str
    """"" where sshd reads keys from no file."""
    content: bytes | None
    """None where there is no such file."""
    mode: str = ""
    owner: str = ""
    group: str = ""
    folder: bool = False
    """Whether the folder that it is in is there."""
    home: str = ""
    """The mode and the owner of the user's home; "" where there is none."""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple((self.content or b"").decode("utf-8", "surrogateescape").splitlines())


@dataclass(frozen=True)
class AuthorizedKeys(Question[Admitted]):
    family: ClassVar[str] = "admitted-keys"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return f"""{EFFECTIVE}
settings=$(effective {USER}) || exit
file=$(printf '%s\\n' "$settings" | sed -n 's/^authorizedkeysfile //p' | cut -d ' ' -f 1)
case $file in /*%[huU]*) ;; /*) file=none ;; esac # one for all users: the key would open root's account, too
user={USER} home=$(getent passwd {USER} | cut -d : -f 6); home=${{home:-{HOME}}}
file=$(printf %s "$file" | sed "s|%h|$home|g; s|%u|{USER}|g; s|%U|$(id -u {USER} 2>/dev/null)|g; s|%%|%|g")
case $file in '' | none) file= ;; /*) ;; *) file=$home/$file ;; esac
printf 'path\\t%s\\n' "$file"
[ ! -d "${{file%/*}}" ] || echo folder
[ ! -d "$home" ] || stat -L --printf 'home\\t%a %U\\n' -- "$home"
if [ -n "$file" ] && [ -e "$file" ]; then
  stat -L --printf 'rights\\t%a\\t%U\\t%G\\n' -- "$file"
  printf 'content\\t'; base64 -w 0 <"$file" || exit; echo
fi
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Admitted | Missing]:
        lines = section.stdout.splitlines()
        if section.status or lines[-1:] != ["end"]:
            return {}
        said = {row[0]: row[1:] for row in (line.split("\t") for line in lines)}
        mode, owner, group = said.get("rights", ["", "", ""])
        content = base64.b64decode(said["content"][0], validate=True) if "content" in said else None
        home = said.get("home", [""])[0]
        return dict.fromkeys(
            questions, Admitted(said["path"][0], content, mode.rjust(4, "0") if mode else "", owner, group, "folder" in said, home)
        )


@dataclass(frozen=True)
class Listener:
    """Somebody who listens on a TCP port."""

    address: str
    port: int
    program: str
    pid: int
    unit: str
    """Of systemd, in which the program runs; "" where that is not known."""


@dataclass(frozen=True)
class Listeners(Question[tuple[Listener, ...]]):
    family: ClassVar[str] = "holders"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        del questions
        return r"""
lines=$(ss -l -t -n -p -H) || exit
printf '%s\n' "$lines" '='
printf '%s\n' "$lines" | grep -o 'pid=[0-9]*' | sort -u | while IFS== read -r _ pid; do
  printf '%s %s\n' "$pid" "$(sed -n 's,.*/\([^/]*\.\(service\|socket\|scope\)\)\(/.*\)\{0\,1\}$,\1,p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)"
done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[Listener, ...] | Missing]:
        head, found, tail = section.stdout.partition("\n=\n")
        if section.status or not found or not tail.endswith("end\n"):
            return {}
        units = dict(line.split(" ", 1) for line in tail.splitlines()[:-1])
        return dict.fromkeys(questions, tuple(_holder(line, units) for line in head.splitlines() if line))


_HELD = re.compile(
    r"LISTEN\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+:\S+(?:\s+users:\(\(\"(?P<program>.*?)\",pid=(?P<pid>\d+).*)?\s*"
)


def _holder(line: str, units: Mapping[str, str]) -> Listener:
    found = _HELD.fullmatch(line)
    if found is None:
        raise ValueError(f"ss said: {line}")
    address = found["address"].partition("%")[0].strip("[]")
    return Listener(address, int(found["port"]), found["program"] or "", int(found["pid"] or 0), units.get(found["pid"] or "", ""))


@dataclass(frozen=True)
class Leftover:
    """A file of a tunnel's, as it is."""

    path: str
    mode: str
    owner: str
    group: str
    content: bytes | None
    """None for a key, which is not read."""


@dataclass(frozen=True)
class TunnelFiles(Question[tuple[Leftover, ...]]):
    """Every file of one tunnel on the client: its units, what they read, its key."""

    name: str
    family: ClassVar[str] = "tunnel-files"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        heads = join(head(q.name) for q in questions)
        return f"""\
for head in {heads}; do
  name=${{head##* }}
  echo "tunnel"
  for file in {UNITS}/novaops-tunnel-"$name"*; do
    if [ -f "$file" ] && [ "$(head -n 1 "$file")" = "$head" ]; then stat --printf '%a\\t%U\\t%G\\t%n\\t' -- "$file"; base64 -w 0 <"$file"; echo; fi
  done
  for end in conf known_hosts forwards check; do
    file={FOLDER}/$name.$end
    if [ -f "$file" ]; then stat --printf '%a\\t%U\\t%G\\t%n\\t' -- "$file"; base64 -w 0 <"$file"; echo; fi
  done
  for end in key key.pub; do
    file={FOLDER}/$name.$end
    if [ -f "$file" ]; then stat --printf '%a\\t%U\\t%G\\t%n\\t-\\n' -- "$file"; fi
  done
done
echo end
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, tuple[Leftover, ...] | Missing]:
        lines = section.stdout.splitlines()
        if section.status or lines[-1:] != ["end"]:
            return {}
        groups: list[list[Leftover]] = []
        for line in lines[:-1]:
            if line == "tunnel":
                groups.append([])
                continue
            mode, owner, group, path, content = line.split("\t")
            groups[-1].append(
                Leftover(path, mode.rjust(4, "0"), owner, group, None if content == "-" else base64.b64decode(content, validate=True))
            )
        return {question: tuple(group) for question, group in zip(questions, groups, strict=True)}
