"""How a reload of nginx is waited for, by a real shell: what its log says of the reload, and what visitors have it say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.shell import sh_file

SCRIPT = sh_file("novaops.features.proxy.resources", "take_up.sh")
AT = "2026/11/27 15:00:00"
VISITOR = (
    f'{AT} [error] 8#8: *5 connect() failed, client: 192.0.2.9, request: "GET / HTTP/1.1", referrer: "{AT} [emerg] 7#7: x bind() to (98"\n'
)
CRIT = f'{AT} [crit] 8#8: *5 SSL_do_handshake() failed, client: 192.0.2.9, referrer: "[emerg] no"\n'
PROGRAMS = {
    "nginx": "",
    "journalctl": "",
    "systemctl": """case $1 in
  show) echo 7 ;;
  reload)
    cat HERE/said >>HERE/error.log
    [ ! -e HERE/takes ] || (sleep "$(cat HERE/takes)"; echo 11 >HERE/proc/7/task/7/children) >/dev/null 2>&1 & ;;
esac""",
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text.replace('HERE', str(tmp_path))}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "proc/7/task/7").mkdir(parents=True)
    (tmp_path / "proc/7/task/7/children").write_text("10\n")
    for worker in ("10", "11"):
        (tmp_path / "proc" / worker).mkdir()
        (tmp_path / "proc" / worker / "cmdline").write_text("nginx: worker process\0")
    (tmp_path / "error.log").write_text("")
    return tmp_path


def reload(shell: str, host: Path, said: str, takes: str = "") -> tuple[int, list[str]]:
    (host / "said").write_text(said)
    if takes:
        (host / "takes").write_text(takes)
    script = SCRIPT.replace("/proc/", f"{host}/proc/").replace("/var/log/nginx/", f"{host}/").replace("/run/", f"{host}/run/")
    script = script.replace("/etc/nginx/", f"{host}/etc/")
    env = {"PATH": f"{host}:/usr/bin:/bin"}
    done = subprocess.run([shell, "-s"], input=script, capture_output=True, text=True, check=False, timeout=30, env=env)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("said", [VISITOR, CRIT, CRIT.replace("no", "bind() to (98")])
def test_what_a_visitor_has_nginx_log_fails_no_reload(shell: str, said: str, host: Path) -> None:
    """A reload may take some seconds, and anybody chooses a Referer."""
    assert reload(shell, host, said, takes="1.4") == (0, [])


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("mark", [AT, "nginx:"])
def test_what_nginx_says_of_the_reload_does(shell: str, mark: str, host: Path) -> None:
    code, lines = reload(shell, host, f"{mark} [emerg] 7#7: open() failed (24: Too many open files)\n{VISITOR}")
    assert (code, lines[1:]) == (1, [f"{mark} [emerg] 7#7: open() failed (24: Too many open files)"])
    assert lines[0].startswith("nginx was told to read its configuration again")


SITE = """\
# site shop
map $http_x_novaops_asks $novaops_shop_asked { default ""; yes "shop$novaops_passed"; }
server {
    listen 80;
    server_name "shop.example.com" "~^a\\.b$";
    auth_basic "realm";
}
"""


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    ("name", "fails"),
    [
        *(("shop.example.com", True), ("SHOP.example.com", True), ("~^a\\.b$", True)),
        *(("", False), ("realm", False), ("_", False), ("b.example.com", False), ("example.com", False)),
    ],
)
def test_names_that_two_servers_have(shell: str, name: str, *, fails: bool, host: Path) -> None:
    """Only a name of ours matters. Those of others may be twice, as the empty one of servers without a name often is."""
    file = host / "etc/conf.d/novaops-shop.conf"
    file.parent.mkdir(parents=True)
    file.write_text(SITE)
    (host / "warned").write_text(
        f'{AT} [warn] 8#8: conflicting server name "{name}" on 0.0.0.0:80, ignored\n# configuration file {file}:\n'
    )
    (host / "nginx").write_text(f"#!/bin/sh\ncat {host}/warned\n")
    code, said = reload(shell, host, "", takes="0")
    assert code == int(fails)
    assert [f'nginx: conflicting server name "{name}" on 0.0.0.0:80' in line for line in said] == [True] * fails
