"""`novaops vpn serve` and its clients: real OpenVPN clients come in, go out through the server, and are shut out again."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.features.vpn.client_profile import certificate_in
from novaops.formats.x509 import DAY, Certificate, Chain
from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from novaops.shell import quote
from tests.lab.conftest import Done, Novaops
from tests.support.things import holds, wait_on
from tests.support.world.backend import Backend
from tests.support.world.world import World

PASSPHRASE = "TestP@ssw0rd#123"  # noqa: S105 - of this lab
ORACLE = yaml.safe_load((Path(__file__).parents[2] / "cases/iptables/as_Oracle_ships_Ubuntu.yaml").read_text())["saved"]
INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends %s; }
{ install || { apt-get update -q && install; }; } >/dev/null 2>&1"""
FILTERS = """\
{ nft list ruleset; iptables-save; } 2>/dev/null | sed -E -e '/^[#:]/d' -e 's/(counter )?packets [0-9]+ bytes [0-9]+//'
cat /proc/sys/net/ipv4/ip_forward; ls /etc/sysctl.d /etc/systemd/system; ip rule; cat /etc/iptables/rules.v4 2>/dev/null || true"""


def install(host: LabHost, *packages: str) -> None:
    host.run(INSTALL % " ".join(packages))


@dataclass
class Client:
    """OpenVPN on a lab host, run with a profile that novaops made. Two of them can be on one host."""

    host: LabHost
    name: str
    profile: Path
    passphrase: str = ""
    namespace: str = ""

    @property
    def device(self) -> str:
        return f"tun-{self.name}"

    def connect(self) -> None:
        self.host.run(f"umask 077; cat >/root/{self.name}.ovpn", stdin=self.profile.read_text())
        asking = ""
        if self.passphrase:
            self.host.run(f"umask 077; cat >/root/{self.name}.pass", stdin=self.passphrase + "\n")
            asking = f" --askpass /root/{self.name}.pass"
        log = f"/root/{self.name}.log"
        words = (
            f"--config /root/{self.name}.ovpn --dev {self.device} --connect-retry 1 2 --log {log} --writepid /run/{self.name}.pid{asking}"
        )
        self.host.run(f"rm -f {log}; openvpn {words} --daemon", timeout_s=20)

    def disconnect(self) -> None:
        self.host.run(f"kill $(cat /run/{self.name}.pid); while [ -e /sys/class/net/{self.device} ]; do sleep 0.1; done")

    @property
    def through(self) -> bool:
        """Whether it is in: the server answers at its own address in the VPN."""
        return self.reaches("10.86.0.1")

    def reaches(self, address: str) -> bool:
        inside = f"ip netns exec {self.namespace} " if self.namespace else ""
        return holds(self.host, f"{inside}ping -c 2 -i 0.2 -W 1 -I {self.device} {address}")

    def moves_away(self) -> str:
        """Its device to a network namespace, as on a host of its own; the address that it has."""
        self.namespace = f"of-{self.name}"
        address = self.host.run(f"ip -4 -o addr show dev {self.device} | awk '{{print $4}}'").strip()
        into = f"ip netns add {self.namespace}; ip link set {self.device} netns {self.namespace}"
        inside = f"ip -n {self.namespace}"
        self.host.run(f"{into}; {inside} addr add {address} dev {self.device}; {inside} link set {self.device} up")
        return address.partition("/")[0]

    def comes_in(self) -> bool:
        return wait_until(lambda: self.through, 30)

    def comes_back(self) -> bool:
        """The same, after another try, for which it does not wait until the one before is given up."""
        self.host.run(f"kill -USR1 $(cat /run/{self.name}.pid)")
        return self.comes_in()

    def is_turned_away(self, server: LabHost) -> None:
        """Waits for the server to say so."""
        self.host.run(f"kill -USR1 $(cat /run/{self.name}.pid)")
        refused = f"error=certificate revoked: CN={self.name}, serial={int(self.serial, 16)}"
        wait_on(server, f"journalctl -u 'openvpn-server@*' | grep -q 'VERIFY ERROR: depth=0, {refused}'", 30)
        assert not self.through

    @property
    def serial(self) -> str:
        return Chain.read(certificate_in(self.profile.read_text())).leaf.serial

    @property
    def file(self) -> str:
        """Its serial number as the authority's files are named: whole bytes."""
        return self.serial.zfill(len(self.serial) + len(self.serial) % 2)


@dataclass
class Office:
    """A server, and where its clients' profiles are kept."""

    server: LabHost
    novaops: Novaops
    folder: Path

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> Done:
        return self.novaops("--json", "vpn", *words, env=env)

    def serve(self, *words: str) -> Any:
        done = self("serve", self.server.name, *words)
        assert done.code == 0, done.text
        return done.host

    def client(self, host: LabHost, name: str, verb: str = "add", *words: str, passphrase: str = "") -> Client:
        file = self.folder / f"{name}.ovpn"
        secret = ("--passphrase", "env:NOVAOPS_TEST_PASSPHRASE") if passphrase else ()
        done = self(
            "client", verb, self.server.name, name, "--out", str(file), *words, *secret, env={"NOVAOPS_TEST_PASSPHRASE": passphrase}
        )
        assert done.code == 0, done.text
        assert (done.host["status"], done.host["execs"], done.host["profile"]) == ("changed", 3, str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        if passphrase:
            assert passphrase not in done.text + file.read_text()
        return Client(host, name, file, passphrase)

    def listed(self) -> dict[str, Any]:
        return {one["name"]: one for one in self("client", "ls", self.server.name).host["clients"]}

    def certificate(self, name: str) -> Certificate:
        return Chain.read(certificate_in((self.folder / f"{name}.ovpn").read_text())).leaf


@pytest.fixture
def office(newer: LabHost, novaops: Novaops, tmp_path: Path) -> Office:
    return Office(newer, novaops, tmp_path)


ASK = """\
exec 3<>/dev/tcp/%s/%s && printf 'GET / HTTP/1.1\\r\\nHost: api\\r\\nConnection: close\\r\\n\\r\\n' >&3 && timeout 10 head -n 1 <&3"""


@dataclass
class Api:
    """A server outside, that knows where a request came from."""

    world: World
    backend: Backend

    def saw(self, client: Client) -> str:
        """The address from which a client's request came."""
        self.backend.requests.clear()
        assert " 200 " in client.host.run(f"timeout 10 bash -c {quote(ASK % (self.world.address, self.backend.port))}")
        return self.backend.requests[-1].client.rpartition(":")[0] or self.backend.requests[-1].client

    def is_reached_by(self, client: Client) -> None:
        """Requests to this port alone go through the VPN: the way of the test's own ssh is the same address."""
        route = f"ip route replace {self.world.address} dev {client.device} table 100"
        client.host.run(f"{route}; ip rule del table 100 2>/dev/null; ip rule add ipproto tcp dport {self.backend.port} table 100")


@pytest.fixture
def api(world: World) -> Api:
    return Api(world, world.backend("api"))


def test_a_client_goes_out_by_the_server_until_it_is_revoked(office: Office, container: LabHost, api: Api) -> None:
    install(container, "openvpn")
    first = office.serve()
    assert (first["status"], first["execs"]) == ("changed", 3)
    again = office.serve()
    assert (again["status"], again["execs"]) == ("unchanged", 1)
    rules = office.server.run("nft list ruleset")
    assert rules.count("masquerade") == 1
    assert office.server.run("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert office.server.run("stat -c '%a %U' /etc/openvpn/server/vpn /etc/openvpn/server/vpn/ca.key") == "700 root\n600 root\n"
    alpha, omega = office.client(container, "alpha"), office.client(container, "omega", passphrase=PASSPHRASE)
    assert "ENCRYPTED PRIVATE KEY" in omega.profile.read_text()
    for client in (alpha, omega):
        client.connect()
    assert alpha.comes_in()
    assert omega.comes_in()
    assert_a_flush_opens_nothing(office, alpha, omega)
    assert api.saw(alpha) != office.server.address, "nothing moves by itself"
    api.is_reached_by(alpha)
    wait_on(office.server, "grep -q 1 /proc/sys/net/ipv4/conf/vpn-vpn/rp_filter", 30)
    assert api.saw(alpha) == office.server.address, "also where the kernel looks whether an answer would go back there"
    assert {name: one["connected"] is not None for name, one in office.listed().items()} == {"alpha": True, "omega": True}
    revoked = office("client", "revoke", "newer", "alpha").host
    assert ([change["field"] for step in revoked["steps"] for change in step["changes"]], revoked["execs"]) == (
        ["certificate", "connected"],
        3,
    )
    assert not alpha.through
    assert omega.through, "the others stay"
    listed = office.listed()
    assert {name: (one["state"], one["connected"] is not None) for name, one in listed.items()} == {
        "alpha": ("revoked", False),
        "omega": ("valid", True),
    }
    assert office("client", "revoke", "newer", "alpha").host["status"] == "unchanged"


def restarts(server: LabHost) -> str:
    """Which process serves, and by which of its starts."""
    return server.run("systemctl show -p MainPID -p InvocationID openvpn-server@vpn")


def assert_a_flush_opens_nothing(office: Office, alpha: Client, omega: Client) -> None:
    """Whoever flushes nftables: clients are kept apart at once, and until the rules are back; then all is as before."""
    keeper, other = "novaops-vpn-vpn-forward.service", omega.moves_away()
    before = restarts(office.server)
    assert omega.through
    assert not alpha.reaches(other), "by the table of nftables"
    office.server.run(f"systemctl kill -s STOP {keeper}; nft flush ruleset")
    assert not alpha.reaches(other), "by policy routing"
    assert alpha.through, "the server itself may be asked as before"
    office.server.run(f"systemctl kill -s CONT {keeper}")
    table = "nft list table ip novaops_vpn_vpn"
    wait_on(office.server, table, 30)
    wait_on(office.server, "sh /etc/novaops/vpn-server/vpn.sh check")
    office.server.run(f"systemctl kill -s KILL {keeper}")
    wait_on(office.server, f"systemctl is-active {keeper} | grep -q activating")
    assert holds(office.server, table), "killed, it takes nothing away from a server that runs"
    wait_on(office.server, f"systemctl is-active {keeper}")
    assert restarts(office.server) == before, "nor is the server restarted, which would cut all clients off"


FOLDER = "/etc/openvpn/server"


def changes(done: Done) -> list[str]:
    return [change["field"] for step in done.host["steps"] for change in step["changes"]]


@pytest.mark.long
def test_what_is_made_from_the_record_is_compared_with_it(
    office: Office, container: LabHost, inventory: Callable[[str, str], Path]
) -> None:
    """An older list, an older record, an older certificate of the server: each valid, signed, and wrong."""
    install(container, "openvpn")
    office.serve()
    alpha, omega = office.client(container, "alpha"), office.client(container, "omega")
    office.server.run(f"cp -p {FOLDER}/vpn.crl.pem /root; cp -p {FOLDER}/vpn/index.txt /root; cp -p {FOLDER}/vpn/server.* /root")
    assert office("client", "revoke", "newer", "alpha").code == 0
    for client in (alpha, omega):
        client.connect()
    assert omega.comes_in()
    assert not alpha.through
    known = inventory("newer", "vpn: [{name: vpn, serve: true}]")

    def says(verb: str) -> Done:
        return office.novaops("--json", verb, "newer", inventory=known)

    assert (says("plan").code, says("verify").code) == (0, 0)
    right = office.server.run(f"openssl crl -in {FOLDER}/vpn.crl.pem -noout -text | grep -c Serial").strip()
    older = f"cp -p /root/vpn.crl.pem {FOLDER}/vpn.crl.pem; systemctl restart openvpn-server@vpn"
    for mend in (("apply", "newer"), ("vpn", "client", "revoke", "newer", "alpha")):
        office.server.run(older)
        assert alpha.comes_back(), "the list before lets it in"
        assert (says("plan").code, says("verify").code) == (3, 3)
        listed = office("client", "ls", "newer")
        assert (listed.code, office.listed()["alpha"]["let_in"]) == (1, True)
        done = office.novaops("--json", *mend, inventory=known)
        assert (done.code, "list of revoked certificates" in changes(done)) == (0, True), done.text
        assert not alpha.through
        alpha.is_turned_away(office.server)
        assert omega.comes_back()
        assert (says("plan").code, says("verify").code, office("client", "ls", "newer").code) == (0, 0, 0)
    office.server.run(older)
    assert alpha.comes_back()
    office.server.run(f"cd {FOLDER}/vpn && openssl ca -config openssl.cnf -gencrl -out ../vpn.crl.pem && chmod 644 ../vpn.crl.pem")
    assert office.listed()["alpha"]["why"] == "still in"
    assert (says("plan").code, changes(says("apply"))) == (3, ["connected"])
    assert not alpha.through

    office.server.run(f"cp -p /root/index.txt {FOLDER}/vpn/index.txt")
    assert changes(says("apply")) == ["list of revoked certificates"]
    assert (office.listed()["alpha"]["state"], says("plan").code) == ("revoked", 0)
    office.server.run(f"grep -v omega /root/index.txt >{FOLDER}/vpn/index.txt; rm {FOLDER}/vpn/certs/{alpha.file}.pem")
    assert changes(says("apply")) == ["record of certificates", "list of revoked certificates"]
    assert office.server.run(f"cut -f 4 {FOLDER}/vpn/index.txt | sort | uniq -d") == "", "no serial stands there twice"
    assert (office.listed()["omega"]["state"], says("plan").code) == ("valid", 0)
    assert office.server.run(f"openssl crl -in {FOLDER}/vpn.crl.pem -noout -text | grep -c Serial").strip() == right
    assert omega.comes_back()

    assert office.serve("--renew")["status"] == "changed"
    office.server.run(f"cp -p /root/server.* {FOLDER}/vpn/")
    assert "server certificate" in changes(says("apply"))
    assert says("plan").code == 0
    office.server.run(f"cd {FOLDER}/vpn && openssl ca -config openssl.cnf -gencrl -crlsec 1 -out ../vpn.crl.pem && sleep 2")
    assert (office("client", "ls", "newer").code, office.listed()["omega"]["let_in"]) == (1, False)
    assert changes(says("apply")) == ["list of revoked certificates"]
    assert omega.comes_back()


@pytest.mark.long
def test_a_name_is_given_once_and_again_when_it_is_revoked(office: Office, container: LabHost) -> None:
    install(container, "openvpn")
    office.serve()
    old = office.client(container, "alpha")
    profile, serial = old.profile.read_text(), office.certificate("alpha").serial
    kept = office.server.run("sha256sum /etc/openvpn/server/vpn/clients/alpha.crt /etc/openvpn/server/vpn/index.txt")
    other = office.folder / "other.ovpn"
    refused = office("client", "add", "newer", "alpha", "--out", str(other))
    assert (refused.code, refused.host["error"]["code"], other.exists()) == (4, "refused", False)
    there = office("client", "add", "newer", "beta", "--out", str(old.profile))
    assert (there.code, there.json["hosts"]) == (4, []), "nothing was contacted"
    assert old.profile.read_text() == profile
    assert office.server.run("sha256sum /etc/openvpn/server/vpn/clients/alpha.crt /etc/openvpn/server/vpn/index.txt") == kept
    assert list(office.folder.glob(".*")) == [], "no draft stays"
    old.connect()
    assert old.comes_in()
    assert office("client", "revoke", "newer", "alpha").code == 0
    old.profile = old.profile.rename(office.folder / "dead.ovpn")
    new = office.client(container, "alpha")
    assert office.certificate("alpha").serial != serial
    assert office.listed()["alpha"]["revoked_before"] == [serial.rjust(len(office.listed()["alpha"]["revoked_before"][0]), "0")]
    old.is_turned_away(office.server)
    old.disconnect()
    new.connect()
    assert new.comes_in()


@pytest.mark.long
def test_certificates_are_renewed(office: Office, container: LabHost) -> None:
    install(container, "openvpn")
    office.serve()
    alpha = office.client(container, "alpha")
    alpha.connect()
    assert alpha.comes_in()
    before = office.certificate("alpha")
    office.client(container, "alpha", "renew", "--days", "100")
    after = office.certificate("alpha")
    now = int(office.server.run("date +%s"))
    assert after.serial != before.serial
    assert abs((after.not_after - now) / DAY - 100) < 10
    assert not alpha.through, "the certificate before is dead"
    alpha.disconnect()
    alpha.connect()
    assert alpha.comes_in()

    def shown() -> Certificate:
        return Chain.read(office.server.run("cat /etc/openvpn/server/vpn/server.crt")).leaf

    authority, old = office.server.run("sha256sum /etc/openvpn/server/vpn/ca.crt"), shown()
    assert office.serve("--renew", "--days", "200")["status"] == "changed"
    assert (shown().serial != old.serial, abs((shown().not_after - now) / DAY - 200) < 10) == (True, True)
    assert office.server.run("sha256sum /etc/openvpn/server/vpn/ca.crt") == authority
    assert office.server.run("openssl crl -in /etc/openvpn/server/vpn.crl.pem -noout -text").count("Serial Number:") == 2
    wait_on(alpha.host, f"ping -c 1 -W 1 -I {alpha.device} 10.86.0.1", 60)
    assert office.serve()["status"] == "unchanged"
    office.server.run("cd /etc/openvpn/server/vpn && cp -p server.crt put-back && mv put-back server.crt")
    assert changes(office("serve", "newer")) == ["loaded"], "the server runs with what it has read before"
    assert office.serve()["status"] == "unchanged"


FIREWALLS: dict[str, Callable[[LabHost], object]] = {}


def firewall(build: Callable[[LabHost], object]) -> Callable[[LabHost], object]:
    FIREWALLS[build.__name__] = build
    return build


@firewall
def oracle(host: LabHost) -> None:
    install(host, "iptables", "nftables")
    host.run("iptables-restore; mkdir -p /etc/iptables", stdin=ORACLE)
    host.run("cat >/etc/iptables/rules.v4", stdin=ORACLE)


@firewall
def ufw(host: LabHost) -> None:
    install(host, "ufw", "nftables")
    host.run("ufw allow 22/tcp; ufw --force enable")


@pytest.mark.long
@pytest.mark.parametrize("name", ["oracle", "ufw"])
def test_firewalls_let_the_clients_through_and_are_as_before_afterwards(name: str, office: Office, container: LabHost, api: Api) -> None:
    install(container, "openvpn")
    FIREWALLS[name](office.server)
    office.server.run("echo 0 >/proc/sys/net/ipv4/ip_forward")
    before = office.server.run(FILTERS)
    others = [line for line in office.server.run("iptables-save").splitlines() if line.startswith("-A ")]
    office.serve()
    alpha = office.client(container, "alpha")
    alpha.connect()
    assert alpha.comes_in()
    api.is_reached_by(alpha)
    assert api.saw(alpha) == office.server.address
    if name == "ufw":
        office.server.run("ufw reload")
        assert api.saw(alpha) == office.server.address
    assert [line for line in office.server.run("iptables-save").splitlines() if line in others] == others
    assert office.serve()["status"] == "unchanged"

    def opened() -> set[str]:
        rules = office.server.run("iptables-save; cat /etc/iptables/rules.v4 /etc/ufw/user.rules 2>/dev/null || true")
        return {port for port in ("1194", "1195") if f"--dport {port} " in rules}

    assert opened() == {"1194"}
    office.serve("--port", "1195")
    assert opened() == {"1195"}, "the port that it left is closed"
    assert office.serve()["status"] == "unchanged", "what no flag names stays"
    assert office.novaops("undo", "newer").code == 0
    assert opened() == {"1194"}
    office.serve("--port", "1195")
    office.serve("--remove")
    assert office.server.run(FILTERS) == before
    assert office("client", "ls", "newer").host["clients"][0]["state"] == "valid", "its authority is kept"
    office.serve("--remove", "--forget-clients")
    assert office("client", "ls", "newer").code == 1


def test_what_no_flag_names_stays(office: Office) -> None:
    office.serve("--port", "1195", "--reaches", "192.0.2.0/24")
    assert office.serve()["status"] == "unchanged"
    assert office.serve("--renew")["status"] == "changed"
    assert "port 1195\nproto udp\n" in office.server.run("cat /etc/openvpn/server/vpn.conf")
    office.serve("--reaches", "198.51.100.0/24")
    assert "ip daddr != { 192.0.2.0/24, 198.51.100.0/24 } drop" in office.server.run("nft list table ip novaops_vpn_vpn")
    done = office("serve", "newer", "--remove-reaches", "192.0.2.0/24,198.51.100.0/24")
    assert (done.code, "clients could go nowhere" in done.text) == (2, True)
    office.serve("--remove-reaches", "192.0.2.0/24")
    assert "ip daddr != 198.51.100.0/24 drop" in office.server.run("nft list table ip novaops_vpn_vpn")


@pytest.mark.long
def test_all_of_it_survives_a_reboot(office: Office, container: LabHost, api: Api) -> None:
    install(container, "openvpn")
    office.serve()
    alpha = office.client(container, "alpha")
    alpha.connect()
    assert alpha.comes_in()
    api.is_reached_by(alpha)
    office.server.reboot()
    wait_on(container, f"ping -c 1 -W 1 -I {alpha.device} 10.86.0.1", 90)
    assert api.saw(alpha) == office.server.address
    assert office.server.run("nft list ruleset").count("masquerade") == 1
    assert office.serve()["status"] == "unchanged"
    office.server.run("nft flush ruleset")
    wait_on(office.server, "nft list table ip novaops_vpn_vpn", 30)


@pytest.mark.long
def test_a_flush_does_not_open_the_server_itself_where_clients_reach_one_network(
    office: Office, container: LabHost, inventory: Callable[[str, str], Path]
) -> None:
    install(container, "openvpn")
    own = office.server.address
    known = inventory("newer", f"vpn: [{{name: vpn, serve: true, address: {own}, reaches: [198.51.100.0/24, 10.86.0.1]}}]")
    assert office.novaops("--json", "apply", "newer", inventory=known).code == 0
    alpha = office.client(container, "alpha")
    alpha.connect()
    assert alpha.comes_in()
    office.server.run("ip addr add 198.18.0.1/32 dev lo; ip addr add 198.51.100.1/32 dev lo")
    alpha.host.run(f"ip route add 198.18.0.1 dev {alpha.device}; ip route add 198.51.100.1 dev {alpha.device}")
    for flush in ("true", "systemctl kill -s STOP novaops-vpn-vpn-forward.service; nft flush ruleset"):
        office.server.run(flush)
        assert (alpha.through, alpha.reaches("198.51.100.1"), alpha.reaches("198.18.0.1")) == (True, True, False), flush
    office.server.run("systemctl kill -s CONT novaops-vpn-vpn-forward.service")
    wait_on(office.server, "sh /etc/novaops/vpn-server/vpn.sh check", 30)
    assert office.novaops("--json", "plan", "newer", inventory=known).code == 0


@pytest.mark.long
def test_Debian_12_serves_by_TCP(container: LabHost, newer: LabHost, novaops: Novaops, tmp_path: Path) -> None:  # noqa: N802 - names
    install(newer, "openvpn")
    office = Office(container, novaops, tmp_path)
    office.serve("--protocol", "tcp", "--port", "8443", "--name", "office")
    file = tmp_path / "alpha.ovpn"
    assert office("client", "add", "box", "alpha", "--server", "office", "--out", str(file)).code == 0
    assert re.search(r"^remote \S+ 8443 tcp$", file.read_text(), re.MULTILINE)
    alpha = Client(newer, "alpha", file)
    alpha.connect()
    assert alpha.comes_in()
    assert office("client", "revoke", "box", "alpha", "--server", "office").code == 0
    alpha.is_turned_away(office.server)


@pytest.mark.long
def test_what_is_taken_is_refused(office: Office) -> None:
    taker = '@kept = IO::Socket::INET->new(LocalPort => 1194, Proto => "udp"); sleep 600'
    office.server.run(f"systemd-run -q --unit=taker perl -MIO::Socket::INET -e {quote(taker)}")
    wait_on(office.server, "ss -H -l -u -n sport = :1194 | grep -q 1194")
    done = office("serve", "newer")
    assert (done.code, "port 1194/udp is taken by perl" in done.host["error"]["what"]) == (4, True)
    assert done.host["error"]["fix"].startswith("systemctl disable --now taker.service, or")
    done = office("serve", "newer", "--port", "1195", "--network", f"{office.server.address.rpartition('.')[0]}.0/24")
    assert (done.code, "overlaps" in done.host["error"]["what"]) == (4, True)
    assert not holds(office.server, "[ -e /etc/openvpn/server/vpn ]")
