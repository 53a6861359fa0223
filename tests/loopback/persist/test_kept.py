"""Connections that are kept for the next call: what they save, for how long, and what logs in all the same."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from novaops.app import run
from novaops.engine.fresh_login import log_in
from novaops.engine.query import silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import UnknownHostKey
from novaops.lab.process import wait_until
from novaops.model.plan import FreshLogin
from novaops.ssh import kept
from novaops.ssh.route import route
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.loopback.conftest import Host
from tests.loopback.persist.conftest import Call, channels, hold, logins, write_inventory
from tests.loopback.test_start import loaded
from tests.support.keepers import keepers

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is kept"),
]


def test_the_second_call_logs_in_no_more(host: Host, call: Call) -> None:
    assert call()[0] == 0
    code, report = call()
    assert (code, report["execs"], logins(host)) == (0, 1, 2), "one login was the call's own, one the keeper's"


def test_the_next_shell_is_there_before_it_is_needed(host: Host, target: Target) -> None:
    """To start one costs two round trips."""
    kept.keep(target)
    assert wait_until(lambda: channels(host) == [1], 20)
    hold(target)
    assert wait_until(lambda: channels(host) == [1], 20)


def test_without_it_nothing_is_kept(host: Host, call: Call, runtime: Path) -> None:
    assert [call(persist="")[0], call(persist="")[0]] == [0, 0]
    assert (logins(host), keepers(runtime), list(runtime.iterdir())) == (2, [], [])


def test_the_inventory_says_it_and_the_flag_wins(host: Host, call: Call, runtime: Path) -> None:
    write_inventory(host, persist="60s")
    call(persist="0s")
    assert (logins(host), keepers(runtime)) == (1, [])
    call(persist="")
    call(persist="")
    assert logins(host) == 3


def test_a_call_over_a_kept_connection_loads_no_ssh_library(host: Host, target: Target) -> None:
    hold(replace(target, name="box"))
    write_inventory(host)
    modules = loaded("history", "box", "--persist", "60s", folder=host.folder)
    assert not [name for name in modules if name.split(".")[0] in {"paramiko", "fabric", "invoke"}]


def test_a_kept_connection_over_a_jump_host(host: Host, target: Target, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    far = Host(tmp_path / "far")
    try:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh/config").write_text(
            f"Host near\n  HostName 127.0.0.1\n  Port {host.port}\n  User root\n  IdentityFile {host.identity}\n"
            f"Host far\n  HostName 127.0.0.1\n  Port {far.port}\n  ProxyJump near\n"
        )
        host.knows(host.line(), far.line())
        over = replace(target, address="far", port=None, identity=str(far.identity))
        hold(over)
        assert (logins(host), logins(far)) == (1, 1)
        host.knows(far.line())
        with pytest.raises(UnknownHostKey, match="the jump host near"):
            kept.look(Session(over), ":\n")
    finally:
        far.close()


def test_it_is_gone_after_its_time(host: Host, call: Call, runtime: Path) -> None:
    call(persist="1s")
    assert wait_until(lambda: logins(host) == 2, 20)
    assert wait_until(lambda: not keepers(runtime), 20)
    assert [file.name for file in (runtime / f"novaops-{os.getuid()}").iterdir()] == ["lock"]
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)
    call(persist="1s")
    assert logins(host) >= 3


def test_the_last_call_says_for_how_long(host: Host, target: Target, runtime: Path) -> None:
    hold(target)
    hold(replace(target, persist=1.0))
    assert wait_until(lambda: not keepers(runtime), 20)
    assert logins(host) == 1


def test_host_forget_ends_it(host: Host, target: Target, call: Call, runtime: Path) -> None:
    hold(target)
    assert call("host", "forget", "root@127.0.0.1:1")[1] == {"host": "root@127.0.0.1:1", "ended": 0}
    assert logins(host) == 1
    assert call("host", "forget", "box")[1] == {"host": "box", "ended": 1}
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)
    assert wait_until(lambda: not keepers(runtime), 20)
    assert call("host", "forget")[1] == {"hosts": [], "ended": 0, "others": 0, "exit_code": 0}


def test_host_forget_finds_it_by_where_it_leads(target: Target, call: Call, host: Host, tmp_path: Path) -> None:
    """However it is typed: the user may be left to ssh's configuration, and the address may be a name of it."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(f"Host near\n  HostName 127.0.0.1\n  Port {host.port}\n  User root\n")
    hold(target)
    assert call("host", "forget", "root@near")[1]["ended"] == 1


def test_host_forget_says_that_others_are_kept(target: Target, call: Call, capfd: pytest.CaptureFixture[str], runtime: Path) -> None:
    del call
    hold(target)
    assert run(["host", "forget", "root@127.0.0.1:1"]) == 0
    assert capfd.readouterr().out == "no connection was kept\nto other destinations 1 is kept; novaops host forget ends all\n"
    assert keepers(runtime)


@pytest.mark.parametrize("ends", [["host", "forget"], ["host", "forget", "box"]])
def test_without_a_folder_for_the_login_it_is_found(
    ends: list[str], host: Host, target: Target, runtime: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As under cron, when it was kept in a login's shell, and the other way round."""
    write_inventory(host)
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    hold(target)
    (runtime / "other").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "other"))
    assert run(ends) == 0
    assert "1 connection ended" in capfd.readouterr().out


def test_host_forget_ends_all(target: Target, runtime: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hold(target)
    assert run(["host", "forget"]) == 0
    assert capfd.readouterr().out == "1 connection ended\n"
    assert wait_until(lambda: not keepers(runtime), 20)


@pytest.mark.parametrize("change", [{}, {"persist": 0.0}, {"user": None}])
def test_what_changes_a_host_ends_it(host: Host, target: Target, change: dict[str, Any]) -> None:
    """Who may log in may be another one after it, however the change was called."""
    hold(target)
    session = Session(replace(target, **change))
    kept.open_to_change(session)
    session.close()
    assert wait_until(lambda: not any(one.is_active() for one in host._transports), 5)


@pytest.mark.parametrize("time_", ["60", "soon", "2h", "-1s", "1d"])
def test_a_time_that_is_none(host: Host, call: Call, time_: str) -> None:
    code, document = call("history", "box", f"--persist={time_}", persist="")
    assert (code, logins(host)) == (2, 0)
    assert document["error"]["what"] == f"--persist {time_}"
    write_inventory(host, persist=time_)
    code, document = call(persist="")
    assert (code, logins(host)) == (2, 0)
    assert f'hosts/box/persist: "{time_}" is no time such as 60s or 5m' in document["error"]["what"]


def test_a_fresh_login_is_a_login(host: Host, target: Target) -> None:
    hold(target)
    with Session(target) as own:
        assert logins(host) == 2
        log_in(own, FreshLogin(), ":\n", time.monotonic() + 5)
    assert logins(host) == 3


def test_what_does_more_than_ask_logs_in(host: Host, target: Target) -> None:
    """As `host check` and `verify` do, which say whether a login works."""
    hold(target)
    report = with_session(target, silent, lambda session: HostReport("loop", "unchanged", details={"said": session.run("echo a\n").stdout}))
    assert (report.details, logins(host)) == ({"said": "a\n"}, 2)


def test_host_trust_connects(host: Host, target: Target, call: Call) -> None:
    hold(target)
    call("host", "trust", "box")
    assert logins(host) == 2


@pytest.mark.parametrize("code", ["host-key-unknown", "host-key-changed"])
def test_a_host_whose_key_is_not_trusted_any_more(host: Host, target: Target, call: Call, code: str) -> None:
    hold(target)
    host.knows(*([host.line(paramiko.ECDSAKey.generate())] if code == "host-key-changed" else []))
    status, report = call()
    assert (status, report["error"]["code"], report.get("execs", 0)) == (5, code, 0)


def test_another_configuration_of_ssh_is_another_connection(host: Host, target: Target, tmp_path: Path) -> None:
    hold(target)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host 127.0.0.1\n  HostKeyAlias elsewhere\n")
    host.knows(host.line().replace(f"[127.0.0.1]:{host.port}", "elsewhere"))
    session = Session(target)
    assert kept.look(session, ":\n").status == 0
    assert session.connection is not None
    session.close()


@pytest.mark.parametrize("change", [{"user": "jane"}, {"identity": None}, {"known_hosts": None}, {"port": 1}, {"address": "localhost"}])
def test_what_a_kept_connection_is_known_by(target: Target, change: dict[str, Any]) -> None:
    changed = replace(target, **change)
    assert kept.name_of(changed, route(changed)) != kept.name_of(target, route(target))
