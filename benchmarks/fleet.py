"""Many hosts at once: novaops over a simulated fleet, healthy and with sick hosts in it.

    .venv/bin/python benchmarks/fleet.py [--hosts 100] [--rounds 3] [--parallel 64]

The endpoints are ports of this machine that lead to one container. Of the sick fleet a twentieth each is dead, slow, refuses
connections, and has another host key. Prints a table; the command ends with status 1 where a report is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novaops.errors import Unreachable
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.support.fleet import REASONS, Fleet, counts_of, fleet, prepare
from tests.support.memory import run_measured

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Measured:
    seconds: float
    mebibytes: int
    out: str
    code: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--hosts", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--parallel", type=int, default=64)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        lab = Lab(Path(folder) / ".lab")
        try:
            host = lab.up("fleet", "container", count=given.hosts)
            print(f"{platform.machine()}, {os.cpu_count()} processors, {given.hosts} hosts, {given.rounds} rounds, medians\n")
            print("| | seconds | memory | right |\n|---|---|---|---|")
            right = [
                row(host, Path(folder) / kind, given.rounds, given.parallel, counts)
                for kind, counts in (("healthy", {"fine": given.hosts}), ("sick", counts_of(given.hosts)))
            ]
        finally:
            lab.down()
    sys.exit(0 if all(right) else 1)


def row(host: LabHost, folder: Path, rounds: int, parallel: int, counts: dict[str, int]) -> bool:
    """Measure one fleet. Whether every report was right."""
    folder.mkdir()
    prepare(host, folder, HERE / "playbooks/reference.py")
    with fleet(folder, host, counts, "reference: {}") as made:
        novaops = [sys.executable, "-m", "novaops", "-i", str(made.inventory), "apply"]
        subprocess.run([*novaops, made.of("fine")[0]], check=True, capture_output=True)
        ours = [measured([*novaops, "--json", "--parallel", str(parallel), "--timeout", "20"], made.folder) for _ in range(rounds)]
        right = all(judged(made, one.out, one.code) for one in ours)
        show(f"`novaops apply`, nothing to do, {folder.name}", ours, "yes" if right else "NO")
    return right


def judged(made: Fleet, out: str, code: int) -> bool:
    """Whether each healthy host is right, each sick one is not, with the reason of its kind, and the exit code is that of the whole."""
    hosts = {one["host"]: one for one in json.loads(out)["hosts"]}
    wrong = [host for name, kind in made.kinds.items() if not _is_right(host := hosts[name], kind)]
    for host in wrong:
        print(f"{host['host']} ({made.kinds[host['host']]}): {host['status']}: {host['error']}", file=sys.stderr)
    expected = Unreachable.exit_code if made.of(*REASONS) else 0
    if code != expected:
        print(f"exit code {code} in place of {expected}", file=sys.stderr)
    return not wrong and code == expected


def _is_right(host: Mapping[str, Any], kind: str) -> bool:
    if kind not in REASONS:
        return bool(host["status"] == "unchanged")
    return host["status"] == "unreachable" and bool(re.search(REASONS[kind], host["error"]["what"]))


def measured(command: Sequence[str], folder: Path) -> Measured:
    started = time.perf_counter()
    code, out, mebibytes = run_measured(command, folder, subprocess.DEVNULL)
    return Measured(time.perf_counter() - started, mebibytes, out, code)


def show(name: str, all_of: Sequence[Measured], right: str) -> None:
    seconds = statistics.median(one.seconds for one in all_of)
    print(f"| {name} | {seconds:.1f} | {max(one.mebibytes for one in all_of)} MiB | {right} |", flush=True)


if __name__ == "__main__":
    main()
