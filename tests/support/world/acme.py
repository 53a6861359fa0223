"""A certificate authority that speaks ACME: Debian's pebble, a process of its own."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from novaops.lab.process import wait_until
from tests.support.world.authority import Authority

_DEADLINE_S = 10


@dataclass(frozen=True)
class _Settings:
    nonce_reject: int = 0
    reuse: int = 0
    days: float = 90


class Acme:
    """Runs from `start` to `stop`, or while it is entered; dies with the test process, however that ends.

    `directory` is the URL for an ACME client, whose host must trust `authority` and find `name`; http-01 looks at port 80 of
    what `resolver` (address:port) says. `root` is a file with the root of what it issues, another one at each start.
    `restart` takes its settings: `nonce_reject`, percent of the good nonces it refuses (pebble's own default is 5); `reuse`,
    percent of the valid authorizations that serve again; `days` that a certificate lasts.
    """

    def __init__(self, address: str, authority: Authority, resolver: str, folder: Path, name: str = "acme.lab.test") -> None:
        self.address = address
        self.name = name
        self.resolver = resolver
        self.folder = folder
        self.port = 14000
        self.management_port = 15000
        self._leaf = authority.leaf(name, address)
        self._trust = authority.context()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = _Settings()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def directory(self) -> str:
        return f"https://{self.name}:{self.port}/dir"

    @property
    def root(self) -> Path:
        return self.folder / "acme-root.pem"

    @property
    def log(self) -> Path:
        return self.folder / "pebble.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when it answers; nothing happens when it runs."""
        if self._process is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "listenAddress": f"{self.address}:{self.port}",
            "managementListenAddress": f"{self.address}:{self.management_port}",
            "certificate": str(self._leaf.certificate),
            "privateKey": str(self._leaf.key),
            "httpPort": 80,
            "tlsPort": 443,
            "certificateValidityPeriod": int(self._settings.days * 86400),
        }
        file = self.folder / "pebble.json"
        file.write_text(json.dumps({"pebble": config}), "utf-8")
        settings = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(self._settings.nonce_reject),
            "PEBBLE_AUTHZREUSE": str(self._settings.reuse),
        }
        command = ["setpriv", "--pdeathsig", "KILL", "pebble", "-config", str(file), "-dnsserver", self.resolver]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **settings})
        try:
            assert wait_until(self._answers, _DEADLINE_S), f"pebble does not answer:\n{self.log.read_text()[-2000:]}"
            self.root.write_bytes(self._get(self.management_port, "/roots/0"))
        except BaseException:
            self.stop()
            raise

    def restart(self, nonce_reject: int = 0, reuse: int = 0, days: float = 90) -> None:
        """Anew, with other settings; it forgets every account, as a process that knows only its memory."""
        self.stop()
        self._settings = _Settings(nonce_reject, reuse, days)
        self.start()

    def reset(self) -> None:
        """The first settings from the next start on; one that runs with others ends."""
        if self._settings != _Settings():
            self.stop()
            self._settings = _Settings()

    def stop(self) -> None:
        """It is gone when this returns."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def context(self) -> ssl.SSLContext:
        """For a client that trusts what it issues."""
        return ssl.create_default_context(cafile=str(self.root))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"pebble ended:\n{self.log.read_text()[-2000:]}"
        with suppress(OSError):
            return b"newOrder" in self._get(self.port, "/dir")
        return False

    def _get(self, port: int, path: str) -> bytes:
        with urllib.request.urlopen(f"https://{self.address}:{port}{path}", context=self._trust, timeout=5) as answer:
            return bytes(answer.read())
