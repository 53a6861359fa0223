"""Files that `verify` writes below a mount point, which may be a user's own folder: by a real shell, on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import testinfra

from novaops.features.disk import observe
from tests.unit.features.disk.test_checks import RIGHT

HOST = testinfra.get_host("local://")


def test_a_file_is_written_and_gone(tmp_path: Path) -> None:
    seen = observe._write(HOST, replace(RIGHT, place=str(tmp_path)))
    device = tmp_path.stat().st_dev
    assert (seen.complaint, seen.number) == ("", observe._major_minor(device))
    assert seen.source
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["", "-u"])
def test_a_link_in_its_place_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    """Whoever owns the folder may put one there as soon as the name is known."""
    place, victim, programs = (tmp_path / name for name in ("place", "victim", "programs"))
    place.mkdir()
    programs.mkdir()
    victim.write_text("precious\n")
    (programs / "mktemp").write_text(
        f'#!/bin/sh\nfile=$(/usr/bin/mktemp {options} "$@")\nrm -f "$file"; ln -s {victim} "$file"; echo "$file"\n'
    )
    (programs / "mktemp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert "ile exists" in observe._write(HOST, replace(RIGHT, place=str(place))).complaint
    assert victim.read_text() == "precious\n"


def test_the_mark_of_a_reboot_follows_no_link(tmp_path: Path) -> None:
    victim, mark = tmp_path / "victim", tmp_path / "mark"
    victim.write_text("precious\n")
    mark.symlink_to(victim)
    seen = replace(RIGHT, place=str(tmp_path), mark=str(mark))
    with pytest.raises(Exception, match="ile exists"):
        observe.before_reboot(HOST, [seen])
    assert victim.read_text() == "precious\n"
    mark.unlink()
    observe.before_reboot(HOST, [seen])
    assert (mark.read_text(), mark.stat().st_mode & 0o777) == (f"{mark}\n", 0o600)
