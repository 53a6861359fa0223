"""`novaops vpn up` against an OpenVPN server written by hand: only what is named goes through it, whatever server and profile say."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.network import network_up
from novaops.lab.process import wait_until
from tests.lab.conftest import Done, Novaops
from tests.support.things import holds, wait_on, write_inventory
from tests.support.vpn_server import Certified, VpnServer
from tests.support.vpn_world import outside
from tests.support.world.api import FakeApi
from tests.support.world.world import World

API = "api.openai.com"
UNIT = "openvpn-client@canada"
WORD = "env:PW"
PASSWORD = "TestP@ssw0rd#123"  # noqa: S105 - of this lab
SNAPSHOT = "ip -o address | sed 's/valid_lft.*//'; for f in 4 6; do ip -$f route show table all; ip -$f rule; done; cat /etc/resolv.conf"


@dataclass
class Country:
    """A client, a server in another country, and an API that tells who asks it."""

    client: LabHost
    server: VpnServer
    apis: list[FakeApi]
    world: World
    novaops: Novaops
    folder: Path

    def inventory(self, profile: str, **entry: Any) -> Path:
        (self.folder / "client.ovpn").write_bytes(profile.encode())
        vpn = [{"name": "canada", "profile": "client.ovpn", "routes": [API], **entry}]
        return write_inventory(self.folder, self.client, vpn=vpn)

    def call(self, verb: str, *words: str, env: dict[str, str] | None = None) -> Done:
        return self.novaops("vpn", verb, "--json", *words, inventory=self.folder / "inventory.yaml", env=env)

    def up(self, profile: str | None = None, *words: str, env: dict[str, str] | None = None, **entry: Any) -> Done:
        self.inventory(profile or self.server.profile(), **entry)
        return self.call("up", *words, env=env)

    def link(self) -> Any:
        return self.call("status").host["links"][0]

    @property
    def askers(self) -> set[str]:
        """Who has asked the API."""
        return {request.client.rpartition(":")[0] or request.client for api in self.apis for request in api.requests}

    def asks(self) -> bool:
        return holds(self.client, f"curl -q -s -m 4 -o /dev/null https://{API}/v1/models")

    def snapshot(self) -> str:
        return self.client.run(SNAPSHOT)


@pytest.fixture
def country(container: LabHost, newer: LabHost, lab: Lab, world: World, novaops: Novaops, tmp_path: Path) -> Iterator[Country]:
    with outside(network_up(lab.directory).bridge) as addresses:
        apis = [FakeApi(address, 443, world.leaf) for address in addresses]
        for api in apis:
            api.start()
        try:
            world.prepare(container)
            world.prepare(newer)
            world.names.names[API] = [addresses[0]]
            yield Country(container, VpnServer(newer, Certified(tmp_path / "ca")), apis, world, novaops, tmp_path)
        finally:
            for api in apis:
                api.stop()


def installed(host: LabHost, packages: str) -> None:
    """Before a test looks at routes: so that it is only `vpn up` that changes any."""
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y -q {packages} >/dev/null 2>&1"
    host.run(f"{install} || {{ apt-get update -q >/dev/null 2>&1 && {install}; }}", timeout_s=300)


def test_only_what_is_named_goes_through(country: Country) -> None:
    server = country.server
    server.push = [
        "redirect-gateway def1",
        "dhcp-option DNS 10.99.0.1",
        "route 203.0.113.0 255.255.255.0",
        "block-outside-dns",
        "ping 60",
        "ping-restart 600",
    ]
    server.start()
    installed(country.client, "openvpn curl")
    before = country.snapshot()
    done = country.up()
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert "PRIVATE KEY" not in done.text
    assert country.askers == {server.host.address}, country.askers
    after = country.snapshot()
    assert set(before.splitlines()) <= set(after.splitlines())
    new = set(after.splitlines()) - set(before.splitlines())
    assert not [line for line in new if "203.0.113" in line or "0.0.0.0/1" in line or "default" in line], new
    link = country.link()
    assert link["works"], link
    assert [(way["address"], way["device"]) for way in link["routes"]] == [(country.apis[0].address, "vpn-canada")]
    again = country.up()
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1), again.text
    write_inventory(country.folder, country.client)
    flags = ("--name", "canada", "--profile", str(country.folder / "client.ovpn"), "--routes", "other.example.com")
    less = country.call("up", country.client.name, *flags)
    assert (less.code, f"{API} would go through canada no more" in less.text) == (4, True), less.text
    country.inventory(server.profile())
    down = country.call("down")
    assert (down.code, down.host["status"]) == (0, "changed"), down.text
    assert country.snapshot() == before
    assert not holds(
        country.client,
        "ls -d /etc/openvpn/client/canada* /etc/novaops /etc/systemd/system/*canada* /var/lib/novaops-vpn 2>/dev/null | grep .",
    )
    assert country.call("down").host["status"] == "unchanged"


@pytest.mark.long
def test_a_profile_of_windows_with_scripts_and_everything_else(country: Country) -> None:
    country.server.start()
    extra = [
        *("up /tmp/evil.sh", "script-security 3", 'route-up "/bin/touch /run/evil"', "redirect-gateway def1", "log /var/log/evil.log"),
        *("user nobody", "cipher AES-256-CBC", "setenv LD_PRELOAD /tmp/x.so", "block-outside-dns", "status /run/evil.status 1", "daemon"),
    ]
    profile = "\ufeff" + country.server.profile(*extra).replace("\n", "\r\n").replace("dev tun", "\tdev\ttun0  # a comment")
    done = country.up(profile)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    notes = " ".join(note["text"] for note in done.host["notes"])
    for word in ("up left out", "redirect-gateway left out", "log left out", "user left out", "setenv left out", "AES-256-CBC is offered"):
        assert word in notes, notes
    assert not holds(country.client, "ls /run/evil* /var/log/evil.log 2>/dev/null | grep .")
    assert country.client.run("ip -4 route show default").count("\n") == 1
    assert country.link()["works"]


@pytest.mark.long
def test_what_cannot_come_up_is_refused_or_taken_back(country: Country) -> None:
    server = country.server
    server.login = ("nova", PASSWORD)
    server.start()
    # Nobody is there to type a password: nothing is contacted.
    asked = country.up()
    assert (asked.code, asked.json["hosts"]) == (4, []), asked.text
    assert "nobody is there at a boot" in asked.text
    expired = country.up(server.profile(name="old", days=-1), user="nova", password=WORD, env={"PW": PASSWORD})
    assert (expired.code, expired.json["hosts"]) == (4, []), expired.text
    assert "expired on 2024-02-01" in expired.text
    installed(country.client, "openvpn")
    before = country.snapshot()
    wrong = country.up(user="nova", password=WORD, env={"PW": "wrong"})
    assert (wrong.code, wrong.host["status"]) == (1, "failed"), wrong.text
    assert "turns user and password down" in wrong.host["error"]["what"]
    assert country.snapshot() == before
    assert not holds(country.client, "ls /etc/openvpn/client/* 2>/dev/null | grep .")
    assert server.host.run("wc -l </run/refused").strip() in {"1", "2"}
    right = country.up(user="nova", password=WORD, env={"PW": PASSWORD})
    assert (right.code, right.host["status"]) == (0, "changed"), right.text
    # Another password at the server: it is not tried every few seconds.
    server.login = ("nova", "another one")
    server.start()
    assert wait_until(lambda: holds(server.host, "[ -s /run/refused ]"), 60)
    wait_on(country.client, "systemctl status openvpn-client@canada | grep -q 'the next try is in'", 30)
    assert server.host.run("wc -l </run/refused").strip() == "1"
    link = country.link()
    assert (link["works"], link["last_error"]) == (False, "the server turns user and password down (AUTH_FAILED)")
    # And at once when it is told the new one.
    again = country.up(user="nova", password=WORD, env={"PW": "another one"})
    assert (again.code, again.host["status"]) == (0, "changed"), again.text
    server.login = None
    server.server_days = -1
    server.start()
    late = country.up()
    assert late.code == 1, late.text
    assert "the server's certificate has expired" in late.host["error"]["what"], late.text
    server.stop()
    silent = country.up()
    assert silent.code == 1, silent.text
    assert "nobody" in silent.host["error"]["what"], silent.text


@pytest.mark.long
def test_the_password_of_a_key_is_nowhere(country: Country) -> None:
    """V06."""
    country.server.start()
    profile = country.server.profile(password=PASSWORD)
    assert country.up(profile).code == 4
    assert country.up(profile, key_password=WORD, env={"PW": "wrong"}).code == 4
    done = country.up(profile, "-vv", "--diff", key_password=WORD, env={"PW": PASSWORD})
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert PASSWORD not in done.text
    assert not holds(country.client, f"journalctl -q | grep -F '{PASSWORD}'")
    assert country.client.run("grep -rlF 'TestP@ssw0rd' /etc /var/lib/novaops 2>/dev/null || true").split() == [
        "/etc/openvpn/client/canada.pass"
    ]
    assert country.client.run("stat -c %a:%U /etc/openvpn/client/canada.*").split() == ["600:root", "600:root"]
    assert country.link()["works"]


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_packets_of_any_size_pass_and_nothing_stays(country: Country, protocol: str) -> None:
    """V01 and V02."""
    server, client = country.server, country.client
    server.protocol = protocol
    server.start()
    installed(client, "openvpn iputils-ping")
    before = country.snapshot()
    assert not holds(client, "ping -c 1 -W 1 10.99.0.1")
    done = country.up(routes=[API, "10.99.0.1", "198.51.100.0/24"])
    assert done.code == 0, done.text
    for size in (64, 1440, 3000):
        client.run(f"ping -q -c 20 -i 0.02 -W 2 -s {size} 10.99.0.1")
    assert client.run("ip route get 198.51.100.7").split()[2] == "vpn-canada"
    server.options = ("keepalive 10 60", "data-ciphers AES-128-CBC", "data-ciphers-fallback AES-128-CBC")
    server.start()
    assert wait_until(lambda: not country.link()["works"], 60)
    mismatch = country.up(server.profile("data-ciphers AES-256-GCM"))
    assert mismatch.code == 1, mismatch.text
    assert "cipher" in mismatch.host["error"]["what"], mismatch.text
    server.port = 1195
    wrong = country.up(server.profile())
    assert wrong.code == 1
    assert "nobody" in wrong.host["error"]["what"], wrong.text
    assert country.call("down").code == 0
    assert country.snapshot() == before


@pytest.mark.long
def test_it_follows_the_names_and_heals(country: Country) -> None:
    server, client, world = country.server, country.client, country.world
    server.start()
    assert country.up().code == 0
    one, two = (api.address for api in country.apis)
    # Another address: both are routed, as long as the old one is not forgotten.
    world.names.names[API] = [two]
    wait_on(client, f"ip route get {two} | grep -q 'dev vpn-canada'", 40)
    assert holds(client, f"ip route get {one} | grep -q 'dev vpn-canada'")
    # No DNS: everything stays.
    world.names.stop()
    time.sleep(45)
    assert holds(client, f"ip route get {two} | grep -q 'dev vpn-canada'")
    world.names.start()
    # A server that dies and comes back.
    server.stop(signal="KILL")
    assert wait_until(lambda: not country.asks(), 60)
    server.start()
    assert wait_until(country.asks, 60)
    # One that stalls without a word.
    server.host.run(
        "nft add table ip stall; nft 'add chain ip stall in { type filter hook prerouting priority -300; }'\n"
        "nft add rule ip stall in udp dport 1194 drop"
    )
    assert wait_until(lambda: not country.asks(), 20)
    time.sleep(40)
    server.host.run("nft delete table ip stall")
    assert wait_until(country.asks, 60)
    assert country.askers == {server.host.address}, country.askers


@pytest.mark.long
def test_nothing_leaks_while_it_is_down(country: Country) -> None:
    server, client = country.server, country.client
    server.start()
    assert country.up().code == 0
    client.run(f"systemctl stop {UNIT}")
    assert not country.asks()
    client.run(f"systemctl start {UNIT}")
    assert wait_until(country.asks, 30)
    server.stop(signal="KILL")
    # All the time, and while the host boots without a server.
    client.run("""cat >/etc/systemd/system/leak.service <<'END'
[Service]
ExecStart=/bin/sh -c 'while :; do curl -s -m 2 -o /dev/null https://api.openai.com/leak; sleep 0.2; done'
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload; systemctl enable --now leak""")
    client.reboot()
    country.world.prepare(client)
    wait_on(client, "systemctl is-active -q multi-user.target", 30)
    assert not country.asks()
    server.start()
    assert wait_until(country.asks, 60)
    assert country.askers == {server.host.address}, country.askers
    link = country.link()
    assert link["works"], link
    # Who wants it direct gets it so.
    assert country.up(when_down="direct").code == 0
    server.stop(signal="KILL")
    assert wait_until(lambda: client.address in country.askers, 90)


@pytest.mark.long
def test_a_server_that_is_not_the_pinned_one_is_not_connected_to(country: Country) -> None:
    """Another certificate of the same authority, marked as a server's: the pin alone tells them apart."""
    server = country.server
    server.start()
    pinned, _ = server.certified.make("pinned", "serverAuth")

    def up(block: str, certificate: str) -> Done:
        return country.up(f"{server.profile()}<{block}>\n{fingerprint(certificate)}\n</{block}>\n")

    for block in ("peer-fingerprint", "verify-hash"):
        done = up(block, pinned)
        assert (done.code, done.host["status"]) == (1, "failed"), done.text
        assert server.host.address not in country.askers
    done = up("peer-fingerprint", server.certificate)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert server.host.address in country.askers


def fingerprint(pem: str) -> str:
    """SHA-256, as `openssl x509 -fingerprint` writes it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return ":".join(digest[n : n + 2] for n in range(0, len(digest), 2))
