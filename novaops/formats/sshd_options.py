"""The options that the running sshd was started with, on hosts and as lines of its configuration. Pure.

Ubuntu's package ec2-instance-connect starts it with -o, and so does SSHD_OPTS in /etc/default/ssh. Without them `sshd -T` says what the
files alone would make of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from novaops.shell import sh_file

SH = sh_file(__package__, "sshd_options.sh")
"""Sh: `as_started PROGRAM WORDS` runs sshd with those options, which $started_with has, an option or its value a line. $sshd_main is the
file that sshd reads first."""

PLACE = "the options that sshd was started with (systemctl cat ssh.service sshd.service)"
"""Where a setting comes from that stands in no file."""


def settings_file(options: Iterable[tuple[str, str]]) -> str:
    """What `-o` says, as the text of a file that is read before all others."""
    return "".join(f"{value}\n" for option, value in options if option == "-o")


def main_file(options: Iterable[tuple[str, str]], usual: str) -> str:
    """The file that is read first: the last one that `-f` names."""
    return next((value for option, value in reversed(tuple(options)) if option == "-f"), usual)
