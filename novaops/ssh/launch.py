"""How a script is started on a host: the command that reads it, the talk before its first line, and why it was not started.

Pure: bytes in, bytes out. It goes by marks, lines that no host prints by accident: a login shell may greet, and each sudo has words
of its own. Words only choose among hints.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from novaops.errors import HostFailed, NoRoot
from novaops.secret import Secret
from novaops.shell import assign, quote, sh_file
from novaops.ssh.client_config import Destination
from novaops.ssh.target import Target

MOST_NOISE = 1 << 20
"""Bytes before the script's own output that are read: a menu may ask again and again."""

_SSH = 22

_WORD = 32
"""Bytes of the longest word behind a mark, and more."""

_NOT_EXECUTED = 126
"""The exit status of a shell that may not start a program (POSIX)."""

_WIDTH = 300
"""Characters of each line of a host's that are shown."""


class Launch:
    """One script on its way to the shell that runs it.

    Without a sudo password the script is sent with the command. With one it is held back until root's shell is there, since sudo-rs
    reads more of its input than the line with the password. The password is sent only when the host has asked for it.
    """

    def __init__(self, script: str, *, root: bool, sudo_password: Secret | None = None, asked: bool = False) -> None:
        """`asked`: the host asked for the password before, so that it is sent at once."""
        self.asked = asked
        """Whether the host has asked for the password."""
        self.begun = False
        """Whether the script's shell is there."""
        self.by = ""
        """How the login becomes root: sudo, doas, or none where there is neither. "" for root itself, and before the shell has told."""
        self.held_back = root and sudo_password is not None
        """Whether the script is sent only when its shell is there."""
        self._mark = f"novaops-{secrets.token_hex(16)}"
        self._password = sudo_password if root else None
        self._due = b""
        self._script: bytes | None = (script or ":\n").encode("utf-8", "surrogateescape")
        self._noise = (bytearray(), bytearray())
        self._passed = [False, False]
        self.command = self._as_root() if root else _in_sh(self._begin())
        if self._password is None:
            self._release()
        elif asked:
            self._due = _line(self._password.reveal())

    def _begin(self) -> str:
        """Words of sh: print the mark on both streams, then run standard input. What follows the mark is output of the script.

        Where a password may stand before the script, what comes up to the mark is dropped: it must never be taken for a command.
        """
        drop = f'while IFS= read -r line; do [ "$line" != {self._mark} ] || break; done; ' if self.held_back else ""
        return f"echo {self._mark}; echo {self._mark} >&2; {drop}exec sh -s"

    def _as_root(self) -> str:
        values = assign(mark=self._mark, begin=self._begin(), wants="" if self._password is None else "yes")
        return _in_sh(values.replace("\n", "; ") + " ".join(sh_file(__package__, "become_root.sh").split("\n")).strip())

    def due(self) -> tuple[bytes, bool]:
        """What is to be sent now, and whether that is the end of the input."""
        due, self._due = self._due, b""
        return due, self._script is None

    def give(self, script: str) -> None:
        """Have another script sent in the place of the one that is due, where nothing was sent and no password is needed."""
        self._due = script.encode("utf-8", "surrogateescape")

    def heard(self, stream: int, data: bytes) -> bytes:
        """Take what came on stdout (0) or stderr (1), and return the part that is output of the script. Ask `due` after it."""
        if self._passed[stream]:
            return data
        noise, begin = self._noise[stream], _line(self._mark)
        start = max(0, len(noise) - len(begin))
        noise += data
        at = noise.find(begin, start)
        self._listen(noise, start)
        if at < 0:
            return b""
        said = bytes(noise[at + len(begin) :])
        del noise[at:]
        self._passed[stream] = True
        if stream == 0:
            self.begun = True
            self._release()
        return said

    def _release(self) -> None:
        """Let the script go, if that was not done: its shell is there, or nothing else reads the input."""
        if self._script is None:
            return
        self._due = (b"" if self._password is None else _line(self._mark)) + self._script
        self._script = None

    def _listen(self, noise: bytearray, start: int) -> None:
        """Take what the mark says in the noise from `start` on, and in what a word before it may have begun."""
        for word in re.findall(rf"{self._mark} ([a-z]+)\n".encode(), noise[max(0, start - _WORD) :]):
            if word != b"password":
                self.by = word.decode()
            elif not self.asked and self._password is not None:
                self.asked = True
                self._due = _line(self._password.reveal())

    def why_not(self, status: int, target: Target, user: str) -> HostFailed:
        """Why the script was not started, when the command ended with `status`. `user` is who logged in."""
        if not self.by:
            why = "\n".join(self.printed())
            what = f"{user} can run nothing on {target} (exit status {status})"
            return HostFailed(what, why=why or "Its login shell printed nothing.", fix=shell_hint(why, target, user))
        why = "\n".join(re.sub(r"^(sudo|sudo-rs|doas): ", "", line) for line in self.printed(2))
        also = "" if self._password else "; --ask-sudo-password where sudo wants a password"
        if self.by == "none":
            why = "sudo is not installed, and the login is not root"
        elif self.by == "sudo" and self.asked and re.search(r"incorrect \w+ attempt", why):
            fix = f"try it by hand: {_ssh(target, user)} sudo -k true"
            return NoRoot(f"sudo on {target} did not take the password of {user}", why=why, fix=fix)
        elif self.by == "sudo" and (faults := self._sudoers_faults()):
            fix = f"mend the file as root: visudo -c tells what is wrong in it{also}"
            return NoRoot(f"sudo on {target} does not take all of its rules", why="\n".join(faults), fix=fix)
        elif self.by == "sudo" and self._password is None and re.search(r"password is required|authentication is required", why):
            fix = "add --ask-sudo-password, or sudo_password: env:NAME in the inventory"
            return NoRoot(f"sudo on {target} wants a password for {user}", why=why, fix=fix)
        fix = _hint(_ROOT_FIXES, why, target, user) or f"log in as root, or give the user sudo rights{also}"
        return NoRoot(f"{user} cannot become root on {target}", why=why, fix=fix)

    def _sudoers_faults(self) -> list[str]:
        """The lines in which sudo names a file of rules that it does not read, or a line. What it says after them may follow from that."""
        return [line.removeprefix("sudo: ") for line in self.printed(_MOST_FAULTS) if _SUDOERS_FAULT.search(line)]

    def printed(self, most: int = 4) -> list[str]:
        """The last lines that are not output of the script, without blank ones: of sudo where it was called, else of the login's shell."""
        called = f"{self._mark} {self.by}\n" if self.by else ""
        lines: dict[str, None] = {}  # by which a line is found at once: there may be a hundred thousand of them
        for noise in reversed(self._noise):
            text = noise.decode("utf-8", "replace")
            text = (text.rpartition(called)[2] if called else text).replace(self.command, "…")
            for line in map(str.strip, text.split("\n")):
                if line and not line.startswith(self._mark) and "unable to resolve host" not in line and line not in lines:
                    lines[line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"] = None
        return list(lines)[-most:]

    @property
    def too_noisy(self) -> bool:
        return max(map(len, self._noise)) > MOST_NOISE


_MOST_FAULTS = 20

_SUDOERS_FAULT = re.compile(
    r"sudoers\S*(:\d+)+:|error in \S*/sudoers|/sudoers\S* is (world|group) writable|/sudoers\S* is owned by|[Uu]nable to open \S*/sudoers"
)

_ROOT_FIXES = {
    "you must have a tty": "allow sudo without a terminal: Defaults:{user} !requiretty in a file of /etc/sudoers.d",
    "expired": "set a new password: {ssh} passwd",
    "^Authenti|^Operation not permitted": "permit nopass {user} in /etc/doas.conf, since doas takes a password on a terminal only",
}
"""What to do about some of the words of sudo and doas."""

_SHELL_FIXES = {
    r'user "(?!NONE")(?P<other>[\w.-]+)" rather than': "use {other}@{there}",
    r"as the (?!NONE )(?P<other>[\w.-]+) user rather than": "use {other}@{there}",
    "(?i)password .*(expired|change)|change .*password": "set a new password: {ssh}",
}
"""What to do about some of the words of login shells and forced commands. The first two are
cloud-init's on the key of root; it says NONE where the image has no user.
"""


def begun_hint(status: int, target: Target) -> str:
    """What to do where root's shell began, and ended before it read its script; "" where that is unknown."""
    allowed = "allow sudo to start programs that start others: no NOEXEC: in the user's line, no Defaults noexec in the files of sudo"
    return f"{allowed} on {target.address}" if status == _NOT_EXECUTED else ""


def _hint(table: Mapping[str, str], said: str, target: Target, user: str) -> str:
    """What the table says to do about these words; "" for none."""
    for words, fix in table.items():
        if match := re.search(words, said):
            there = Destination(target.address, port=target.port if target.port != _SSH else None)
            return fix.format(user=user, there=there, ssh=_ssh(target, user), **match.groupdict())
    return ""


def shell_hint(said: str, target: Target, user: str) -> str:
    """What to do where `said` is what a login shell or a forced command printed instead of running the script."""
    unknown = f"give {user} a login shell that runs commands, and its key no forced command; or log in as another user"
    return _hint(_SHELL_FIXES, said, target, user) or unknown


def _ssh(target: Target, user: str) -> str:
    """The command that opens a terminal there."""
    port = "" if target.port in {None, _SSH} else f"-p {target.port} "
    return f"ssh -t {port}{user}@{target.address}"


def _in_sh(body: str) -> str:
    """The command that runs `body` in sh, whatever the login shell is. Not by exec: a restricted shell has none."""
    return f"env LC_ALL=C sh -c {quote(body)}"


def _line(text: str) -> bytes:
    return f"{text}\n".encode("utf-8", "surrogateescape")
