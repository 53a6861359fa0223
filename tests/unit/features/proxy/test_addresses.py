"""The timer's script of a site in front of an API, by sh itself; what it asks the host is answered here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.proxy_sites import CASES

TEMPLATE = CASES.parents[2] / "templates" / "proxy" / "addresses.sh"
LOOKS = yaml.safe_load((CASES / "addresses.yaml").read_text("utf-8"))
SHELLS = [[path] for name in ("dash", "bash") if (path := shutil.which(name))]
SHELLS += [[path, "sh"] for path in [shutil.which("busybox")] if path]

PROGRAMS = {
    "getent": 'for one in $(cat "$here/answer"); do echo "$one STREAM x"; echo "$one DGRAM"; done; [ -s "$here/answer" ]',
    "ip": '[ ! -e "$here/six" ] || echo "default via fe80::2 dev eth0"',
    "date": 'cat "$here/at"',
    "nginx": '[ ! -e "$here/broken" ] || { echo broken; exit 1; }',
    "systemctl": 'case $1 in is-active) [ ! -e "$here/stopped" ] ;; reload) echo yes >"$here/reloaded" ;; esac',
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """With places and programs of its own."""
    for folder in ("bin", "own", "run", "conf"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf/novaops-gate.conf").write_text("# site gate\n# upstream api.test:443\n# upstream api.test:443\n", "utf-8")
    for name, body in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\nhere={tmp_path}\n{body}\n", "utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    text = TEMPLATE.read_text("utf-8")
    for old, new in (("/etc/nginx/novaops", "own"), ("/run/novaops-proxy", "run"), ("/etc/nginx/conf.d", "conf"), ("PATH=", "PATH=bin:")):
        joined = f"PATH={tmp_path}/bin:" if old == "PATH=" else f"{tmp_path}/{new}"
        assert old in text
        text = text.replace(old, joined, 1) if old == "PATH=" else text.replace(old, joined)
    made = tmp_path / "addresses.sh"
    made.write_text(text, "utf-8")
    return made


def run(script: Path, shell: list[str], look: Mapping[str, Any]) -> tuple[int, bool, list[str] | None]:
    """Exit status, whether nginx was reloaded, and the file's lines."""
    here = script.parent
    (here / "answer").write_text("\n".join(look["answer"]), "utf-8")
    (here / "at").write_text(str(look["at"]), "utf-8")
    for flag in ("six", "broken", "stopped"):
        (here / flag).unlink(missing_ok=True)
        if look.get(flag):
            (here / flag).touch()
    (here / "reloaded").unlink(missing_ok=True)
    done = subprocess.run([*shell, str(script), "gate", look.get("verb", "")], capture_output=True, text=True, timeout=20, check=False)
    assert not done.stderr
    file = here / "own/gate.addresses/api.test:443"
    lines = file.read_text("utf-8").splitlines()[1:] if file.exists() else None
    return done.returncode, (here / "reloaded").exists(), lines


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: Path(words[0]).name)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in LOOKS])
def test_what_becomes_of_answers(script: Path, shell: list[str], case: Mapping[str, Any]) -> None:
    for look in case["looks"]:
        expected = (1 if look.get("broken") else 0, look.get("reload", False), look["file"])
        assert run(script, shell, look) == expected, look
    left = [path.name for path in (script.parent / "own/gate.addresses").iterdir()]
    assert left in ([], ["api.test:443"]), "nothing else is left behind"


def test_a_run_that_was_killed_before_the_reload(script: Path) -> None:
    """The file is as it should be, and nginx does not know it: the next one has it read."""
    look = {"at": 1000, "answer": ["192.0.2.1"]}
    nginx = script.parent / "bin/nginx"
    working = nginx.read_text("utf-8")
    nginx.write_text("#!/bin/sh\nkill -9 $PPID\n", "utf-8")
    status, reloaded, lines = run(script, ["sh"], look)
    assert (status != 0, reloaded, lines) == (True, False, ["server 192.0.2.1:443 max_fails=0; # 1000"])
    nginx.write_text(working, "utf-8")
    assert run(script, ["sh"], {**look, "at": 1020}) == (0, True, lines)


def test_one_reload_for_all_sites(script: Path) -> None:
    """Whoever waits for another one's reload needs none, if its own addresses were there before."""
    here = script.parent
    other = here / "run/other"
    other.mkdir()
    (other / "changed").touch()
    assert run(script, ["sh"], {"at": 1000, "answer": ["192.0.2.1"]})[:2] == (0, True)
    assert not (other / "changed").exists()


def test_a_site_that_is_gone(script: Path) -> None:
    (script.parent / "conf/novaops-gate.conf").unlink()
    assert run(script, ["sh"], {"at": 1000, "answer": ["192.0.2.1"]}) == (0, False, None)
