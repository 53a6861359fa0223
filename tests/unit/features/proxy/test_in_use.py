"""Whether nginx works with files as they are: what a host says of it, and what is done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.planner import make_plan
from novaops.facts.file import FileAt
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.in_use import InUse, Use
from novaops.features.proxy.facts.nginx import BUNDLES, Nginx
from novaops.features.proxy.resources.nginx_in_use import NginxInUse
from novaops.features.proxy.resources.nginx_reload import STALE, TAKE_UP, NginxReload
from novaops.lab.process import wait_until
from novaops.model.action import Command
from novaops.model.question import Facts, Missing, Section
from tests.support.proxy_sites import API, APP, ENV, nginx, resources

SHOWN, KEY = InUse("/c d.pem", "127.0.0.2:443", "a.test"), InUse("/key.pem")


@pytest.mark.parametrize(
    ("said", "uses"),
    [
        ("asked\n", [Use(current=True), Use(current=True)]),
        ("changed\t/c d.pem\nasked\n", [Use(current=False), Use(current=True)]),
        (
            "changed\t/key.pem\nother\t0\tthen\tlater\nasked\n",
            [Use(current=False, served_until="then", there_until="later"), Use(current=False)],
        ),
        ("other\t0\t\t\nasked\n", [Use(current=False), Use(current=True)]),
    ],
)
def test_what_a_host_says(said: str, uses: list[Use]) -> None:
    assert InUse.parse([SHOWN, KEY], Section(said, "", 0)) == dict(zip((SHOWN, KEY), uses, strict=True))


def test_half_an_answer_is_none() -> None:
    assert InUse.parse([SHOWN, KEY], Section("changed\t/key.pem\n", "", 1)) == {}


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A folder for PATH: programs that take long to start, and a systemctl that takes the process in MAIN for nginx's."""
    shims = tmp_path / "shims"
    shims.mkdir()
    slow = f'#!/bin/sh\nsleep 0.6; exec {shutil.which("awk")} "$@"\n'
    for name, text in {"awk": slow, "systemctl": '#!/bin/sh\n[ "$1" != show ] || echo "$MAIN"\n'}.items():
        (shims / name).write_text(text)
        (shims / name).chmod(0o755)
    return shims


def test_a_busy_host_takes_no_file_for_changed(tmp_path: Path, busy: Path) -> None:
    """A file that was written a moment before nginx's worker began is what the worker has read."""
    read, changed = tmp_path / "read", tmp_path / "changed"
    read.write_text("")
    time.sleep(0.3)
    main = subprocess.Popen(["bash", "-c", "(exec -a 'nginx: worker process' sleep 60) & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert main.stdout
    worker = int(main.stdout.readline())
    try:
        assert wait_until(lambda: b"worker process" in Path(f"/proc/{worker}/cmdline").read_bytes(), 5)
        time.sleep(0.05)  # a process began to the hundredth of a second
        changed.write_text("")
        script = InUse.script([InUse(str(read)), InUse(str(changed))])
        environment = {"PATH": f"{busy}:{os.environ['PATH']}", "LC_ALL": "C", "MAIN": str(main.pid)}
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    finally:
        os.kill(worker, signal.SIGKILL)
        main.communicate()
    assert set(done.stdout.splitlines()) == {f"changed\t{changed}", "asked"}


def planned(note: Any, *uses: Use, broken: str = "") -> Any:
    active = UnitFacts(load="loaded", active="active", enabled="enabled")
    facts = Facts(
        {
            **dict(zip((SHOWN, KEY), uses, strict=True)),
            FileAt(STALE): note,
            UnitNamed("nginx.service"): active,
            Nginx(): nginx(broken=broken),
        },
        {},
    )
    return make_plan([NginxInUse("gate", (SHOWN, KEY)), NginxReload()], facts)


def test_a_configuration_that_nginx_would_not_start_with() -> None:
    """The sites answer all the same, as nginx goes on with what it has read before."""
    right = Use(current=True), Use(current=True)
    assert planned(Missing.ABSENT, *right).unproven == ()
    [(_, failure)] = planned(Missing.ABSENT, *right, broken='unknown directive "x" in /etc/nginx/sites-enabled/blog:3').unproven
    assert failure.what == 'nginx does not accept its configuration as it is: unknown directive "x" in /etc/nginx/sites-enabled/blog:3'
    assert "would not start again" in failure.why


def test_what_is_not_in_use_is_taken_up_and_reported() -> None:
    assert planned(Missing.ABSENT, Use(current=True), Use(current=True)).steps == ()
    found, reload = planned(Missing.ABSENT, Use(current=False, served_until="Dec  1", there_until="Mar  1"), Use(current=False)).steps
    assert [(change.field, change.before, change.after) for change in found.changes] == [
        ("/c d.pem", "nginx shows the one that lasts until Dec  1", "the one that lasts until Mar  1"),
        ("/key.pem", "as nginx read it before it was changed", "as it is"),
    ]
    assert Command(TAKE_UP) in reload.actions


@pytest.mark.parametrize(
    ("about", "read"),
    [
        ({"upstreams": "https://a.com:1"}, {*BUNDLES}),
        ({"upstreams": "https://a.com:1", "verify": "off"}, set()),
        ({"upstreams": "https://a.com:1", "verify": "/ca.pem"}, {"/ca.pem"}),
        ({"upstreams": "a.com:1"}, set()),
    ],
)
def test_what_certificates_of_upstreams_are_checked_by(about: dict[str, str], read: set[str]) -> None:
    """Nginx reads all that the host trusts when it starts, too. A file that is not there is not changed."""
    [found] = [each for each in resources({**APP, "domain": "shop.example.com", **about}) if each.id == "nginx:shop (in use)"]
    assert isinstance(found, NginxInUse)
    assert {each.path for each in found.files if not each.path.startswith("/etc/nginx/")} == read


def test_the_files_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    given = {**APP, "tls": "files", "certificate": "/c.pem", "key": "/k.pem"}
    ca = {**API, "domain": ["192.0.2.7", "*.b.test"], "upstream_ca": "/ca.pem", "listen": "127.0.0.9", "https_port": "8443"}
    by_name = {each.id: each.files for each in resources(given, ca) if isinstance(each, NginxInUse)}
    assert by_name["nginx:shop (in use)"][:2] == (InUse("/c.pem", "127.0.0.2:443", "shop.example.com"), InUse("/k.pem"))
    gate = by_name["nginx:gate (in use)"]
    assert gate[0] == InUse("/etc/nginx/novaops/gate.crt", "127.0.0.9:8443", "novaops.b.test")
    assert InUse("/ca.pem") in gate
    assert InUse("/etc/nginx/novaops/gate.inject") in gate
    assert not any(each.path.endswith((".htpasswd", ".addresses")) for each in gate), "nginx reads these for each request, or not at all"
