"""Harm to the links between lab hosts: cut, stalled, moved, refused. All of it is undone, and none of it touches the machine.

Everything happens in a container's own namespaces, entered from outside: it goes on while sshd does not answer.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from novaops.lab.container import _init_of
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from novaops.lab.process import wait_until
from novaops.lab.requirements import program

HEALING_S = 60
"""In this time a link is to have seen that it is cut, and to work again: the limit that the project set itself."""

CLONE_NEWNET = 0x40000000
"""Of setns(2), which Python has from 3.12 on."""

_TABLES = count(1)

STALL = """\
table ip {table} {{
    chain incoming {{ type filter hook input priority -400; ip saddr {peer} {incoming} counter drop; }}
    chain outgoing {{ type filter hook output priority -400; ip daddr {peer} {outgoing} counter drop; }}
    chain passing {{
        type filter hook forward priority -400
        ip saddr {peer} {incoming} counter drop
        ip daddr {peer} {outgoing} counter drop
    }}
}}
"""

REFUSE = """\
table ip {table} {{
    chain incoming {{ type filter hook input priority -400; tcp dport {port} ip saddr {peer} counter reject with tcp reset; }}
}}
"""

LISTEN = """\
import socket, sys
taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
taken.bind((sys.argv[1], int(sys.argv[2])))
taken.listen()
print("listening", flush=True)
sys.stdin.read()
"""


# Seeing and doing


def inside(host: LabHost, command: str) -> str:
    """What a shell command prints in the container, whose sshd is not asked. Raises AssertionError when it fails."""
    done = _enter(host, "-a", "sh", "-c", command)
    assert done.returncode == 0, f"{host.name}: {command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def inside_holds(host: LabHost, test: str) -> bool:
    return _enter(host, "-a", "sh", "-c", test).returncode == 0


def in_network(host: LabHost, *command: str, stdin: str = "") -> str:
    """A program of this machine in the container's network. Raises AssertionError when it fails."""
    done = _enter(host, "-n", program(command[0]), *command[1:], stdin=stdin)
    assert done.returncode == 0, f"{host.name}: {' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def network_command(host: LabHost, *command: str) -> list[str]:
    """The command line that runs a program of this machine in the container's network."""
    return _entry(host, "-n", *command)


def snapshot(host: LabHost, without: str = "") -> str:
    """Addresses, routes, rules and name servers. `without` is an extended regular expression of lines that may come and go."""
    seen = inside(host, SNAPSHOT)
    if not without:
        return seen
    return subprocess.run(["grep", "-Ev", without], input=seen, capture_output=True, text=True, check=False).stdout


SNAPSHOT = """\
ip -o address | sed 's/ *valid_lft.*//'
ip route show table all | sed 's/ *$//' | sort
ip -6 route show table all | sed 's/ *$//; s/ expires [0-9]*sec//' | sort
ip rule; ip -6 rule
cat /etc/resolv.conf
"""


@dataclass
class Watch:
    """Snapshots of what must not move, taken over and over while a fault lasts."""

    host: LabHost
    without: str = ""

    def __post_init__(self) -> None:
        self.before = snapshot(self.host, self.without)

    def same(self) -> bool:
        """Raises AssertionError that shows what moved."""
        now = snapshot(self.host, self.without)
        moved = sorted(set(now.splitlines()) ^ set(self.before.splitlines()))
        assert now == self.before, f"{self.host.name}: this moved: {moved}"
        return True

    def healed(self, works: Callable[[], bool], deadline_s: float = HEALING_S) -> float:
        """Seconds until it works; nothing may move meanwhile. Raises AssertionError when it does not in time."""
        return seconds_until(lambda: self.same() and works(), deadline_s)


def seconds_until(condition: Callable[[], bool], deadline_s: float = HEALING_S) -> float:
    """How long it took to come true. Raises AssertionError when it did not in time."""
    began = time.monotonic()
    assert wait_until(condition, deadline_s), f"not within {deadline_s:.0f} s"
    return time.monotonic() - began


def say(line: str) -> None:
    """For who reads along: pytest shows it with -s, with -rP, and when the test fails."""
    sys.stdout.write(line + "\n")


# Cuts: over in a moment


def cut_by_reset(host: LabHost, peer: str, port: int) -> int:
    """How many TCP connections from the host to that port of the peer were reset, both ends told, as a stateful router does it."""
    closed = in_network(host, "ss", "-K", "-H", "-t", "-n", "state", "established", "dst", peer, "dport", "=", str(port))
    return len(closed.splitlines())


def kill(host: LabHost, *pattern: str) -> bool:
    """End processes with SIGKILL, chosen by pkill's options and pattern; whether there was one."""
    return _enter(host, "-a", "pkill", "-KILL", *pattern).returncode == 0


def kill_sessions(host: LabHost, user: str) -> bool:
    """End the sshd processes that serve a user; whether there was one."""
    return kill(host, "-f", f"^sshd(-session)?: {user}")


def power_cycle(host: LabHost) -> None:
    """Power gone and back: nothing has time to say goodbye."""
    host.stop()
    host.start()


# Faults: they last for a block


@contextmanager
def stalled(host: LabHost, peer: str, *, protocol: str = "", port: int = 0) -> Iterator[None]:
    """Packets between host and peer vanish, both ways; no one is told. Only those of that port of the peer's, when one is given."""
    table = f"lab_stall_{next(_TABLES)}"
    incoming = f"{protocol} sport {port}" if port else ""
    outgoing = f"{protocol} dport {port}" if port else ""
    in_network(host, "nft", "-f", "-", stdin=STALL.format(table=table, peer=peer, incoming=incoming, outgoing=outgoing))
    try:
        yield
    finally:
        _without_table(host, table)


@contextmanager
def refused(host: LabHost, peer: str, port: int) -> Iterator[None]:
    """The host answers the peer on that TCP port with a reset, as if nothing listened there."""
    table = f"lab_refuse_{next(_TABLES)}"
    in_network(host, "nft", "-f", "-", stdin=REFUSE.format(table=table, peer=peer, port=port))
    try:
        yield
    finally:
        _without_table(host, table)


def _without_table(host: LabHost, table: str) -> None:
    """Gone; also when a reboot of the host took it already."""
    in_network(host, "nft", "-f", "-", stdin=f"add table ip {table}\ndelete table ip {table}\n")


@contextmanager
def sshd_stopped(host: LabHost, user: str = "") -> Iterator[None]:
    """No sshd listens; the sessions of `user` are ended too. The operator's are not, but no new one comes in."""
    inside(host, "systemctl stop ssh.socket ssh.service 2>/dev/null || systemctl stop ssh.service")
    try:
        if user:
            kill_sessions(host, user)
        yield
    finally:
        inside(host, "systemctl start ssh.service")
        host.wait_for_ssh()


@contextmanager
def moved(host: LabHost, lab: Lab) -> Iterator[str]:
    """The host has another address, and not its own one any more: DHCP gave it a new one. novaops does not reach it meanwhile."""
    network = network_up(lab.directory)
    new = str(ipaddress.ip_network(network.subnet)[200 + next(_TABLES) % 40])
    gateway = network.gateway.partition("/")[0]

    def give(address: str) -> None:
        in_network(host, "ip", "address", "flush", "dev", "host0", "scope", "global")
        in_network(host, "ip", "address", "add", f"{address}/24", "brd", "+", "dev", "host0")
        in_network(host, "ip", "route", "replace", "default", "via", gateway, "dev", "host0", "proto", "static")

    try:
        give(new)
        yield new
    finally:
        give(host.address)
        host.wait_for_ssh()


@contextmanager
def another_address(lab: Lab, number: int = 2) -> Iterator[str]:
    """One more address of the bridge, for a service that moves; what listens on every address listens there too."""
    network = network_up(lab.directory)
    address = str(ipaddress.ip_network(network.subnet)[number])
    subprocess.run([program("ip"), "address", "add", f"{address}/24", "dev", network.bridge], check=True)
    try:
        yield address
    finally:
        subprocess.run([program("ip"), "address", "delete", f"{address}/24", "dev", network.bridge], check=False)


@contextmanager
def far_address(lab: Lab, host: LabHost) -> Iterator[str]:
    """An address of the host's that is no neighbour of the others': they reach it by their default route."""
    network = network_up(lab.directory)
    address = f"198.19.{int(ipaddress.ip_network(network.subnet).network_address) >> 8 & 255}.10"
    route = [f"{address}/32", "via", host.address, "dev", network.bridge]
    in_network(host, "ip", "address", "replace", f"{address}/32", "dev", "lo")
    subprocess.run([program("ip"), "route", "replace", *route], check=True)
    try:
        yield address
    finally:
        subprocess.run([program("ip"), "route", "delete", *route], check=False)


def move_thread_to(host: LabHost) -> None:
    """What this thread opens from now on is in the container's network; the others of this process stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{_init(host)}/ns/net").open("rb") as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def port_taken(host: LabHost, port: int, address: str = "127.0.0.1", deadline_s: float = 30) -> Iterator[None]:
    """Somebody else listens there, as soon as it is free; take it from its owner first."""
    began = time.monotonic()
    while True:
        command = network_command(host, sys.executable, "-c", LISTEN, address, str(port))
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if process.stdout.readline():
            break
        _, why = process.communicate()
        assert time.monotonic() - began < deadline_s, f"{address}:{port} was not to be had: {why}"
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def another_host_key(host: LabHost) -> Iterator[None]:
    """The sshd shows a host key that nobody knows: another machine, or somebody in between. Neither novaops nor the lab gets in."""
    key = "/etc/ssh/ssh_host_ed25519_key"
    inside(host, f"cp -a {key} /run/lab-key; cp -a {key}.pub /run/lab-key.pub; rm {key}*; ssh-keygen -q -t ed25519 -N '' -f {key}")
    try:
        inside(host, "systemctl restart ssh.service")
        yield
    finally:
        inside(host, f"cp -a /run/lab-key {key}; cp -a /run/lab-key.pub {key}.pub; rm /run/lab-key*; systemctl restart ssh.service")
        host.wait_for_ssh()


@contextmanager
def changed(host: LabHost, path: str, *words: str) -> Iterator[None]:
    """A file that a command of sh, which gets its path as $1, changes for a while; its owner and mode stay."""
    inside(host, f"cp -a '{path}' '{path}.lab'")
    try:
        inside(host, f"set -- '{path}'; {' '.join(words)}")
        yield
    finally:
        inside(host, f"cat '{path}.lab' >'{path}'; rm -f '{path}.lab'")


def established(host: LabHost, peer: str, port: int) -> int:
    """How many TCP connections the host has to that port of the peer."""
    seen = in_network(host, "ss", "-H", "-t", "-n", "state", "established", "dst", peer, "dport", "=", str(port))
    return len(seen.splitlines())


def listening(host: LabHost, port: int) -> list[str]:
    """The addresses on which that TCP port is open."""
    seen = in_network(host, "ss", "-H", "-t", "-n", "-l", "sport", "=", str(port))
    return sorted(line.split()[3].rpartition(":")[0] for line in seen.splitlines())


def addresses(host: LabHost) -> list[str]:
    """The IPv4 addresses that are not the loopback's."""
    seen = json.loads(in_network(host, "ip", "-json", "-4", "address"))
    return [each["local"] for link in seen for each in link["addr_info"] if link["ifname"] != "lo"]


def _enter(host: LabHost, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(_entry(host, *words), input=stdin, capture_output=True, encoding="iso-8859-15", timeout=120, check=False)


def _entry(host: LabHost, *words: str) -> list[str]:
    return [program("nsenter"), "-t", str(_init(host)), words[0], "--", *words[1:]]


def _init(host: LabHost) -> int:
    """The container's first process; between two boots it is waited for."""
    assert host.state.process is not None, f"{host.name} does not run"
    supervisor = host.state.process.pid
    wait_until(lambda: _init_of(supervisor) is not None, 20)
    init = _init_of(supervisor)
    assert init is not None, f"{host.name} has no init"
    return init
