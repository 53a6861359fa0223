"""What a host says of EVE-NG and of the room for it: our sh, run by real shells, on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from novaops.engine import probe
from novaops.features.eve.candidate import questions
from novaops.features.eve.facts.site import EveSite, EveSiteAt
from novaops.features.eve.paths import ADDONS
from novaops.model.question import Missing, Section

DPKG = r"""#!/bin/sh
printf 'package\teve-ng-pro\tinstalled\t7.2.0-18\n'
printf 'package\teve-ng\tconfig-files\t5.0.1-24\n'
"""


def ask(script: str, path: str, shell: str) -> EveSite | Missing:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    words = [program, "sh"] if shell == "busybox" else [program]
    done = subprocess.run([*words, "-c", script], env={"PATH": path, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    return EveSiteAt.parse([EveSiteAt()], Section(done.stdout, done.stderr, done.returncode)).get(EveSiteAt(), Missing.UNKNOWN)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("there", ["", "opt", "opt/unetlab", "opt/unetlab/addons"])
def test_the_room_is_that_of_the_folder_for_images_or_of_the_nearest_above(tmp_path: Path, shell: str, there: str) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    (tmp_path / "dpkg-query").write_text(DPKG)
    (tmp_path / "dpkg-query").chmod(0o755)
    found = ask(EveSiteAt.script([EveSiteAt()]).replace(ADDONS, f"{tmp_path}{ADDONS}"), f"{tmp_path}:{os.environ['PATH']}", shell)
    assert isinstance(found, EveSite)
    assert (found.package, found.version) == ("eve-ng-pro", "7.2.0-18")
    assert found.disk_path == str(tmp_path / there)
    assert found.disk_size >= found.disk_free > 0
    assert Path(found.mount_point).is_mount()


@pytest.mark.parametrize(
    ("states", "begun"),
    [
        (["config-files"], False),
        (["not-installed", "config-files"], False),
        (["unpacked"], True),
        (["half-configured", "not-installed"], True),
        (["half-installed"], True),
        (["triggers-pending"], True),
        ([], False),
    ],
)
def test_packages_that_did_not_come_to_their_end(states: list[str], *, begun: bool) -> None:
    lines = [f"package\teve-ng\t{state}\t6.2.0-4" for state in states]
    section = Section("\n".join([*lines, "disk\t/\t1\t1\t/", "end"]), "", 0)
    assert EveSiteAt.parse([EveSiteAt()], section) == {EveSiteAt(): EveSite("", "", "/", 1, 1, "/", begun)}


def test_without_any_of_its_folders_it_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "df").write_text("#!/bin/sh\nprintf 'head\\nx 100 40 60 40%% /\\n'\n")
    (tmp_path / "df").chmod(0o755)
    found = ask(EveSiteAt.script([EveSiteAt()]).replace(ADDONS, "/novaops-absent/here"), f"{tmp_path}:{os.environ['PATH']}", "sh")
    assert isinstance(found, EveSite)
    assert (found.disk_path, found.disk_size, found.disk_free) == ("/", 100, 60)


def test_an_answer_that_breaks_off_is_none() -> None:
    assert EveSiteAt.parse([EveSiteAt()], Section("disk\t/\t1\t1\n", "", 0)) == {}


def test_a_check_is_one_script() -> None:
    asked = probe.families(questions())
    assert len(asked) == len(questions())
    assert probe.script(asked, "novaops-mark").count("main() {") == 1
