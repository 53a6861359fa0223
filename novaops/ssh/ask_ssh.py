"""Asking OpenSSH itself what its configuration says: `ssh -G`, once for each destination."""

from __future__ import annotations

import functools
import getpass
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novaops.errors import Unreachable, UsageError
from novaops.shell import join
from novaops.ssh.client_config import ClientConfig, Destination, Local, parse, quoted

SYSTEM_FILE = "/etc/ssh/ssh_config"


def ask(asked: Destination, seconds: float) -> ClientConfig:
    """The configuration of a destination. `Match exec` may run programs in it, as it does for ssh.

    Raises UsageError where ssh refuses its configuration, Unreachable where it does not answer within `seconds`.
    """
    home = os.environ.get("HOME") or _account_home()
    return _ask(asked, seconds, home, _version(Path(home) / ".ssh/config"))


def forget_answers() -> None:
    """Ask anew from now on: for a process that lives long, since what the configuration includes may change."""
    _ask.cache_clear()


@functools.lru_cache(maxsize=4096)
def _ask(asked: Destination, seconds: float, home: str, _: object) -> ClientConfig:
    local = Local(home, getpass.getuser(), os.getuid(), socket.gethostname(), os.environ.copy())
    program = shutil.which("ssh")
    if program is None:
        from novaops.ssh.parsed_config import read

        return read(asked, local, [Path(home) / ".ssh/config", Path(SYSTEM_FILE)])
    try:
        with files_of(home) as files:
            words = [program, "-T", "-G", *files, *_options(asked), "--", asked.host]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        fix = f"ssh -G {asked.host} should answer at once; does a Match exec, or CanonicalizeHostname, wait for something?"
        raise Unreachable(f"ssh did not say within {seconds:g} s what its configuration means for {asked}", fix=fix) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        why = "\n".join(line for line in said if ": terminating, " not in line)
        if "jumphost loop" in why:
            raise circle(asked, why)
        raise UsageError(f"ssh cannot use its configuration for {asked}", why=why, fix=f"{join(['ssh', '-G', asked.host])} says the same")
    return parse(asked, local, _without_default(done.stdout.decode("utf-8", "surrogateescape"), home))


def circle(asked: Destination, why: str) -> UsageError:
    """The error for a host that would be reached over itself."""
    fix = f"give {asked.host} a Host block of its own with ProxyJump none, before the general one"
    return UsageError(f"the jump hosts of ssh's configuration lead in a circle, to {asked}", why=why, fix=fix)


def _options(asked: Destination) -> list[str]:
    """What was said explicitly, so that it wins, and `Match` sees it."""
    options: list[str] = []
    if asked.port is not None:
        options += ["-p", str(asked.port)]
    if asked.user is not None:
        options += ["-l", asked.user]
    if asked.identity is not None:
        options += ["-o", f"IdentityFile={quoted(asked.identity)}", "-o", "IdentitiesOnly=yes"]
    if asked.jump:
        options += ["-J", asked.jump]
    return options


@contextmanager
def files_of(home: str) -> Iterator[list[str]]:
    """Words for ssh that make it read the configuration in `home`. By itself it looks into the home of the account, whatever HOME says."""
    if home == _account_home():
        yield []
        return
    folder = re.sub(r"([*?\[\]{}\\\"])", r"\\\1", f"{home}/.ssh")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape", suffix=".ssh_config") as file:
        file.write(f'Include "{folder}/config"\nInclude {SYSTEM_FILE}\n')
        file.flush()
        yield ["-F", file.name]


def _without_default(printed: str, home: str) -> str:
    """What ssh printed without its own default of known_hosts, which is in the home of the account: ours is in `home`.

    A default that is written into the configuration would count before what a `Match final` says.
    """
    account = _account_home()
    default = f"userknownhostsfile {account}/.ssh/known_hosts {account}/.ssh/known_hosts2\n"
    return printed if home == account else printed.replace(f"\n{default}", "\n")


@functools.cache
def _account_home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def _version(file: Path) -> tuple[int, int] | None:
    """Changes when the file changes."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
