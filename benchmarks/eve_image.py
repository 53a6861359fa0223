"""The upload of an image against `scp` of the same file: the same container, the same link, by turns.

    .venv/bin/python benchmarks/eve_image.py [--megabytes 256] [--rounds 5] [--delay 0]

Both log in first, and both times have that in them. Ends with status 1 where the target is missed.
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
from contextlib import ExitStack
from pathlib import Path

from novaops.features.eve import paths
from novaops.features.eve.image_host import UPLOAD, ImageHost
from novaops.features.eve.image_names import ImageName
from novaops.features.eve.image_source import Part
from novaops.lab.lab import Lab
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from novaops.ssh.upload import send_file
from tests.support.relay import Relay

TARGET = 0.9
NAME = ImageName("qemu", "vyos", "vyos-1.4", ("virtioa.qcow2",))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--megabytes", type=int, default=256)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--delay", type=float, default=0.0, help="seconds added in each direction")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        file, known = folder / "image", folder / "known_hosts"
        file.write_bytes(os.urandom(given.megabytes << 20))
        lab = Lab(folder / ".lab")
        stack.callback(lab.down)
        host = lab.up("image", "container")
        host.run(f"mkdir -p {paths.ADDONS}/qemu")
        address, port = host.address, host.port
        if given.delay:
            address, port = "127.0.0.1", stack.enter_context(Relay((host.address, host.port), given.delay)).port
        key = " ".join(host.host_key.split()[:2])
        known.write_text(f"[{address}]:{port} {key}\n{address} {key}\n", "utf-8")
        target = Target("image", address, port, "root", str(host.identity), str(known))
        options = [*("-F", "none", "-q", "-P", str(port), "-i", str(host.identity), "-o", f"UserKnownHostsFile={known}")]
        options += ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        times: dict[str, list[float]] = {"scp": [], "novaops": []}
        for _ in range(given.rounds):
            started = time.perf_counter()
            subprocess.run(["scp", *options, str(file), f"root@{address}:{paths.ADDONS}/qemu/copy"], check=True)
            times["scp"].append(time.perf_counter() - started)
            times["novaops"].append(upload(target, file))
            uploads = f"{paths.ADDONS}/qemu/{UPLOAD}-root"
            host.run(f"cmp {paths.ADDONS}/qemu/copy {uploads}/0; rm -r {uploads}")
    scp, ours = (given.megabytes / statistics.median(times[name]) for name in ("scp", "novaops"))
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.rounds} rounds, medians, {given.delay:g} s each way\n")
    print("| a file of | `scp` | `novaops eve image add`, the upload | ratio | target |\n|---|---|---|---|---|")
    print(f"| {given.megabytes} MiB | {scp:.1f} MiB/s | {ours:.1f} MiB/s | {ours / scp:.2f} × | ≥ {TARGET} × |")
    return int(ours / scp < TARGET)


def upload(target: Target, file: Path) -> float:
    """Seconds from the login to the last byte."""
    part = Part("virtioa.qcow2", file, file.stat().st_size, "0", None, checked=True)
    started = time.perf_counter()
    session = Session(target)
    session.open()
    try:
        host = ImageHost(session, NAME)
        host.look(prepare=True)
        send_file(session, file, host.writer(part, 0), 0, lambda _: None)
    finally:
        session.close()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
