"""What is installed from the wheel works from any directory: playbooks, templates and the example come with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_wheel_works_from_any_directory(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("novaops-*.whl")
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", str(installed), str(wheel)], check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "id").touch()

    def novaops(*words: str) -> str:
        # The target instead of the checkout, which pip knows as editable: nothing of the checkout may answer, its tests neither.
        path = f"sys.path[:] = [{str(installed)!r}, *(p for p in sys.path if p != {str(ROOT)!r})]"
        program = f"import sys; {path}; from novaops.app import main; main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *words],
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    novaops("init")
    assert "aliyun" in novaops("host", "ls")
    assert '"Disk"' in novaops("init", "--schema")
    assert "HostName 192.0.2.20" in novaops("host", "ssh-config", "aliyun")
    shipped = {path.relative_to(installed / "novaops" / "shipped").as_posix() for path in (installed / "novaops" / "shipped").rglob("*.*")}
    assert {"playbooks/proxy.py", "templates/proxy/api.conf.j2", "inventory.yaml"} <= shipped
    assert (installed / "novaops" / "providers" / "openai.yaml").is_file()
    scripts = {path.relative_to(ROOT) for path in (ROOT / "novaops").rglob("*.sh")}
    assert scripts
    assert {path.relative_to(installed) for path in (installed / "novaops").rglob("*.sh")} >= scripts
