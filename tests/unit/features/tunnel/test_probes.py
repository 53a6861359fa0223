"""The functions of a tunnel's check on its host, by a real shell: which ssh is the tunnel's, and whether it passes data."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from novaops.shell import sh_file

PROBES = sh_file("novaops.features.tunnel.facts", "probes.sh")
CHECK = Path(__file__).parents[4] / "templates/tunnel/check.j2"
shells = pytest.mark.parametrize("shell", ["dash", "bash"])


def run(shell: str, script: str, words: Sequence[str] = ()) -> str:
    done = subprocess.run([shell, "-c", f"{script}", "x", *words], capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""
    return done.stdout


@shells
def test_the_tunnels_ssh_is_the_one_in_its_units_own_group(shell: str, tmp_path: Path) -> None:
    """Anybody may have a unit of that name among their own, and a process called ssh in it."""
    unit = "novaops-tunnel-api.service"
    groups = {
        "7": f"0::/system.slice/{unit}",
        "8": f"0::/user.slice/user-1000.slice/user@1000.service/app.slice/{unit}",
        "9": f"1:name=systemd:/system.slice/{unit}",
        "10": f"1:cpu:/system.slice/{unit}",
    }
    (tmp_path / "uptime").write_text("5000.00 1\n")
    for number, (pid, group) in enumerate(groups.items()):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(f"{group}\n")
        (tmp_path / pid / "comm").write_text("ssh\n")
        (tmp_path / pid / "stat").write_text(f"{pid} (ssh) {' '.join(['0'] * 19)} {(100 + number) * 100} 0\n")
    text = PROBES.replace("/proc/", f"{tmp_path}/")

    def found(within: str) -> str:
        return run(shell, f"systemctl() {{ echo '{within}'; }}\n{text}\nyoungest {unit}; echo \"$ssh\"")

    assert (found(f"/system.slice/{unit}"), found("")) == ("9\n", "\n")
    (tmp_path / "9/cgroup").unlink()
    assert found(f"/system.slice/{unit}") == "7\n"


@shells
def test_only_the_sockets_of_the_ssh_itself_count(shell: str, tmp_path: Path) -> None:
    """Its oldest connection is the one to the gateway. A stranger's is of another inode, whatever it calls itself."""
    for number in ("3", "9"):
        folder = tmp_path / "77/fd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / number).symlink_to(f"socket:[{number}000]")
    function = CHECK.read_text("utf-8").partition("passes_data() {")[2].partition("\n}\n")[0]
    text = PROBES.replace("/proc/", f"{tmp_path}/") + f"passes_data() {{{function}\n}}\n"
    link = "0 0 10.0.0.1:5 10.0.0.2:22 uid:998 ino:3000 sk:1 bytes_sent:9 lastsnd:10\n"

    def passes(line: str) -> bool:
        (tmp_path / "ss").write_text(link + line)
        return run(shell, f"ss() {{ cat {tmp_path}/ss; }}\n{text}\npasses_data 77 && echo yes") == "yes\n"

    through = "0 0 127.0.0.1:8443 127.0.0.1:50 uid:998 ino:9000 sk:2 bytes_sent:9 lastsnd:10\n"
    assert passes(through)
    assert not passes("")
    assert not passes(through.replace("lastsnd:10", "lastsnd:20001"))
    assert not passes(through.replace("ino:9000", 'ino:9001 users:(("pid=77,fd=9",pid=78,fd=3))'))


@shells
def test_sockets_of_a_process(shell: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (inode,) = [
            line.split()[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()
            if f":{server.getsockname()[1]:04X} 00000000:0000" in line
        ]
        assert f"{server.fileno()} socket:[{inode}]\n" in run(shell, f"{PROBES}\nsockets_of $PPID")
