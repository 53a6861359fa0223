"""The dead man's switch: the host itself rolls back what could lock somebody out, unless a fresh login confirms it.

Before the first step of a guarded range the run arms a timer on the host. After the last step it waits for a file in its
confirm directory, where everybody may make a file but only root can list them. The file's name is the answer. Only the
operator's side knows it beforehand, and makes the file over a fresh connection.

The range is rolled back when the timer goes off first, when the host is booted meanwhile, or when the file's name says that
the login failed. The first process to remove the file `open` decides, if it is still running: that needs no room on a full disk.
Pure: this gives the sh for both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # and more is imported where it is needed: the command line's help names the seconds below
    from novaops.secret import Secret

SECONDS = 90
"""How long the host waits for the fresh login, unless told otherwise."""

LEAST = 10
"""Seconds. With less, a login over a slow link would come too late."""

BOOT_UNIT = "/etc/systemd/system/novaops-guard.service"
"""What rolls the range back after a reboot. One name for all: only one run at a time has the host."""

Answer = Literal["keep", "roll back"]


@dataclass(frozen=True)
class Guard:
    token: Secret
    """What confirms: made for one run. Only the operator's side knows it until the fresh login."""
    seconds: int = SECONDS

    def answer(self, run: str, number: int, answer: Answer) -> str:
        """The script that answers for guarded range `number` while the run waits. It needs no root: any fresh login can run it."""
        return f"[ ! -d {confirm_dir(run)} ] || : >{confirm_dir(run)}/{self.file_name(number, answer)}\n"

    def file_name(self, number: int, answer: Answer) -> str:
        """The file in the confirm directory that means this answer for guarded range `number`. It cannot be guessed without the token."""
        from hashlib import sha256

        return sha256(f"{answer} {number} {self.token.reveal()}".encode("utf-8", "surrogateescape")).hexdigest()

    def file_names(self, ranges: int) -> str:
        """KEEP:BACK for each guarded range: the file names of both answers, as guard.sh takes them."""
        return " ".join(f"{self.file_name(number, 'keep')}:{self.file_name(number, 'roll back')}" for number in range(ranges))


def confirm_dir(run: str) -> str:
    """Where the run waits for the answer."""
    return f"/run/novaops-{run}"


def waits(run: str) -> str:
    """A test in sh: whether the run still waits there. It needs no root."""
    return f"[ -d {confirm_dir(run)} ]"


def library(run: str, guard: Guard, ranges: int) -> str:
    """The guard's functions in the run's script, with their variables."""
    from novaops.shell import assign, sh_file

    variables = assign(
        confirm_dir=confirm_dir(run),
        boot_unit=BOOT_UNIT,
        wants=f"{BOOT_UNIT.rpartition('/')[0]}/multi-user.target.wants",
        seconds=guard.seconds,
        answers=guard.file_names(ranges),
    )
    return variables + sh_file(__package__, "guard.sh")
