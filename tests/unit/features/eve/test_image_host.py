"""The host's side of an upload, run by a real sh on directories of this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from novaops.errors import HostFailed
from novaops.features.eve import paths
from novaops.features.eve.image_host import ImageHost
from novaops.features.eve.image_names import ImageName
from novaops.features.eve.image_source import Part
from tests.support.eve import needs_qemu
from tests.support.eve_standin import guest

pytestmark = [needs_qemu, pytest.mark.skipif(os.geteuid() != 0, reason="images belong to root")]


@dataclass
class Here:
    """A session with this machine, as a login of that name."""

    user: str = "root"
    target: Any = field(default_factory=lambda: SimpleNamespace(timeout=30))

    @property
    def connection(self) -> Any:
        return SimpleNamespace(user=self.user)

    def run(self, script: str, *, timeout: float = 0) -> Any:
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=timeout)
        return SimpleNamespace(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(autouse=True)
def addons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "addons"
    made.mkdir()
    monkeypatch.setattr(paths, "ADDONS", str(made))
    monkeypatch.setattr(paths, "WRAPPER", str(tmp_path / "unl_wrapper"))
    return made


def host(name: str, user: str = "root") -> ImageHost:
    return ImageHost(Here(user), ImageName("qemu", "vyos", name, ("virtioa.qcow2",)))  # type: ignore[arg-type] # as much of a session as it needs


def part(content: bytes, convert: Any = None, name: str = "virtioa.qcow2") -> Part:
    return Part(name, Path("not-here"), len(content), sha256(content).hexdigest(), convert, checked=False)


def sent(where: ImageHost, content: bytes, wanted: Part) -> None:
    where.look([wanted], prepare=True)
    subprocess.run(["sh", "-c", where.writer(wanted, 0)], input=content, check=True)


RAW = guest.boot_sector() + bytes(1 << 20)
OTHER = guest.qcow2(b"other")


@pytest.mark.parametrize("end", ["finished", "refused", "cleared"])
@pytest.mark.parametrize("other", ["root", "daemon"])
def test_what_waits_of_another_image_stays(addons: Path, end: str, other: str) -> None:
    """Of another run of the same login, and of a colleague's."""
    waits, ours = part(OTHER), part(b"broken" if end == "refused" else guest.disk())
    sent(host("vyos-2", other), OTHER, waits)
    theirs = next(addons.glob("qemu/.novaops-upload*"))
    owner = theirs.owner()
    sent(host("vyos-1"), b"broken" if end == "refused" else guest.disk(), ours)
    if end == "finished":
        host("vyos-1").finish([ours])
    elif end == "refused":
        with pytest.raises(HostFailed, match="was not put in place"):
            host("vyos-1").finish([ours])
    else:
        host("vyos-1").clear([ours])
    assert host("vyos-2", other).look([waits]).parts == {waits.sha256: len(OTHER)}
    assert theirs.owner() == owner
    host("vyos-2", other).finish([waits])
    assert list(addons.glob("qemu/.novaops-upload*")) == []


def test_two_disks_with_the_same_contents(addons: Path) -> None:
    parts = [part(OTHER), part(OTHER, name="virtiob.qcow2")]
    sent(host("vyos-1"), OTHER, parts[0])
    host("vyos-1").finish(parts)
    assert sorted(path.name for path in (addons / "qemu/vyos-1").iterdir()) == ["virtioa.qcow2", "virtiob.qcow2"]


def test_what_an_image_was_converted_from_is_known_until_it_is_changed(addons: Path) -> None:
    ours = part(RAW, "raw")
    sent(host("vyos-1"), RAW, ours)
    host("vyos-1").finish([ours])
    disk = addons / "qemu/vyos-1/virtioa.qcow2"
    found = host("vyos-1").look([ours])
    assert found.sources == {"virtioa.qcow2": ours.sha256}
    assert found.files == {"virtioa.qcow2": sha256(disk.read_bytes()).hexdigest()}
    disk.write_bytes(OTHER)
    assert host("vyos-1").look([ours]).sources == {}


def test_an_image_whose_permissions_could_not_be_set_is_said_to_be_in_place(addons: Path) -> None:
    Path(paths.WRAPPER).write_text("#!/bin/sh\necho no database >&2; exit 1\n")
    Path(paths.WRAPPER).chmod(0o755)
    sent(host("vyos-1"), OTHER, part(OTHER))
    with pytest.raises(HostFailed) as caught:
        host("vyos-1").finish([part(OTHER)])
    assert (addons / "qemu/vyos-1/virtioa.qcow2").read_bytes() == OTHER
    assert "is in place" in caught.value.what
    assert "no database" in caught.value.why
    assert "Nothing" not in caught.value.why
    assert caught.value.fix.startswith(f"{paths.WRAPPER} -a fixpermissions")


def test_a_login_that_puts_something_else_in_the_place_of_its_upload(addons: Path, tmp_path: Path) -> None:
    """Root follows no link of the login's, and works in a directory of its own."""
    secret = tmp_path / "secret"
    secret.write_bytes(OTHER)
    secret.chmod(0o600)
    ours = part(OTHER)
    where = host("vyos-1", "daemon")
    where.look([ours], prepare=True)
    staging = next(addons.glob("qemu/.novaops-upload*"))
    (staging / ours.sha256).symlink_to(secret)
    (staging / "new-vyos-1").symlink_to(tmp_path)
    with pytest.raises(HostFailed, match="did not arrive as it was sent"):
        where.finish([ours])
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (OTHER, 0o600)
    assert not (addons / "qemu/vyos-1").exists()
    assert list(addons.glob("qemu/.novaops-upload-at-work*")) == []


def test_what_could_not_be_put_in_place_is_not_sent_again(addons: Path) -> None:
    """Something stands there that is no image of ours."""
    ours = part(OTHER)
    sent(host("vyos-1"), OTHER, ours)
    (addons / "qemu/vyos-1").mkdir()
    (addons / "qemu/vyos-1/notes").touch()
    with pytest.raises(HostFailed):
        host("vyos-1").finish([ours])
    assert host("vyos-1").look([ours]).parts == {ours.sha256: len(OTHER)}
    assert list(addons.glob("qemu/.novaops-upload-at-work*")) == []
