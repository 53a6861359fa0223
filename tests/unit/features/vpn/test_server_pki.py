"""The sh of a VPN server's authority, run by real shells with openssl: what is revoked stays revoked, whatever file was put back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.engine.own_file import shipped
from novaops.engine.templates import Templates
from novaops.features.vpn.client_profile import ask
from novaops.features.vpn.facts.revocations import compared, recorded
from novaops.features.vpn.facts.server import ServerState, VpnServer
from novaops.features.vpn.facts.server_question import certificate_of
from novaops.features.vpn.paths import SERVERS
from novaops.features.vpn.resources.server_authority import pki_script
from novaops.model.question import Section
from novaops.shell import sh_file

NEEDED = [program for program in ("openssl", "awk", "base64") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"needs {NEEDED}")
QUESTION = VpnServer("vpn", "vpn-vpn", 1194, "udp")


class Authority:
    """An authority in a folder of the test's, with its scripts."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.servers, self.shell, self.folder = folder, shell, folder / "vpn"
        self.folder.mkdir(mode=0o700)
        conf = Templates([shipped("templates")]).render("vpn/server/openssl.cnf.j2", name="vpn", folder=str(self.folder))
        (self.folder / "openssl.cnf").write_text(conf, "utf-8")
        self.make("authority", "server", "list")

    def _run(self, script: str, *words: str, stdin: str = "") -> str:
        text = script.replace(f"SERVERS={SERVERS} ", f"SERVERS={self.servers} ")
        done = subprocess.run([self.shell, "-c", text, *words], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make(self, *parts: str) -> None:
        self._run(pki_script(sh_file("novaops.features.vpn.resources", "server_authority.sh")), "make", "vpn", "400", "", *parts)

    def client(self, verb: str, name: str) -> str:
        """The serial number of its certificate."""
        request = ask(name, None).request if verb == "add" else ""
        days = ("400",) if verb == "add" else ()
        self._run(pki_script(sh_file("novaops.features.vpn.resources", "server_client.sh")), verb, "vpn", name, *days, stdin=request)
        (serial,) = [line.split("\t")[3] for line in self.index.splitlines() if line.endswith(f"/CN={name}")]
        return serial

    @property
    def index(self) -> str:
        return (self.folder / "index.txt").read_text()

    @property
    def crl(self) -> Path:
        return self.servers / "vpn.crl.pem"

    def state(self) -> ServerState:
        script = VpnServer.script([QUESTION]).replace(f"SERVERS={SERVERS} ", f"SERVERS={self.servers} ")
        found = VpnServer.parse([QUESTION], Section(self._run(script), "", 0))[QUESTION]
        assert isinstance(found, ServerState)
        return found

    def right(self) -> bool:
        found = self.state()
        listed = found.clients.revocations
        return not (listed.trouble or listed.lacking or listed.unrecorded or found.unrecorded or found.list_is_closed)

    def lets_in(self, serial: str) -> bool:
        """As openssl judges it."""
        words = ["openssl", "verify", "-crl_check", "-CAfile", f"{self.folder}/ca.crt", "-CRLfile", str(self.crl)]
        kept = self.servers / f"{serial}.pem"
        return subprocess.run([*words, str(kept)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "sh")


def older_list(authority: Authority, saved: Path) -> None:
    shutil.copy(saved / "vpn.crl.pem", authority.crl)


def no_list(authority: Authority, saved: Path) -> None:
    del saved
    authority.crl.unlink()


def broken_list(authority: Authority, saved: Path) -> None:
    del saved
    authority.crl.write_text("nonsense", "utf-8")


def closed_list(authority: Authority, saved: Path) -> None:
    del saved
    authority.crl.chmod(0o600)


def older_record(authority: Authority, saved: Path) -> None:
    shutil.copy(saved / "index.txt", authority.folder / "index.txt")


def empty_record(authority: Authority, saved: Path) -> None:
    del saved
    (authority.folder / "index.txt").write_text("", "utf-8")


def no_record(authority: Authority, saved: Path) -> None:
    del saved
    (authority.folder / "index.txt").unlink()


def record_and_certificate_lost(authority: Authority, saved: Path) -> None:
    empty_record(authority, saved)
    revoked = [line.split("\t")[3] for line in (saved / "after.txt").read_text().splitlines() if line.startswith("R")]
    for serial in revoked:
        (authority.folder / "certs" / f"{serial}.pem").unlink()


@pytest.mark.parametrize(
    "harm", [older_list, no_list, broken_list, closed_list, older_record, empty_record, no_record, record_and_certificate_lost]
)
def test_who_was_shut_out_stays_out(authority: Authority, tmp_path: Path, harm: Callable[[Authority, Path], None]) -> None:
    alpha, omega = authority.client("add", "alpha"), authority.client("add", "omega")
    for serial in (alpha, omega):
        shutil.copy(authority.folder / "certs" / f"{serial}.pem", tmp_path)
    saved = tmp_path / "saved"
    saved.mkdir()
    shutil.copy(authority.folder / "index.txt", saved)
    shutil.copy(authority.crl, saved)
    authority.client("revoke", "alpha")
    (saved / "after.txt").write_text(authority.index, "utf-8")
    assert (authority.right(), authority.lets_in(alpha), authority.lets_in(omega)) == (True, False, True)
    harm(authority, saved)
    assert not authority.right(), "it is noticed"
    authority.make("record", "list")
    assert (authority.right(), authority.lets_in(alpha), authority.lets_in(omega)) == (True, False, True)
    authority.client("revoke", "omega")
    assert (authority.right(), authority.lets_in(alpha), authority.lets_in(omega)) == (True, False, False)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_revocation_alone_loses_nothing(shell: str, tmp_path: Path) -> None:
    """Whoever revokes after an older record was put back does not let the others in again."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    authority = Authority(tmp_path, shell)
    alpha, omega = authority.client("add", "alpha"), authority.client("add", "omega")
    shutil.copy(authority.folder / "certs" / f"{alpha}.pem", tmp_path)
    before = authority.index
    authority.client("revoke", "alpha")
    (authority.folder / "index.txt").write_text(before, "utf-8")
    authority.client("revoke", "omega")
    assert not authority.lets_in(alpha)
    every = list(recorded(authority.index, authority.state().now))
    ca = certificate_of((authority.folder / "ca.crt").read_text())
    assert compared(authority.crl.read_text(), ca, every, authority.state().now).lacking == ()
    assert {one.name: one.state for one in every if one.serial in {alpha, omega}} == {"alpha": "revoked", "omega": "revoked"}
