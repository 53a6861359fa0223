"""A dask cluster of this machine's own processes, on loopback, behind a relay that keeps what passes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from novaops.lab.process import wait_until
from tests.support.relay import Relay

ONCE = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False"}
"""What a scheduler needs that runs nothing twice."""

WORKER = "import novaops, sys; novaops.__version__ = sys.argv.pop(1); from distributed.cli.dask_worker import main; main()"


@dataclass
class Cluster:
    folder: Path
    relay: Relay
    env: Mapping[str, str]
    """What the workers' environment has besides."""
    stack: ExitStack
    protocol: str = "tcp"
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.relay.port}"

    @property
    def log(self) -> str:
        return (self.folder / "scheduler.log").read_text("utf-8")

    def add_worker(self, version: str) -> subprocess.Popen[bytes]:
        """A worker that takes itself for novaops of that version. Returns when the scheduler knows it."""
        known = self.log.count("Register worker")
        options = [
            f"{self.protocol}://127.0.0.1:{self.relay.port}",
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
        ]
        words = [sys.executable, "-c", WORKER, version, *options, "--local-directory", str(self.folder)]
        worker = self.stack.enter_context(ended(words, self.folder / f"worker{len(self.workers)}.log", self.env))
        assert wait_until(lambda: self.log.count("Register worker") > known, 90), self.log
        self.workers.append(worker)
        return worker


@contextmanager
def ended(words: Sequence[str], log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, killed at the end."""
    with log.open("wb") as file, subprocess.Popen(words, stdout=file, stderr=file, env={**os.environ, **env}) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def cluster(
    folder: Path, versions: Sequence[str], scheduler: Mapping[str, str], env: Mapping[str, str], tls: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A scheduler with these settings, and a worker for each of the versions. `tls` is from `certificate`."""
    protocol = "tls" if tls else "tcp"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with ExitStack() as stack:
        where = ["--protocol", protocol, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        program = [sys.executable, "-m", "dask", "scheduler", *where]
        stack.enter_context(ended(program, folder / "scheduler.log", {**scheduler, **(tls or {})}))
        relay = Relay(("127.0.0.1", port))
        relay.kept = bytearray()
        stack.enter_context(relay)
        made = Cluster(folder, relay, {**env, **(tls or {})}, stack, protocol)
        assert wait_until(lambda: "Scheduler at" in made.log, 90), made.log
        for version in versions:
            made.add_worker(version)
        yield made


def certificate(folder: Path) -> dict[str, str]:
    """The environment of everybody in a cluster with TLS: a certificate that is its own authority."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=dask", "-days", "2"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    whose = {f"{tls}{who}__{what}": str(path) for who in ("SCHEDULER", "WORKER", "CLIENT") for what, path in (("KEY", key), ("CERT", made))}
    return {f"{tls}CA_FILE": str(made), **whose}
