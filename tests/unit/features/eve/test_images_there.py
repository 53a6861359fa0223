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
