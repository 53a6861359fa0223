"""`eve check` of many hosts against `ssh host true` on them, 16 at a time: the same hosts, side by side in one run.

    .venv/bin/python benchmarks/eve_check.py [--hosts 50] [--rounds 5] [--delay 0]

The hosts are names of one container of the lab's. Ends with status 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.relay import Relay

AT_ONCE = 16
TARGET = 1.5


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--hosts", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--delay", type=float, default=0.0, help="seconds added in each direction")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        lab = Lab(Path(folder) / ".lab")
        stack.callback(lab.down)
        host = lab.up("many", "container")
        host.run("echo 'MaxStartups 200' >/etc/ssh/sshd_config.d/00-many.conf; systemctl restart ssh")
        place = (host.address, host.port)
        if given.delay:
            place = ("127.0.0.1", stack.enter_context(Relay(place, given.delay)).port)
        ssh, novaops = commands(host, Path(folder), place, given.hosts)
        times: dict[str, list[float]] = {"ssh": [], "novaops": []}
        for _ in range(given.rounds):
            times["ssh"].append(seconds(ssh))
            times["novaops"].append(seconds(novaops, expected=1))  # a container cannot run nodes: exit code 1
    bare, ours = (statistics.median(times[name]) for name in ("ssh", "novaops"))
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.rounds} rounds, medians, {given.delay:g} s each way\n")
    print("| hosts, 16 at a time | `ssh host true` | `novaops eve check` | ratio | target |\n|---|---|---|---|---|")
    print(f"| {given.hosts} | {bare:.2f} s | {ours:.2f} s | {ours / bare:.2f} × | ≤ {TARGET} × |")
    return int(ours / bare > TARGET)


def commands(host: LabHost, folder: Path, place: tuple[str, int], number: int) -> tuple[list[str], list[str]]:
    """Both ways to ask so many hosts."""
    address, port = place
    known = folder / "known_hosts"
    known.write_text(
        f"[{address}]:{port} {' '.join(host.host_key.split()[:2])}\n{address} {' '.join(host.host_key.split()[:2])}\n", "utf-8"
    )
    access = {"address": address, "port": port, "user": "root", "identity": str(host.identity), "known_hosts": str(known)}
    inventory = folder / "inventory.yaml"
    inventory.write_text(json.dumps({"hosts": {f"host{one}": {**access, "groups": ["many"]} for one in range(number)}}), "utf-8")
    options = f"-F none -i {host.identity} -p {port} -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
    ssh = f"seq {number} | xargs -P {AT_ONCE} -I N ssh {options} -o IdentitiesOnly=yes -o IdentityAgent=none root@{address} true"
    novaops = [sys.executable, "-m", "novaops", "-i", str(inventory), "--parallel", str(AT_ONCE), "eve", "check", "many"]
    return ["sh", "-c", ssh], novaops


def seconds(command: Sequence[str], expected: int = 0) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != expected or "unreachable" in done.stdout:
        sys.exit(f"{command[0]} ended with status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
