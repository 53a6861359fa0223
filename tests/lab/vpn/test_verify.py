"""`novaops verify` and `api check` of a host with a VPN: right after the engine's work, and wrong in ways that the checks are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.lab.vpn.test_vpn import API, Country, country
from tests.support.things import write_inventory

__all__ = ["country"]

DEVICE = "vpn-canada"


def said(done: Done, status: str) -> list[str]:
    return [step["message"] for step in done.host["steps"] if step["status"] == status]


def verified(country: Country, *words: str) -> Done:
    return country.novaops("verify", "--json", *words, inventory=country.folder / "inventory.yaml")


@pytest.mark.long
def test_right_after_the_engines_work_and_two_faults(country: Country) -> None:
    country.server.start()
    done = country.up()
    assert done.code == 0, done.text
    done = verified(country)
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
    assert len(said(done, "unchanged")) == 8

    done = country.novaops("api", "check", "box", "--json", inventory=country.folder / "inventory.yaml")
    found = {route["route"]: route for route in done.host["apis"][0]["routes"]}
    assert list(found) == ["direct", "vpn canada"]
    assert found["vpn canada"]["verdict"] == "reachable through the VPN canada: the API asks for a key"
    assert found["direct"]["verdict"] == f"reachable: the API asks for a key (by {DEVICE}, where this host's routes lead)"

    country.client.run(f"chmod 644 /etc/openvpn/client/canada.conf; ip route add 128.0.0.0/1 dev {DEVICE}")
    done = verified(country)
    assert done.code == 3, done.text
    failed = "\n".join(said(done, "failed"))
    assert "/etc/openvpn/client/canada.conf should be root's, and nobody else's to read, but it is root's with mode 0644" in failed
    assert f"everything else should not go through {DEVICE}, but it does" in failed


@pytest.mark.long
def test_a_link_that_is_down(country: Country) -> None:
    country.server.start()
    assert country.up().code == 0
    country.client.run("systemctl stop openvpn-client@canada")
    done = verified(country)
    failed = "\n".join(said(done, "failed"))
    assert (done.code, f"{DEVICE} should be up and have an address, but" in failed) == (3, True), done.text
    assert f"{API} (" in failed
    assert "but it goes nowhere" in failed, "nothing leaks"
    done = country.novaops("api", "check", "box", "--json", inventory=country.folder / "inventory.yaml")
    found = {route["route"]: route["verdict"] for route in done.host["apis"][0]["routes"]}
    assert (done.code, found["vpn canada"]) == (1, f"there is no device {DEVICE}: the VPN canada is not up")


@pytest.mark.long
def test_a_server(newer: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, newer, vpn=[{"name": "gate", "serve": True}])
    done = novaops("vpn", "serve", "--json", inventory=inventory)
    assert done.code == 0, done.text
    done = novaops("verify", "--json", inventory=inventory)
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
    assert len(said(done, "unchanged")) == 7
    again = "nft 'add rule ip novaops_vpn_gate out ip saddr 10.86.0.0/24 masquerade'"
    newer.run(f"{again}; chmod 644 /etc/openvpn/server/gate/ca.key; : >/etc/openvpn/server/gate.crl.pem")
    done = novaops("verify", "--json", inventory=inventory)
    failed = "\n".join(said(done, "failed"))
    assert done.code == 3, done.text
    assert "one rule should masquerade 10.86.0.0/24, but there are 2" in failed
    assert "/etc/openvpn/server/gate/ca.key should be root's, and nobody else's to read, but it is root's with mode 0644" in failed
    assert "the list of revoked certificates should be valid, but it cannot be read" in failed
    newer.run("chmod 600 /etc/openvpn/server/gate/ca.key")
    gone = tmp_path / "gone"
    gone.mkdir()
    inventory = write_inventory(gone, newer, vpn=[{"name": "gate", "serve": True, "state": "absent"}])
    assert novaops("verify", "--json", inventory=inventory).code == 3
    done = novaops("apply", "--json", inventory=inventory)
    assert done.code == 0, done.text
    done = novaops("verify", "--json", inventory=inventory)
    assert (done.code, len(said(done, "unchanged"))) == (0, 1), done.text


@pytest.mark.long
def test_a_reboot(country: Country) -> None:
    country.server.start()
    assert country.up().code == 0
    done = verified(country, "--reboot")
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
    assert len(said(done, "unchanged")) == 9
