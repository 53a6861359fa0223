"""Who gets in, seen with other eyes than novaops': paramiko's bare transport and the ssh client."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import paramiko

from novaops.lab.host import LabHost

CLOUD_INIT = "/etc/ssh/sshd_config.d/50-cloud-init.conf"

SNAPSHOT = """\
find /etc -xdev -type f ! -name '*-' ! -name ld.so.cache -printf '%m %u:%g %p\\n' | sort
find /etc -xdev -type f ! -name '*-' ! -name ld.so.cache -exec sha256sum {} + | sort
ls -d /home/* /etc/ssh/sshd_config.d
"""
"""Every byte of the configuration, but the backups that useradd and its kin leave in /etc/passwd- and beside it."""


@contextmanager
def transport(host: LabHost) -> Iterator[paramiko.Transport]:
    with socket.create_connection((host.address, host.port), timeout=20) as line:
        made = paramiko.Transport(line)
        made.start_client(timeout=20)
        try:
            yield made
        finally:
            made.close()


def lets_in(host: LabHost, user: str, *passwords: str, method: str = "password") -> list[bool]:
    """What sshd says to each password, one after the other on one connection, until one is right."""
    said: list[bool] = []
    with transport(host) as line:
        for password in passwords:
            try:
                if method == "password":
                    line.auth_password(user, password, fallback=False)
                else:
                    line.auth_interactive(user, partial(_answer, password))
            except paramiko.AuthenticationException:
                said.append(False)
            else:
                said.append(line.is_authenticated())
    return said


def _answer(password: str, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    del title, instructions
    return [password for _ in prompts]


def offered(host: LabHost, user: str) -> list[str]:
    """The methods that sshd offers to `user`, as the ssh client tells it."""
    command = host.ssh_command("true", user=user)
    where = command.index("-F")
    done = subprocess.run(
        [*command[:where], "-o", "PreferredAuthentications=none", *command[where:]], capture_output=True, text=True, check=False
    )
    return sorted(done.stderr.strip().rpartition("(")[2].removesuffix(").").split(","))


def activated_by_socket(host: LabHost) -> None:
    """Let systemd listen in sshd's place, as Ubuntu does since 22.10."""
    host.run("systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket")
    host.wait_for_ssh()


def settings(host: LabHost, files: dict[str, str]) -> None:
    """Drop-ins of others, by name; sshd takes them up."""
    for name, text in files.items():
        host.run(f"umask 077; cat >/etc/ssh/sshd_config.d/{name}", stdin=text)
    reload(host)


def reload(host: LabHost) -> None:
    host.run("systemctl is-active -q ssh.service && systemctl restart ssh.service || true")  # ends when it listens, as a reload does not
    host.wait_for_ssh()


OPERATOR_PASSWORD = "Fjord-lantern-52"  # noqa: S105 - of throwaway hosts
"""What tests give to operator, whose sudo asks for a password: the lab's hosts have none."""


def with_operator_password(host: LabHost) -> LabHost:
    passwd(host, "operator", OPERATOR_PASSWORD)
    return host


def passwd(host: LabHost, user: str, password: str) -> None:
    host.run("chpasswd", stdin=f"{user}:{password}\n")
