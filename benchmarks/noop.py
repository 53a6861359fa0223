"""A check of a whole host against `ssh host true`: the same host, the same link, side by side in one run.

    .venv/bin/python benchmarks/noop.py [--rounds 9]

Prints a table of medians and their ratio. Absolute times say little; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.ssh import kept
from tests.support.relay import Relay

HERE = Path(__file__).parent
LINKS = {"no added latency": 0.0, "200 ms link": 0.1}
"""Seconds added in each direction."""

TARGETS = {"no added latency": 2.0, "200 ms link": 1.0}
WARM_TARGETS = {"no added latency": 1.0, "200 ms link": 0.35}
"""The same with --persist, over a connection that is kept."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=9)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder) / ".lab")
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            host = lab.up("reference", "container")
            print(f"{platform.machine()}, {os.cpu_count()} processors, {rounds} rounds, medians\n")
            print("| link | command | `ssh host true` | novaops | ratio | target |\n|---|---|---|---|---|---|")
            for link, delay in LINKS.items():
                print(rows(host, Path(folder), link, delay, rounds), flush=True)
        finally:
            kept.forget(None)
            lab.down()


def rows(host: LabHost, folder: Path, link: str, delay: float, rounds: int) -> str:
    with Relay((host.address, host.port), delay) as relay:
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{relay.port} {' '.join(host.host_key.split()[:2])}\n", "utf-8")
        inventory = folder / "inventory.yaml"
        inventory.write_text(
            f"hosts:\n  reference:\n    {{address: 127.0.0.1, port: {relay.port}, user: root, identity: '{host.identity}',\n"
            f"     known_hosts: '{known}', reference: {{}}}}\n",
            "utf-8",
        )
        (folder / "playbooks").unlink(missing_ok=True)
        (folder / "playbooks").symlink_to(HERE.resolve() / "playbooks")
        ssh = [
            *("ssh", "-F", "none", "-i", str(host.identity), "-p", str(relay.port), "-o", f"UserKnownHostsFile={known}"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "root@127.0.0.1", "true"),
        ]
        novaops = [sys.executable, "-m", "novaops", "-i", str(inventory), "apply"]
        warm = [*novaops, "--persist", "10m"]
        for command in (novaops, warm, warm):  # then its connection is kept
            subprocess.run(command, check=True, capture_output=True)
        times: list[list[float]] = [[], [], []]
        for _ in range(rounds):
            for its, command in zip(times, (ssh, novaops, warm), strict=True):
                its.append(seconds(command))
    bare, cold, kept_one = map(statistics.median, times)
    return "\n".join(
        f"| {link} | {command} | {bare:.2f} s | {ours:.2f} s | {ours / bare:.2f} × | ≤ {target} × |"
        for command, ours, target in (
            ("`novaops apply`, nothing to do", cold, TARGETS[link]),
            ("the same, `--persist`, the second time", kept_one, WARM_TARGETS[link]),
        )
    )


def seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
