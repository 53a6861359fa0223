"""`eve status` and `eve check` through a real ssh connection; the page is the stand-in's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.features.eve.facts import site
from tests.loopback.conftest import Host
from tests.support.eve import StandIn
from tests.support.eve_standin.state import Fault

PACKAGES = {"community": r"package\teve-ng\tinstalled\t6.2.0-4\n", "pro": r"package\teve-ng-pro\tinstalled\t7.2.0-18\n"}


class Eve:
    """The command line, on the one host of an inventory."""

    def __init__(self, folder: Path, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._inventory = folder / "inventory.yaml"
        access = {"address": "127.0.0.1", "port": host.port, "user": "root"}
        keys = {"identity": str(host.identity), "known_hosts": str(host.known_hosts)}
        self._inventory.write_text(json.dumps({"hosts": {"eve": {**access, **keys}}}))

    def __call__(self, *words: str) -> tuple[int, Any]:
        """The exit code, and the only host of the document."""
        code = run(["-i", str(self._inventory), "--json", "eve", *words])
        document = json.loads(self._capsys.readouterr().out)
        assert document["exit_code"] == code
        return code, document["hosts"][0]


@pytest.fixture
def eve(tmp_path: Path, host: Host, capsys: pytest.CaptureFixture[str]) -> Eve:
    return Eve(tmp_path, host, capsys)


@pytest.fixture
def standin(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    edition = getattr(request, "param", "community")
    made = StandIn(tmp_path / "unetlab", edition)
    made.image("linux-guest")
    program = tmp_path / "bin/dpkg-query"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '{PACKAGES[edition]}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(site, "_SCRIPT", site._SCRIPT.replace("dpkg-query", str(program)))  # this machine has no EVE-NG
    yield made
    made.close()


def passwords(host: Any) -> list[str]:
    return [one["text"] for one in host["findings"] if one["subject"] == "passwords" and one["verdict"] == "problem"]


@pytest.mark.parametrize("standin", ["community", "pro"], indirect=True)
def test_the_default_password_is_a_problem_until_it_is_changed(eve: Eve, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    port = ("--web-port", str(standin.port))
    code, host = eve("status", "eve", *port)
    assert (code, host["status"]) == (1, "failed")
    assert passwords(host) == ["the web's user admin has its default password: everybody knows it"]
    assert host["templates"]["linux"] is True
    assert host["templates"]["vios"] is False
    assert host["nodes"] == {"running": 0, "limit": 63 if standin.eve.edition == "community" else 7}

    monkeypatch.setenv("EVE_PASSWORD", "not so well known")
    standin.eve.set_password("admin", "not so well known")
    _, host = eve("status", "eve", "--web-password", "env:EVE_PASSWORD", *port)
    assert passwords(host) == []
    assert host["default_passwords"]["web"] is False
    assert host["api_version"] == ("6.2.0-4" if standin.eve.edition == "community" else "7.2.0-4-PRO")

    _, host = eve("status", "eve", *port)
    assert host["default_passwords"]["web"] is False
    assert host["api_version"] is None
    assert "no password is known for it" in str([one for one in host["findings"] if one["subject"] == "api"])


def test_another_login_works_and_admins_default_is_found_all_the_same(eve: Eve, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.eve._passwords.write_text(json.dumps({"admin": "eve", "nova": "secret"}))
    monkeypatch.setenv("EVE_PASSWORD", "secret")
    _, host = eve("status", "eve", "--web-user", "nova", "--web-password", "env:EVE_PASSWORD", "--web-port", str(standin.port))
    assert len(passwords(host)) == 1
    assert host["api_version"]

    monkeypatch.setenv("EVE_PASSWORD", "wrong")
    standin.eve._passwords.write_text(json.dumps({"admin": "changed", "nova": "secret"}))
    _, host = eve("status", "eve", "--web-user", "nova", "--web-password", "env:EVE_PASSWORD", "--web-port", str(standin.port))
    assert passwords(host) == []
    assert "EVE-NG did not let nova log in" in str([one for one in host["findings"] if one["subject"] == "api"])
    assert "wrong" not in json.dumps(host["findings"])


@pytest.mark.parametrize("asked", ["GET /api/status", "GET /api/list/templates/"])
@pytest.mark.parametrize("kind", ["html", "fail"])
@pytest.mark.parametrize("words", [(), ("--web-password", "env:EVE_PASSWORD")])
def test_a_default_password_is_found_whatever_the_api_says_afterwards(
    eve: Eve, standin: StandIn, asked: str, kind: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVE_PASSWORD", "eve")
    standin.eve.faults.append(Fault(asked, kind))
    code, host = eve("status", "eve", "--web-port", str(standin.port), *words)
    assert (code, host["default_passwords"]["web"]) == (1, True)
    assert passwords(host) == ["the web's user admin has its default password: everybody knows it"]


def test_a_login_that_fails_by_itself_is_no_refusal(eve: Eve, standin: StandIn) -> None:
    standin.eve.set_password("admin", "not so well known")
    standin.eve.faults.append(Fault("POST /api/auth/login", "fail"))
    code, host = eve("status", "eve", "--web-port", str(standin.port))
    assert (code, host["default_passwords"]["web"]) == (1, None)
    assert [one["verdict"] for one in host["findings"] if one["subject"] == "api"] == ["problem"]


def test_a_page_that_is_down_is_no_proof_of_a_good_password(eve: Eve, standin: StandIn) -> None:
    for server in standin.servers:
        server.close()
    _, host = eve("status", "eve", "--web-port", str(standin.port))
    assert host["default_passwords"]["web"] is None
    assert [one for one in host["findings"] if one["subject"] == "api"]


def test_a_host_without_eve_is_said_to_have_none(eve: Eve) -> None:
    code, host = eve("status", "eve")
    assert code == 1
    assert host["findings"][0]["text"] == "EVE-NG is not installed"
    assert host["execs"] == 1


def test_a_check_is_one_exec(eve: Eve) -> None:
    _, host = eve("check", "eve", "--nodes", "3", "--months", "3", "--credit", "300")
    assert (host["execs"], host["error"]) == (1, None)
    assert host["cost"]["usd"] > 0
    assert set(host["capacity"]) == {"host", "router", "switch", "large-router", "firewall", "datacenter"}


@pytest.mark.parametrize(
    "words", [("--nodes", "0"), ("--nodes", "many"), ("--class", "ios"), ("--months", "0"), ("--credit", "-1"), ("--class", "")]
)
def test_wrong_words_contact_nobody(eve: Eve, host: Host, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--json", "eve", "check", "root@127.0.0.1", *words]) == 2
    assert json.loads(capsys.readouterr().out)["hosts"] == []
    assert host.attempts == []
    del eve
