"""Build the packages below packages/, sign them with a key made for the test, and serve them over http.

The folders are trees of files as dpkg-deb takes them. They do what the real packages do: the first configuration of
eve-ng-guacamole fails on request, root's and admin's passwords become `eve`, sshd gets `PermitRootLogin yes`, the first login of root
starts a wizard that makes new ssh host keys, and a kernel becomes the default.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parent / "packages"
STAND_IN = Path(__file__).parent.parent / "eve_standin"
VERSIONS = {"eve-ng": "6.2.0-4", "eve-ng-pro": "7.2.0-18"}


class Repository:
    """One suite of packages in a folder. `key` is what the owner publishes."""

    def __init__(self, folder: Path, suite: str = "jammy", package: str = "eve-ng", *, kernel: bool = False, api: bool = False) -> None:
        """`kernel`: whether the package brings one. `api`: whether it brings the whole API, whose nodes run, and not only the login."""
        self.folder, self.suite = folder, suite
        self._gnupg = Path(tempfile.mkdtemp(prefix="gnupg-"))  # a socket of its agent may have 107 characters, a test's folder has more
        self.fingerprint = self.new_key("eve@example.org")
        pool = self.pool / "pool"
        pool.mkdir(parents=True)
        wanted = {package: "eve-ng", "eve-ng-guacamole": "eve-ng-guacamole", **({"eve-ng-kernel": "eve-ng-kernel"} if kernel else {})}
        for name, source in wanted.items():
            _build(name, PACKAGES / source, VERSIONS[package], pool, kernel=kernel, api=api and name == package)
        self.sign()

    @property
    def pool(self) -> Path:
        """What is served: the suite's name is its path too."""
        return self.folder / "www" / self.suite

    @property
    def key(self) -> Path:
        return self.pool / "key.gpg"

    def new_key(self, user: str) -> str:
        """Make another key, publish it, and sign with it from now on. Its fingerprint."""
        self._gpg("--batch", "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never")
        listed = self._gpg("--with-colons", "--list-keys", user).decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.pool.mkdir(parents=True, exist_ok=True)
        self.key.write_bytes(self._gpg("--armor", "--export", fingerprint))
        self._signer = fingerprint
        return fingerprint

    def sign(self, valid: timedelta = timedelta(days=7)) -> None:
        """Write the indexes, and sign them; `valid` from now on."""
        index = self.pool / "dists" / self.suite / "main" / "binary-amd64"
        index.mkdir(parents=True, exist_ok=True)
        text = "\n".join(_stanza(deb, self.pool) for deb in sorted(self.pool.glob("pool/*.deb")))
        (index / "Packages").write_text(text)
        (index / "Packages.gz").write_bytes(gzip.compress(text.encode()))
        now = datetime.now(UTC)
        dates = {"Date": min(now, now + valid) - timedelta(minutes=5), "Valid-Until": now + valid}
        lines = [f"Origin: stand-in\nSuite: {self.suite}\nCodename: {self.suite}\nArchitectures: amd64\nComponents: main"]
        lines += [f"{name}: {date:%a, %d %b %Y %H:%M:%S} UTC" for name, date in dates.items()]
        lines.append("SHA256:")
        for file in (index / "Packages", index / "Packages.gz"):
            content = file.read_bytes()
            lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-amd64/{file.name}")
        release = index.parent.parent / "Release"
        release.write_text("\n".join(lines) + "\n")
        (release.parent / "InRelease").write_bytes(self._gpg("--local-user", self._signer, "--clearsign", "--output", "-", str(release)))
        self._gpg("--local-user", self._signer, "--yes", "--armor", "--detach-sign", "--output", f"{release}.gpg", str(release))

    @contextmanager
    def served(self) -> Iterator[int]:
        """The port at which this machine serves it, on all of its addresses."""
        with ThreadingHTTPServer(("", 0), partial(_Quiet, directory=str(self.folder / "www"))) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()

    def settings(self, address: str, port: int) -> dict[str, str]:
        """`repository:` of an inventory for a host that reaches this machine at `address`."""
        url = f"http://{address}:{port}/{self.suite}"
        return {"url": url, "suite": self.suite, "key": f"{url}/key.gpg", "fingerprint": self.fingerprint}

    def _gpg(self, *words: str) -> bytes:
        environment = {**os.environ, "GNUPGHOME": str(self._gnupg)}
        return subprocess.run(["gpg", "--quiet", "--no-tty", *words], env=environment, capture_output=True, check=True).stdout

    def close(self) -> None:
        """End the agent that gpg left."""
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(self._gnupg)}, check=False)
        shutil.rmtree(self._gnupg, ignore_errors=True)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _build(name: str, source: Path, version: str, pool: Path, *, kernel: bool, api: bool) -> None:
    tree = pool / f"{name}.tree"
    shutil.copytree(source, tree)
    if api:
        shutil.copytree(PACKAGES / "api", tree, dirs_exist_ok=True)
        shutil.copytree(STAND_IN, tree / "opt/unetlab/stand-in" / STAND_IN.name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in tree.rglob("*"):
        runs = file.is_dir() or file.read_bytes().startswith(b"#!")
        file.chmod(0o755 if runs else 0o644)
    control = tree / "DEBIAN" / "control"
    more = (", eve-ng-kernel" if kernel else "") + (", python3, qemu-system-x86" if api else "")
    control.write_text(control.read_text().replace("@NAME@", name).replace("@VERSION@", version).replace("@KERNEL@", more))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, pool / f"{name}.deb"], check=True, capture_output=True)
    shutil.rmtree(tree)


def _stanza(deb: Path, root: Path) -> str:
    control = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True).stdout
    content = deb.read_bytes()
    about = f"Filename: {deb.relative_to(root)}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    return f"{control}{about}"
