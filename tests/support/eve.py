"""The stand-in of EVE-NG for tests, in the test's own process, and its images."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.eve_standin import guest
from tests.support.eve_standin.server import Server
from tests.support.eve_standin.state import Eve

needs_qemu = pytest.mark.skipif(not (shutil.which("qemu-img") and shutil.which("qemu-system-x86_64")), reason="qemu is not installed")


class StandIn:
    """EVE-NG on 127.0.0.1: Community by http, and Pro by https to which http leads."""

    def __init__(self, root: Path, edition: str = "community", **options: bool) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.eve = Eve(root, edition, **options)
        self.certificate = root / "certificate.pem"
        if edition == "pro":
            secure = Server(self.eve, tls=self_signed(root))
            self.servers = [secure, Server(self.eve, leads_to=secure.port)]
        else:
            self.servers = [Server(self.eve)]

    @property
    def port(self) -> int:
        return self.servers[0].port

    @property
    def url(self) -> str:
        return f"{'https' if self.eve.edition == 'pro' else 'http'}://127.0.0.1:{self.port}"

    def image(self, name: str, disk: str = "hda.qcow2", content: bytes | None = None) -> Path:
        """An image of the guest that boots, or of this content."""
        file = self.root / "addons/qemu" / name / disk
        file.parent.mkdir(parents=True)
        file.write_bytes(guest.disk() if content is None else content)
        for folder in (file.parent, file.parent.parent, file.parent.parent.parent):
            folder.chmod(0o755)
        file.chmod(0o644)
        return file

    def image_of_iol(self, name: str) -> None:
        file = self.root / "addons/iol/bin" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\x7fELF")
        file.chmod(0o755)

    def calls(self, method: str) -> list[str]:
        return [call for call in self.eve.calls if call.startswith(f"{method} ") and "/auth/" not in call]

    def close(self) -> None:
        self.eve.close()
        for server in self.servers:
            server.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
         "/CN=eve-ng", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
