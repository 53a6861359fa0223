"""`eve image` through a real ssh connection: to directories on this machine, and seen by the stand-in."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from novaops.features.eve import image_add
from novaops.features.eve.lab_run import LabRun
from tests.loopback.eve.conftest import Eve
from tests.support.eve import needs_qemu
from tests.support.eve_standin import guest
from tests.support.relay import Fault, Relay

pytestmark = [needs_qemu, pytest.mark.skipif(os.geteuid() != 0, reason="images belong to root")]


class OnceRelay(Relay):
    """Takes one connection, and no other."""

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.refusing = self.connections > 0
        await super()._take(reader, writer)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A qcow2 that boots; larger than what is in the buffers on the way."""
    file = tmp_path / "vyos-1.4.qcow2"
    file.write_bytes(guest.disk() + os.urandom(8 << 20))
    return file


def placed(eve: Eve, name: str) -> Path:
    return eve.standin.root / "addons/qemu" / name


def test_an_image_is_put_where_eve_ng_finds_it_and_a_node_of_it_answers(eve: Eve, image: Path) -> None:
    assert eve("image", "add", str(image), "eve", "--check")[0] == 3
    assert not placed(eve, "vyos-1.4").exists()
    code, host = eve("image", "add", str(image), "eve", "--start", "--wait", "30")
    assert (code, host["error"], host["status"]) == (0, None, "changed")
    disk = placed(eve, "vyos-1.4") / "virtioa.qcow2"
    assert disk.read_bytes() == image.read_bytes()
    assert stat.S_IMODE(disk.stat().st_mode) == 0o644
    assert not eve.standin.eve.labs
    assert [path.name for path in placed(eve, "").iterdir() if path.name.startswith(".")] == []

    code, host = eve("image", "add", str(image), "eve")
    assert (code, host["status"]) == (0, "unchanged")

    code, host = eve("image", "ls", "eve", asks=False)
    assert {one["image"]: one["trouble"] for one in host["images"]} == {"linux-guest": "", "vyos-1.4": ""}


def test_a_proof_that_was_cut_off_does_not_spoil_the_next(eve: Eve, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as cut:
        cut.setattr(LabRun, "down", lambda _: None)
        assert eve("image", "add", str(image), "eve", "--start", "--wait", "30")[0] == 0
    assert list(eve.standin.eve.labs) == ["/novaops-proof-vyos-1-4.unl"]
    other = image.with_name("vyos-1.5.qcow2")
    other.write_bytes(guest.disk())
    for file in (other, image):
        code, host = eve("image", "add", str(file), "eve", "--start", "--wait", "30")
        assert (code, host["error"]) == (0, None)
    assert not eve.standin.eve.labs


def test_after_a_cut_nothing_is_sent_again(eve: Eve, image: Path) -> None:
    size = image.stat().st_size
    with Relay(("127.0.0.1", eve.host.port), fault=Fault("cut", 5 << 20, "up")) as relay:
        eve.host.knows(eve.host.line(), eve.host.line().replace(str(eve.host.port), str(relay.port)))
        eve.reached_at(relay.port)
        code, host = eve("image", "add", str(image), "eve")
        assert (code, host["error"]) == (0, None)
        cuts = relay.connections - 1
        assert cuts
        assert relay.passed["up"] < size + cuts * (3 << 20), "what is in the buffers of a cut connection is lost, and no more"
    assert (placed(eve, "vyos-1.4") / "virtioa.qcow2").read_bytes() == image.read_bytes()


def test_another_run_goes_on_where_the_first_was_cut(eve: Eve, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_add, "_PAUSES", (0,))
    with OnceRelay(("127.0.0.1", eve.host.port), fault=Fault("cut", 5 << 20, "up")) as relay:
        eve.host.knows(eve.host.line(), eve.host.line().replace(str(eve.host.port), str(relay.port)))
        eve.reached_at(relay.port)
        code, host = eve("image", "add", str(image), "eve")
        assert (code, host["status"]) == (5, "unreachable")
        assert "nothing that arrived is sent a second time" in host["error"]["fix"]
    there = next((placed(eve, "") / ".novaops-upload-root").iterdir()).stat().st_size
    assert there > 2 << 20
    with Relay(("127.0.0.1", eve.host.port)) as relay:
        eve.host.knows(eve.host.line(), eve.host.line().replace(str(eve.host.port), str(relay.port)))
        eve.reached_at(relay.port)
        assert eve("image", "add", str(image), "eve")[0] == 0
        assert relay.passed["up"] < image.stat().st_size - there + (1 << 20)


@pytest.mark.parametrize(("kind", "here"), [("vmdk", True), ("vhd", False), ("raw", True)])
def test_other_formats_become_qcow2(eve: Eve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, here: bool) -> None:
    plain, given = tmp_path / "plain.img", tmp_path / f"vyos-1.5.{kind}"
    plain.write_bytes(guest.boot_sector() + bytes(1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vpc" if kind == "vhd" else kind, plain, given], check=True)
    if not here:
        monkeypatch.setattr("novaops.features.eve.image_source.shutil.which", lambda _: None)
    code, host = eve("image", "add", str(given), "eve")
    assert (code, host["error"]) == (0, None)
    disk = placed(eve, "vyos-1.5") / "virtioa.qcow2"
    assert subprocess.run(["qemu-img", "check", "-f", "qcow2", disk], check=False, capture_output=True).returncode == 0
    assert (
        subprocess.run(["qemu-img", "compare", "-F", "qcow2", plain, disk, "-f", "raw"], check=False, capture_output=True).returncode == 0
    )


def test_an_image_that_is_there_with_other_contents_is_left_alone(eve: Eve, image: Path) -> None:
    assert eve("image", "add", str(image), "eve")[0] == 0
    image.write_bytes(guest.disk())
    code, host = eve("image", "add", str(image), "eve")
    assert (code, host["status"]) == (4, "refused")


def test_an_image_that_the_host_converted_is_known_by_what_it_was_made_of(
    eve: Eve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("novaops.features.eve.image_source.shutil.which", lambda _: None)
    given = tmp_path / "vyos-1.6.raw"
    given.write_bytes(guest.boot_sector() + bytes(1 << 20))
    assert eve("image", "add", str(given), "eve")[0] == 0
    code, host = eve("image", "add", str(given), "eve")
    assert (code, host["status"]) == (0, "unchanged")
    code, host = eve("image", "ls", "eve", asks=False)
    assert {one["image"]: (list(one["files"]), one["trouble"]) for one in host["images"]}["vyos-1.6"] == (["virtioa.qcow2"], "")

    given.write_bytes(guest.boot_sector() + bytes([1]) * (1 << 20))
    code, host = eve("image", "add", str(given), "eve")
    assert (code, host["status"], host["error"]["what"]) == (4, "refused", "there is an image vyos-1.6 with other contents")

    (placed(eve, "vyos-1.6") / ".novaops-source").unlink()
    code, host = eve("image", "add", str(given), "eve")
    assert (code, host["status"]) == (4, "refused")
    assert host["error"]["what"] == "there is an image vyos-1.6, and nothing tells what it was made of"


def test_a_full_disk_is_said_before_anything_is_sent(eve: Eve, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_add, "_MARGIN", shutil.disk_usage(eve.standin.root).free)
    code, host = eve("image", "add", str(image), "eve")
    assert (code, host["status"]) == (4, "refused")
    assert "Nothing was sent" in host["error"]["why"]
    assert not (placed(eve, "") / ".novaops-upload-root").exists()


def test_a_template_that_this_eve_ng_has_not(eve: Eve, image: Path) -> None:
    code, host = eve("image", "add", str(image), "eve", "--template", "vyoss", "--disk", "hda")
    assert code == 2
    assert "vyos" in host["error"]["why"]
    assert not any(call for call in eve.host.execs if "dd of=" in call)


def test_an_image_that_a_lab_uses_stays(eve: Eve, image: Path) -> None:
    assert eve("image", "add", str(image), "eve")[0] == 0
    labs = eve.standin.root / "labs/team"
    labs.mkdir(parents=True)
    (labs / "one.unl").write_text('<node id="1" image="vyos-1.4" />')
    code, host = eve("image", "rm", "vyos-1.4", "eve", asks=False)
    assert (code, host["status"]) == (4, "refused")
    assert "/team/one.unl" in host["error"]["what"]
    (labs / "one.unl").unlink()
    assert eve("image", "rm", "vyos-1.4", "eve", "--check", asks=False)[0] == 3
    assert eve("image", "rm", "vyos-1.4", "eve", asks=False)[0] == 0
    assert not placed(eve, "vyos-1.4").exists()
    assert eve("image", "rm", "vyos-1.4", "eve", asks=False)[1]["status"] == "unchanged"


def test_an_image_of_iol_and_its_licence(eve: Eve, tmp_path: Path) -> None:
    image, licence = tmp_path / "L3-ADVENTERPRISEK9-M-15.4.bin", tmp_path / "iourc"
    image.write_bytes(b"\x7fELF" + bytes(1000))
    licence.write_text("[license]\neve-ng = 972f30267ef51616;\n")
    code, host = eve("image", "add", str(image), "eve")
    assert (code, host["error"]) == (0, None)
    assert stat.S_IMODE((eve.standin.root / "addons/iol/bin" / image.name).stat().st_mode) == 0o755
    assert eve("image", "add", str(licence), "eve")[0] == 0
    licence.write_text("[license]\neve-ng = 0000000000000000;\n")
    assert eve("image", "add", str(licence), "eve")[1]["status"] == "changed"
    assert eve("image", "rm", image.name, "eve", asks=False)[0] == 0
    assert [path.name for path in (eve.standin.root / "addons/iol/bin").iterdir()] == ["iourc"]
