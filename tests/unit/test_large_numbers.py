"""Numbers beyond 32 bit in the shell that hosts run. Debian's awk is mawk: it prints 2 ** 31 as 2.14748e+09, and `%d` ends there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from novaops.facts.machine import Machine
from novaops.features.vpn.facts.link import LinkStates

HERE = Path(__file__).parent.parent.parent
LARGE = re.compile(r"\bprint [^;}|]*(\bint\(|\$\d+ ?[*+-] ?[\d$])|\bawk\b.*printf[^;}]*%[0-9]*[di]")
"""What awk computes and prints in its own form, and what it prints with %d."""

needs_mawk = pytest.mark.skipif(shutil.which("mawk") is None, reason="mawk is not installed")


def with_mawk(folder: Path, text: str, stdin: str = "") -> str:
    (folder / "awk").symlink_to(str(shutil.which("mawk")))
    environment = {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    return subprocess.run(["sh", "-c", text], env=environment, input=stdin, capture_output=True, text=True, check=True).stdout


@needs_mawk
@pytest.mark.parametrize("kilobytes", [1024, 2097152, 24681072, 4294967296])
def test_memory(tmp_path: Path, kilobytes: int) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:       {kilobytes} kB\nMemFree:         1 kB\n")
    said = with_mawk(tmp_path, Machine.script([Machine()]).replace("/proc/meminfo", str(meminfo)))
    assert f"memory={kilobytes * 1024}" in said.splitlines()


@needs_mawk
def test_a_handshake_after_2038(tmp_path: Path) -> None:
    (program,) = re.findall(r"^ *(awk '/Initialization.*') \"\$folder", LinkStates.script([LinkStates()]), re.MULTILINE)
    assert with_mawk(tmp_path, program, "4000000000.5 vpn openvpn[1]: Initialization Sequence Completed\n") == "handshake\t4000000000\n"


@needs_mawk
def test_a_refusal_after_2038(tmp_path: Path) -> None:
    (program,) = re.findall(r"\| (awk '/AUTH_FAILED.*')\)$", (HERE / "templates/vpn/link.sh.j2").read_text("utf-8"), re.MULTILINE)
    assert with_mawk(tmp_path, program, "4000000000.5 vpn openvpn[1]: AUTH: Received control message: AUTH_FAILED\n") == "4000000000\n"


@pytest.mark.parametrize("text", ["awk '{ print $2 * 1024 }'", "awk 'END { print \"at \" int(at) }'", "awk '{ printf \"%d\", n }'"])
def test_what_mawk_spoils_is_found(text: str) -> None:
    assert LARGE.search(text)


def test_no_shell_of_ours_prints_what_awk_computes_without_a_form() -> None:
    files = [
        path
        for folder in ("novaops", "templates", "playbooks")
        for path in (HERE / folder).rglob("*")
        if path.suffix in {".py", ".j2", ".sh"}
    ]
    assert len(files) > 100
    found = [
        f"{path.relative_to(HERE)}: {line.strip()}" for path in files for line in path.read_text("utf-8").splitlines() if LARGE.search(line)
    ]
    assert found == []
