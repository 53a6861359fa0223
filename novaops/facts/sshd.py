"""The ssh server: its configuration, its settings for one user, and the connection of this probe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.formats import sshd_options
from novaops.formats.sshd_config import SshdConfig
from novaops.formats.sshd_drop_in import MAIN
from novaops.model.question import Missing, Question, Section, Singleton
from novaops.shell import join, lines_of, sh_file

Settings = Mapping[str, tuple[str, ...]]
"""The output of `sshd -T`: keyword in lower case → its values. Most have one; allowusers and its like have one for each name."""

CALLER = sh_file(__package__, "caller.sh")
"""Of the parent processes, the nearest with SSH_CONNECTION has the connection. The farthest with the same connection has the user."""

SSHD = (
    f"sshd=$(command -v sshd)\n{sshd_options.SH}"
    r"""
ask_sshd() { # WORDS: what sshd prints; $said is what it complains of
  { said=$(as_started "$sshd" "$@" 2>&1 >&3 3>&- </dev/null); } 3>&1 && return
  case $said in *'privilege separation directory: '*) ;; *) return 1 ;; esac
  # The service makes it at each of its starts; without it sshd does not even look at its configuration.
  said=${said##*directory: }; mkdir -m 0755 -p -- "${said%%"$(printf '\r')"*}"
  { said=$(as_started "$sshd" "$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
}
"""
)
"""Sh: `ask_sshd` runs sshd with the options of the running one."""

EFFECTIVE = rf"""{CALLER}{SSHD}
caller
[ -n "$sshd" ] || {{ echo 'there is no sshd' >&2; exit 1; }}
set -- $connection
here=${{1:-127.0.0.1}} local=${{3:-127.0.0.1}} port=${{4:-22}}
effective() {{ # USER [ADDRESS]
  case "$1$2" in *,*) echo "sshd cannot be asked about what has a comma in it: $1" >&2; return 1 ;; esac
  ask_sshd -T -C "user=$1,host=${{2:-$here}},addr=${{2:-$here}},laddr=$local,lport=$port" && return
  printf '%s\n' "$said" | tr -d '\r' >&2
  return 1
}}
"""
"""`effective` prints the settings for one user, from the caller's own address when none is given."""

_STATE = sh_file(__package__, "sshd_state.sh")


@dataclass(frozen=True)
class CallerFacts:
    address: str
    """The address of the ssh client, as the host sees it."""
    local_address: str
    local_port: int
    user: str
    """The user who logged in, also where sudo was used to become root."""


class Caller(Singleton[CallerFacts]):
    """The ssh connection of this probe. ABSENT when it does not run over ssh."""

    family: ClassVar[str] = "caller"

    @classmethod
    def script_one(cls) -> str:
        return f"""{CALLER}caller; if [ -n "$connection" ]; then printf '%s\\n' "$connection $user"; else echo absent; fi\n"""

    @classmethod
    def parse_one(cls, section: Section) -> CallerFacts | Missing:
        match section.stdout.strip().split(" "):
            case ["absent"]:
                return Missing.ABSENT
            case [address, _, local_address, port, user]:
                return CallerFacts(address, local_address, int(port), user)
            case _:
                return Missing.UNKNOWN


@dataclass(frozen=True)
class Sshd:
    program: str
    """The path of sshd; "" when there is none: then all the other fields are empty too."""
    version: tuple[int, int] | None
    complaint: str
    """What `sshd -t` complains of, with file and line; "" when the configuration is valid."""
    files: Mapping[str, str]
    """The text of /etc/ssh/sshd_config and of every file it includes, by path. Bytes that are no UTF-8 are surrogates."""
    units: Mapping[str, str]
    """The state (active, inactive, failed) of the units that are there, of ssh and sshd, .service and .socket. Aliases are left out."""
    accept: bool
    """Whether an active socket unit starts an sshd for each connection (Accept=yes). Then no service runs."""
    directory: bool
    """Whether there is /etc/ssh/sshd_config.d."""
    nologin: bool
    """Whether /etc/nologin or /run/nologin is there: then only root can log in."""
    pam: tuple[tuple[str, str], ...] = ()
    """What PAM asks for a login by sshd, in order: ("auth" or "account", module)."""
    options: tuple[tuple[str, str], ...] = ()
    """Of the options that the running sshd was started with those that change what it does: ("-o", "UsePAM no")."""

    @property
    def config(self) -> SshdConfig:
        """What sshd goes by: its options, then its files."""
        return SshdConfig(self.files, sshd_options.main_file(self.options, MAIN), sshd_options.settings_file(self.options))


class SshdState(Singleton[Sshd]):
    family: ClassVar[str] = "sshd"

    @classmethod
    def script_one(cls) -> str:
        return SSHD + _STATE

    @classmethod
    def parse_one(cls, section: Section) -> Sshd | Missing:
        if section.stdout.strip() == "no program":
            return Sshd("", None, "", {}, {}, accept=False, directory=False, nologin=False)
        head, found, texts = section.stdout.partition("\ntext\n")
        if section.status or not found or not head.startswith("program\t"):
            return Missing.UNKNOWN
        pairs = [line.partition("\t")[::2] for line in head.replace("\r", "").split("\n")]
        units = {unit["Id"]: unit for unit in blocks(head) if unit.get("LoadState") == "loaded"}
        major, _, minor = next((value for word, value in pairs if word == "version"), "").partition(".")
        return Sshd(
            program=pairs[0][1],
            version=(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None,
            complaint="\n".join(value for word, value in pairs if word == "complaint"),
            files=dict(_files((value for word, value in pairs if word == "file"), texts)),
            units={name: unit["ActiveState"] for name, unit in units.items()},
            accept=any(unit.get("Accept") == "yes" and unit["ActiveState"] == "active" for unit in units.values()),
            directory=("directory", "") in pairs,
            nologin=("nologin", "") in pairs,
            options=tuple((option, said) for word, value in pairs if word == "option" for option, _, said in [value.partition(" ")]),
            pam=tuple(dict.fromkeys(value.partition(":")[::2] for word, value in pairs if word == "pam")),
        )


def blocks(text: str) -> Iterator[Mapping[str, str]]:
    """The units in the output of `systemctl show`: lines KEY=VALUE, with an empty line between units. Other lines are skipped."""
    for part in text.split("\n\n"):
        block = dict(line.split("=", 1) for line in part.split("\n") if "=" in line and "\t" not in line)
        if "Id" in block:
            yield block


def _files(about: Iterable[str], texts: str) -> Iterator[tuple[str, str]]:
    rest = texts.encode("utf-8", "surrogateescape")
    for line in about:
        size, _, path = line.partition("\t")
        if int(size) > len(rest):
            raise ValueError(f"{path} is cut short")
        yield path, rest[: int(size)].decode("utf-8", "surrogateescape")
        rest = rest[int(size) :]
    if rest:
        raise ValueError("a file grew while it was read")


@dataclass(frozen=True)
class SshdEffective(Question[Settings]):
    """The settings for a login of `user` from `address`. The user need not exist."""

    user: str
    address: str = ""
    """"": the address of this probe."""
    family: ClassVar[str] = "sshd-effective"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return EFFECTIVE + "".join(f'effective {join((q.user, q.address))}; echo "= $?"\n' for q in questions)

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Settings | Missing]:
        answers: dict[Self, Settings | Missing] = {}
        left = iter(questions)
        lines: list[str] = []
        for line in lines_of(section.stdout):
            if line.startswith("= "):
                question = next(left)
                answers[question] = settings_of(lines) if line == "= 0" and lines else Missing.UNKNOWN
                lines = []
            else:
                lines.append(line)
        return answers


_FORMER = {
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
    "rsaminsize": "requiredrsasize",
}
"""How sshd before 8.5, and Red Hat's 8.7, print keywords that have another name since."""


def settings_of(lines: Iterable[str]) -> Settings:
    """What `sshd -T` printed, by the keywords of today."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        keyword, _, value = line.partition(" ")
        keyword = _FORMER.get(keyword, keyword)
        found[keyword] = (*found.get(keyword, ()), value)
    return found
