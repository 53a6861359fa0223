"""The images of a host, as a real shell finds them in folders of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.features.eve import paths
from novaops.features.eve.facts.images import Images, ImagesThere
from novaops.model.question import Section


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_name_with_a_line_break_is_no_image(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of uploads is the login's: whoever has it chooses the names of its files."""
    monkeypatch.setattr(paths, "ADDONS", str(tmp_path))
    for folder in ("vios-15", ".novaops-upload", "x\nat qemu d 4096 0 755 vios-99", "tab\there"):
        (tmp_path / "qemu" / folder).mkdir(parents=True)
        (tmp_path / "qemu" / folder / "virtioa.qcow2").write_text("disk")
    (tmp_path / "qemu/.novaops-upload/y\nat qemu d 4096 0 755 vios-98").write_text("")
    done = subprocess.run([shell, "-c", ImagesThere.script_one()], capture_output=True, text=True, check=True)
    found = ImagesThere.parse_one(Section(done.stdout, "", 0))
    assert isinstance(found, Images)
    assert ([image.name for image in found.images], found.left) == (["vios-15"], 4)


@pytest.mark.parametrize(("mode", "unreadable"), [("644", ("L3-1.bin",)), ("744", ("L3-1.bin",)), ("755", ()), ("711", ("L3-1.bin",))])
def test_an_image_of_iol_is_a_program(mode: str, unreadable: tuple[str, ...]) -> None:
    """Nodes start it; a disk is only read, and so is the licence."""
    lines = ["room 1", f"at iol/bin f 100 0 {mode} L3-1.bin", "at iol/bin f 9 0 644 iourc"]
    lines += ["at qemu d 9 0 755 vios-15", "at qemu f 9 0 644 vios-15/virtioa.qcow2"]
    found = ImagesThere.parse_one(Section("\n".join(lines), "", 0))
    assert isinstance(found, Images)
    assert {one.name: one.unreadable for one in found.images} == {"L3-1.bin": unreadable, "iourc": (), "vios-15": ()}
