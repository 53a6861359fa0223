"""Which servers are meant, what `vpn serve` asks of a host, and where a client's profile may be written."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from novaops.engine import inventory
from novaops.engine.desired import HostView
from novaops.engine.own_file import shipped
from novaops.engine.playbooks import Playbooks
from novaops.engine.templates import Templates
from novaops.errors import NovaopsError, Refused, UsageError
from novaops.features.vpn.client_issue import ProfileFile, passphrase_from
from novaops.features.vpn.resources.server_authority import YEARS, Authority
from novaops.features.vpn.server import Renewal, resources
from novaops.features.vpn.server_actions import ServeOptions, the_server_of
from novaops.features.vpn.settings import Server
from novaops.secret import Secret

TOKEN = "abc"  # noqa: S105 - of a renewal
SERVERS = """
hosts:
  none: {address: 192.0.2.1}
  one: {address: 192.0.2.2, vpn: [{name: office, serve: true}, {name: home, profile: home.ovpn, routes: [api.openai.com]}]}
  two: {address: 192.0.2.3, vpn: [{name: office, serve: true}, {name: lab, serve: true, port: 1195, network: 10.87.0.0/24}]}
"""


def desired(tmp_path: Path, host: str, **options: Any) -> list[str]:
    playbooks = Playbooks(tmp_path)
    known = inventory.parse(SERVERS, "inventory.yaml", list(playbooks.by_name))
    given = {"name": None, "add": True, "flags": {}, **options}
    return [one.id for one in ServeOptions(**given).desired(known, playbooks, known.hosts[host]).own]


def test_which_servers_a_host_is_to_have(tmp_path: Path) -> None:
    assert "authority:vpn" in desired(tmp_path, "none")
    assert desired(tmp_path, "none", add=False) == []
    assert [one for one in desired(tmp_path, "two") if one.startswith("authority")] == ["authority:office", "authority:lab"]
    assert [one for one in desired(tmp_path, "one") if one.startswith("authority")] == ["authority:office"]
    removed = desired(tmp_path, "one", flags={"state": "absent"}, forget_clients=True)
    assert removed[-1] == "authority:office"
    assert "authority:office" not in desired(tmp_path, "one", flags={"state": "absent"})


def test_a_renewal_asks_the_same_of_the_host(tmp_path: Path) -> None:
    assert sorted(desired(tmp_path, "one", renewal=Renewal(100, TOKEN))) == sorted(desired(tmp_path, "one"))


@pytest.mark.parametrize(("renewal", "expected"), [(None, (YEARS, "")), (Renewal(100, TOKEN), (100, TOKEN))])
def test_a_renewal_reaches_the_authority(renewal: Renewal | None, expected: tuple[int, str]) -> None:
    host = HostView("h", "203.0.113.5", frozenset(), Templates([shipped("templates")]), Path())
    (authority,) = (one for one in resources(Server(name="vpn", serve=True), host, renewal) if isinstance(one, Authority))
    assert (authority.days, authority.token) == expected


def test_the_server_that_clients_are_of() -> None:
    known = inventory.parse(SERVERS, "inventory.yaml", ["vpn"])
    assert [the_server_of(known.hosts[name], None) for name in ("none", "one")] == ["vpn", "office"]
    assert the_server_of(known.hosts["two"], "lab") == "lab"
    with pytest.raises(UsageError, match="say which: --server"):
        the_server_of(known.hosts["two"], None)
    with pytest.raises(UsageError, match="--server"):
        the_server_of(known.hosts["two"], "../x")


def test_no_file_is_lost(tmp_path: Path) -> None:
    file = ProfileFile(tmp_path / "alpha.ovpn", "alpha")
    file.check_free()
    with file.draft() as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        file.write(draft, Secret("profile"))
    assert [path.name for path in tmp_path.iterdir()] == ["alpha.ovpn"]
    for renew, words in ((False, "is there already"), (True, "is no profile of alpha")):
        with pytest.raises(Refused, match=words):
            ProfileFile(file.path, "alpha", renew).check_free()
    with pytest.raises(FileExistsError), file.draft() as draft:
        file.write(draft, Secret("another"))
    assert file.path.read_text() == "profile"
    with pytest.raises(NovaopsError, match="cannot be written"), ProfileFile(tmp_path / "none/alpha.ovpn", "alpha").draft():
        pass


@pytest.mark.parametrize("passphrase", ["abc", "x" * 128, "one\ntwo"])
def test_a_passphrase_that_openvpn_does_not_take(passphrase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVAOPS_TEST_PASSPHRASE", passphrase)
    with pytest.raises(UsageError, match="4 to 127 bytes"):
        passphrase_from("env:NOVAOPS_TEST_PASSPHRASE")
