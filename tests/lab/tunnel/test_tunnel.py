"""`novaops tunnel`: box reaches the API through newer, by a key that can do nothing else; and all of it is gone after `down`."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from novaops.features.tunnel.paths import alias_address
from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from tests.lab.conftest import Done, Novaops
from tests.support.things import holds, wait_on
from tests.support.world.api import KEY
from tests.support.world.world import World

LISTEN = "127.0.0.1:8443"
TO = "api.lab.test:443"
AT = "curl -sS -o /dev/null -w '%{http_code}' -m 10"
THROUGH = f"{AT} --connect-to {TO}:{LISTEN} https://api.lab.test/v1/models"


def entry(**more: Any) -> dict[str, Any]:
    return {"name": "api", "via": "newer", "to": TO, "listen": LISTEN, **more}


def write(folder: Path, client: LabHost, gateway: LabHost, tunnels: Any, **more: Any) -> Path:
    """An inventory with both, where `more` are keys of the gateway."""

    def access(host: LabHost) -> dict[str, Any]:
        files = {"identity": str(host.identity), "known_hosts": str(host.known_hosts)}
        return {"address": host.address, "port": host.port, "user": "root", **files}

    hosts = {client.name: {**access(client), "tunnel": tunnels}, gateway.name: {**access(gateway), **more}}
    file = folder / "inventory.yaml"
    file.write_text(json.dumps({"hosts": hosts}), "utf-8")
    return file


def execs(done: Done) -> dict[str, int]:
    return {host["host"]: host["execs"] for host in done.json["hosts"]}


def statuses(done: Done) -> dict[str, str]:
    return {host["host"]: host["status"] for host in done.json["hosts"]}


@contextmanager
def serving(address: str, port: int, body: bytes) -> Iterator[None]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - see do_GET
            del format

    server = http.server.ThreadingHTTPServer((address, port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def dripping(address: str, port: int) -> Iterator[None]:
    """A server of HTTP: /drip is an answer without an end, a byte each second; /hangs gets none; anything else is answered at once."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            if self.path == "/hangs":
                over.wait()
                return
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while self.path == "/drip" and not over.wait(1):
                    self.wfile.write(b".")

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - see do_GET
            del format

    over = threading.Event()
    server = http.server.ThreadingHTTPServer((address, port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def shut_off(client: LabHost, world: World) -> None:
    """The client does not reach the API any more. Only that: we ourselves come from the same address."""
    client.run(f"ip rule add to {world.address} ipproto tcp dport 443 unreachable")


@pytest.fixture
def ends(container: LabHost, newer: LabHost, world: World) -> tuple[LabHost, LabHost]:
    for host in (container, newer):
        world.prepare(host)
    return container, newer


def before(host: LabHost) -> set[str]:
    """What a tunnel may leave behind nothing of."""
    said = host.run(
        "cat /etc/hosts /etc/passwd /etc/group; ls -A /etc/ssh/sshd_config.d /etc/systemd/system /var/lib /etc/novaops/tunnel 2>/dev/null;"
        "ss -ltnH | awk '{print $4}' | sort; systemctl list-unit-files --no-legend 'novaops-tunnel*'; pgrep -a ssh$ || true"
    )
    return set(said.splitlines()) - {"novaops"}  # of the runs


class Tunnels:
    """The verbs, with an inventory."""

    def __init__(self, novaops: Novaops, inventory: Path) -> None:
        self._novaops = novaops
        self.inventory = inventory

    def __call__(self, verb: str, *words: str, code: int = 0) -> Done:
        done = self._novaops("tunnel", verb, "--json", *words, inventory=self.inventory)
        assert done.code == code, "\n".join(str(host["error"]) for host in done.json["hosts"]) + done.err
        return done


def tunnel_of(novaops: Novaops, tunnel: Tunnels) -> dict[str, Any]:
    """The only one, as it is now, up or not."""
    found: dict[str, Any] = novaops("tunnel", "status", "--json", inventory=tunnel.inventory).json["hosts"][0]["tunnels"][0]
    return found


@pytest.mark.parametrize("supervisor", ["autossh", pytest.param("systemd", marks=pytest.mark.long)])
def test_the_whole_way(novaops: Novaops, ends: tuple[LabHost, LabHost], world: World, tmp_path: Path, supervisor: str) -> None:
    client, gateway = ends
    shut_off(client, world)
    world.names.names["api.lab.test"] = [world.address, "2001:db8::1"]
    was = [before(host) for host in ends]
    tunnel = Tunnels(novaops, write(tmp_path, client, gateway, [entry(supervisor=supervisor, transparent=True)]))

    assert statuses(tunnel("down")) == {"box": "unchanged", "newer": "unchanged"}

    done = tunnel("up")
    assert statuses(done) == {"box": "changed", "newer": "changed"}
    assert max(execs(done).values()) <= 5, execs(done)
    assert client.run(THROUGH) == "401"
    assert client.run(f"{AT} https://api.lab.test/v1/models") == "401", "an unchanged client"
    assert set(client.run("getent ahosts api.lab.test | cut -d ' ' -f 1").split()) == {alias_address("api.lab.test")}

    again = tunnel("up")
    assert statuses(again) == {"box": "unchanged", "newer": "unchanged"}
    assert execs(again) == {"box": 1, "newer": 1}

    (said,) = tunnel("status").json["hosts"]
    assert said["execs"] == 1
    (forward,) = said["tunnels"][0]["forwards"]
    assert (forward["up"], forward["status"], forward["listener"]) == (True, 401, "ssh")
    assert said["tunnels"][0]["received"] > 0
    assert said["tunnels"][0]["checked"]

    client.run("pkill -x ssh")
    assert wait_until(lambda: tunnel_of(novaops, tunnel)["restarts"] >= 1, 60)
    assert statuses(tunnel("down")) == {"box": "changed", "newer": "changed"}
    tunnel("up")
    found = tunnel_of(novaops, tunnel)
    assert (found["restarts"], found["last_error"]) == (0, ""), "what was before a down does not count"

    assert statuses(tunnel("down")) == {"box": "changed", "newer": "changed"}
    assert [before(host) ^ old for host, old in zip(ends, was, strict=True)] == [set(), set()]
    assert statuses(tunnel("down")) == {"box": "unchanged", "newer": "unchanged"}


CLOUD_CFG = "/etc/cloud/cloud.cfg.d/90-lab.cfg"
AS_AT_BOOT = "cloud-init --force single --name update_etc_hosts --frequency always 2>&1"


@pytest.mark.long
def test_a_name_outlasts_what_cloud_init_does_at_each_boot(tunnel: Callable[..., Tunnels], ends: tuple[LabHost, LabHost]) -> None:
    client, _ = ends
    client.run("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends cloud-init")
    client.run(f"cat >{CLOUD_CFG}", stdin="datasource_list: [None]\nhostname: box\nfqdn: box.lab.test\nmanage_etc_hosts: yes\n")
    templates = "sha256sum /etc/cloud/templates/*"
    was = client.run(templates)
    up = tunnel(entry(transparent=True))
    up("up")
    client.run(AS_AT_BOOT)
    assert "box.lab.test" in client.run("cat /etc/hosts"), "cloud-init has written it"
    assert client.run(f"{AT} https://api.lab.test/v1/models") == "401", "an unchanged client"
    assert statuses(up("up")) == {"box": "unchanged", "newer": "unchanged"}
    up("down")
    client.run(AS_AT_BOOT)
    assert client.run(templates) == was
    assert "127.86." not in client.run("cat /etc/hosts")


@pytest.fixture
def tunnel(novaops: Novaops, ends: tuple[LabHost, LabHost], world: World, tmp_path: Path) -> Callable[..., Tunnels]:
    """Tunnels from box through newer, as they are given, with keys for the gateway."""
    shut_off(ends[0], world)
    return lambda *tunnels, **more: Tunnels(novaops, write(tmp_path, *ends, list(tunnels), **more))


def refused(host: LabHost, command: str) -> str:
    """What a command says that must fail."""
    return host.run(f"if said=$({command} 2>&1 </dev/null); then echo 'it went well'; exit 1; fi; printf '%s\n' \"$said\"")


@pytest.mark.long
@pytest.mark.parametrize("reverse", [False, True])
def test_the_key_can_do_nothing_else(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], *, reverse: bool) -> None:
    client, gateway = ends
    tunnel(entry(reverse=True, to="127.0.0.1:22", listen=9000, check="tcp") if reverse else entry())("up")
    ssh = (
        "ssh -F none -i /etc/novaops/tunnel/api.key -o IdentitiesOnly=yes -o UserKnownHostsFile=/etc/novaops/tunnel/api.known_hosts"
        " -o HostKeyAlias=gateway -o BatchMode=yes -o ExitOnForwardFailure=yes"
    )
    at = f"novaops-tunnel@{gateway.address}"
    allowed = "127.0.0.1:9000" if reverse else TO
    client.run(f"{ssh} -W {allowed} {at} </dev/null")
    for other in ("127.0.0.1:22", "api.lab.test:80", "api.openai.com:443", f"{gateway.address}:22"):
        assert "administratively prohibited" in refused(client, f"{ssh} -W {other} {at}")
    for listen in ("9001", "127.0.0.1:9002", "0.0.0.0:9003", "0", *([] if reverse else ["9000"])):
        assert "remote port forwarding failed" in refused(client, f"timeout 10 {ssh} -N -R {listen}:127.0.0.1:22 {at}")
    for command in ("id", "/bin/sh", "-tt bash", "-s sftp"):
        said = refused(
            client,
            f"timeout 10 {ssh} {at} {command}" if command[0] != "-" else f"timeout 10 {ssh} {command.split()[0]} {at} {command.split()[1]}",
        )
        assert "uid=" not in said
    client.run(f"{ssh} -E /tmp/x.said -f -N -L /tmp/x.sock:/run/dbus/system_bus_socket {at} </dev/null >/dev/null 2>&1")
    refused(client, "curl -sS -m 5 --unix-socket /tmp/x.sock http://x/")
    assert "open failed" in client.run("cat /tmp/x.said")
    assert refused(client, f"ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o PubkeyAuthentication=no {at} id")


@pytest.mark.long
def test_nothing_is_done_anywhere_where_something_is_in_the_way(
    ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], world: World
) -> None:
    client, gateway = ends
    up = tunnel(entry(transparent=True))
    was = [before(host) for host in ends]

    def refuses(*words: str) -> None:
        done = up("up", code=4)
        error = next(host["error"] for host in done.json["hosts"] if not host["error"]["what"].startswith("skipped: "))
        assert all(word in error["what"] + error["why"] + error["fix"] for word in words), error
        assert done.json["exit_code"] == 4

    client.run("systemd-run -q --unit=squatter /usr/sbin/sshd -D -p 8443 -o PidFile=none")
    wait_on(client, "ss -ltnH | grep -q :8443")
    refuses("127.0.0.1:8443 is taken by sshd", "systemctl disable --now squatter.service")
    client.run("systemctl stop squatter")

    client.run(f"cp /etc/hosts /root/hosts; echo '{world.address} api.lab.test' >>/etc/hosts")
    refuses("/etc/hosts:", "says where api.lab.test leads")
    client.run("cat /root/hosts >/etc/hosts")

    for line, words in (
        ("AllowUsers root", ("AllowUsers", "/etc/ssh/sshd_config", "AllowUsers … novaops-tunnel")),
        ("DenyUsers novaops-*", ("DenyUsers novaops-*",)),
        ("AllowGroups root", ("AllowGroups",)),
        ("DisableForwarding yes", ("DisableForwarding yes",)),
        ("AuthorizedKeysFile none", ()),
    ):
        gateway.run(f"cp /etc/ssh/sshd_config /root/sshd_config; echo '{line}' >/etc/ssh/sshd_config.d/50-mine.conf; sshd -t")
        refuses(*words)
        gateway.run("rm /etc/ssh/sshd_config.d/50-mine.conf")
    assert [before(host) ^ old for host, old in zip(ends, was, strict=True)] == [set(), set()]


@pytest.mark.long
@pytest.mark.parametrize("supervisor", ["autossh", "systemd"])
def test_what_is_wrong_is_said_in_plain_words_and_mended(
    ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], world: World, supervisor: str
) -> None:
    client, gateway = ends
    up = tunnel(entry(supervisor=supervisor, every=5))
    up("up")
    unit = "novaops-tunnel-api.service"

    def says(words: str, deadline_s: float = 60) -> None:
        found: list[str] = []

        def said() -> bool:
            (host,) = up._novaops("tunnel", "status", "--json", inventory=up.inventory).json["hosts"]
            (forward,) = host["tunnels"][0]["forwards"]
            found[:] = [forward["why"]]
            return not forward["up"] and words in forward["why"]

        assert wait_until(said, deadline_s), f"it says {found}, where it should say {words}"

    keys = "/var/lib/novaops-tunnel/.ssh/authorized_keys"
    gateway.run(f"cp -p {keys} /root/keys; : >{keys}; pkill -u novaops-tunnel sshd || true; pkill -u novaops-tunnel || true")
    says("newer does not let the tunnel's key in any more")
    done = up("up")
    assert statuses(done) == {"box": "unchanged", "newer": "changed"}
    assert client.run(THROUGH) == "401"

    gateway.run(f'sed -i \'s/permitopen="[^"]*"/permitopen="other:1"/\' {keys}; pkill -u novaops-tunnel || true')
    says("newer refuses to forward to api.lab.test:443")
    up("up")
    assert client.run(THROUGH) == "401"

    world.api.stop()
    says("Connection refused")
    world.api.start()
    world.names.failing.add("api.lab.test")
    says("newer does not reach api.lab.test:443")
    world.names.failing.clear()
    wait_on(client, f'[ "$({THROUGH})" = 401 ]', 60)

    client.run(f"systemctl stop {unit}")
    done = up("status", code=1)
    assert "its unit is inactive" in done.host["tunnels"][0]["forwards"][0]["why"]
    up("up")

    gateway.run("mkdir -p /root/old; cp -p /etc/ssh/ssh_host_* /root/old; rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh")
    client.run(f"systemctl restart {unit}")
    says("newer shows another host key than the pinned one")
    done = up("up", code=5)
    assert {host["host"]: host["error"]["code"] for host in done.json["hosts"]}["newer"] == "host-key-changed"


@pytest.mark.long
def test_ports_of_the_client_appear_on_the_gateway(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels]) -> None:
    _, gateway = ends
    was = [before(host) for host in ends]
    up = tunnel(entry(reverse=True, to="127.0.0.1:22", listen=9000))
    done = up("up")
    assert max(execs(done).values()) <= 5
    assert gateway.run("timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9000; head -c 7 <&3'") == "SSH-2.0"
    assert gateway.run("ss -ltnH 'sport = :9000' | awk '{print $4}'").split() == ["127.0.0.1:9000"]
    assert execs(up("up")) == {"box": 1, "newer": 1}
    up("down")
    assert [before(host) ^ old for host, old in zip(ends, was, strict=True)] == [set(), set()]


@pytest.mark.long
def test_a_site_of_the_gateway_is_a_plain_base_url(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], novaops: Novaops) -> None:
    client, _ = ends
    auth = {"basic": {"nova": "env:PASSWORD"}, "inject": "env:KEY"}
    site = {
        "name": "llm",
        "provider": "openai",
        "domain": ["127.0.0.1"],
        "listen": ["127.0.0.1"],
        "http_port": 8080,
        "tls": "off",
        "auth": auth,
    }
    up = tunnel({"name": "llm", "via": "newer", "site": "llm", "listen": 8081}, proxy=[site])
    env = {"PASSWORD": "wired-Fjord-8-kite", "KEY": KEY}
    done = novaops("proxy", "deploy", "newer", inventory=up.inventory, env=env)
    assert done.code == 0, done.text
    up("up")
    assert client.run(f"{AT} http://127.0.0.1:8081/v1/models") == "401"
    assert client.run(f"{AT} -u nova:wired-Fjord-8-kite http://127.0.0.1:8081/v1/models") == "200"


@pytest.mark.long
def test_each_forward_has_a_state_of_its_own(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], world: World) -> None:
    client, gateway = ends
    forwards = [
        {"to": TO, "listen": 8443},
        {"to": f"{gateway.address}:22", "listen": 2022},
        {"to": f"{world.address}:7999", "listen": 7999},
    ]
    up = tunnel({"name": "three", "via": "newer", "forwards": forwards})
    was = [before(host) for host in ends]
    for words in (("--check",), ()):
        errors = {host["host"]: host["error"] for host in up("up", *words, code=4).json["hosts"]}
        assert f"three: newer does not reach {world.address}:7999: Connection refused" in errors["newer"]["what"]
    assert [before(host) for host in ends] == was, "nothing is left of it"
    with serving(world.address, 7999, b"x"):
        up("up")
    done = up("status", code=1)
    assert [forward["up"] for forward in done.host["tunnels"][0]["forwards"]] == [True, True, False]
    assert "newer does not reach" in done.host["tunnels"][0]["forwards"][2]["why"]
    shown = up._novaops("tunnel", "status", inventory=up.inventory)
    assert [word for word in shown.out.split() if word in {"UP", "DOWN"}] == ["UP", "UP", "DOWN"]
    client.run("pkill -KILL -u novaops-tunnel -x ssh")
    with serving(world.address, 7999, b"x"):
        assert wait_until(lambda: up._novaops("tunnel", "status", inventory=up.inventory).code == 0, 60)
        assert up("status").host["tunnels"][0]["restarts"] == 1
        up("down")
        up("up")
        said = up("status").host["tunnels"][0]
    assert (said["restarts"], said["last_error"]) == (0, ""), "nothing is told of a tunnel that was removed"


@pytest.mark.long
@pytest.mark.parametrize("supervisor", ["autossh", "systemd"])
def test_a_check_that_the_gateway_forbids_says_nothing_against_the_tunnel(
    ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], supervisor: str
) -> None:
    client, gateway = ends
    own = "sed -i -e '/^Include/d' /etc/ssh/sshd_config; echo 'AllowTcpForwarding remote' >>/etc/ssh/sshd_config; systemctl restart ssh"
    gateway.run(own)
    up = tunnel(entry(reverse=True, to="127.0.0.1:22", listen=9000, supervisor=supervisor, every=5))
    done = up("up")
    assert "does not allow the request that would prove it" in done.text
    assert statuses(up("up")) == {"box": "unchanged", "newer": "unchanged"}
    (forward,) = up("status").host["tunnels"][0]["forwards"]
    assert (forward["up"], forward["proven"], forward["why"]) == (True, False, "")
    ssh = client.run("pgrep -u novaops-tunnel -x ssh")
    asks = "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9000; head -c 7 <&3'"
    since = time.monotonic()
    while time.monotonic() - since < 40:
        assert gateway.run(asks) == "SSH-2.0"
    assert client.run("pgrep -u novaops-tunnel -x ssh") == ssh, "it is not restarted"
    client.run("kill -KILL $(pgrep -u novaops-tunnel -x ssh)")
    assert wait_until(lambda: up._novaops("tunnel", "status", inventory=up.inventory).code == 0, 60)


@pytest.mark.long
def test_a_check_without_an_answer_restarts_nothing_that_passes_data(
    ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], world: World
) -> None:
    """What is requested hangs, and another request gets its answer, bit by bit."""
    client, _ = ends
    with dripping(world.address, 7997):
        up = tunnel(
            {"name": "slow", "via": "newer", "to": f"{world.address}:7997", "listen": 7997, "check": f"http://{world.address}/", "every": 5}
        )
        up("up")
        ssh = client.run("pgrep -u novaops-tunnel -x ssh")
        client.run("systemd-run -q --unit=user curl -sS -o /dev/null http://127.0.0.1:7997/drip")
        client.run(f"sed -i 's,http://{world.address}/,http://{world.address}/hangs,' /etc/novaops/tunnel/slow.forwards")
        left = "journalctl -q -u novaops-tunnel-slow-check -o cat | grep -c 'others get answers through it'"
        wait_on(client, f'[ "$({left})" -ge 3 ]', 90)
        assert client.run("pgrep -u novaops-tunnel -x ssh") == ssh
        client.run("systemctl stop user")
        wait_on(client, f'[ "$(pgrep -u novaops-tunnel -x ssh)" != "{ssh.strip()}" ]', 90)


@pytest.mark.long
def test_it_is_there_after_a_boot_and_large_answers_come_whole(
    ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], world: World
) -> None:
    client, gateway = ends
    up = tunnel(entry(transparent=True), {"name": "plain", "via": "newer", "to": f"{world.address}:7998", "listen": 7998, "check": "tcp"})
    large = os.urandom(50_000_000)
    with serving(world.address, 7998, large):
        up("up")
        got = client.run("curl -sS -m 60 http://127.0.0.1:7998/ | sha256sum", timeout_s=90).split()[0]
        assert got == hashlib.sha256(large).hexdigest()
    gateway.reboot()
    client.reboot()
    for host in ends:
        world.prepare(host)
    shut_off(client, world)
    wait_on(client, f'[ "$({AT} https://api.lab.test/v1/models)" = 401 ]', 60)


@pytest.mark.long
def test_root_works_in_no_folder_of_the_tunnels_user(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels]) -> None:
    """A home from before belongs to its user, who can put links there."""
    client, gateway = ends
    home = "/var/lib/novaops-tunnel"
    up = tunnel(entry())
    up("up")
    owners = f"stat -c '%U %a' {home} {home}/.ssh {home}/.ssh/authorized_keys"
    assert gateway.run(owners) == "root 755\nroot 755\nroot 644\n"
    gateway.run(f"chown -R novaops-tunnel: {home}; chmod 0700 {home} {home}/.ssh; chmod 0600 {home}/.ssh/authorized_keys")
    gateway.run(f"install -m 0600 {home}/.ssh/authorized_keys /root/victim; mv {home}/.ssh/authorized_keys {home}/kept")
    gateway.run(f"ln -s /root/victim {home}/.ssh/authorized_keys")
    refused_there = up("up", code=1)
    assert statuses(refused_there)["newer"] == "failed", refused_there.text
    assert gateway.run("stat -c '%U %a' /root/victim") == "root 600\n"
    gateway.run(f"mv {home}/kept {home}/.ssh/authorized_keys; chown -R novaops-tunnel: {home}; rm /root/victim")
    assert statuses(up("up"))["newer"] == "changed"
    assert gateway.run(owners) == "root 755\nroot 755\nroot 644\n"
    assert client.run(THROUGH) == "401"
    assert set(statuses(up("up")).values()) == {"unchanged"}
    up("down")
    assert gateway.run(f"ls -d {home} 2>/dev/null || true") == ""


@pytest.mark.long
def test_two_clients_share_a_gateway(novaops: Novaops, ends: tuple[LabHost, LabHost], third: LabHost, world: World, tmp_path: Path) -> None:
    client, gateway = ends
    world.prepare(third)
    files = write(tmp_path, client, gateway, [entry()])
    known = json.loads(files.read_text())
    known["hosts"]["third"] = {**known["hosts"]["box"], "address": third.address, "tunnel": [entry(supervisor="systemd")]}
    files.write_text(json.dumps(known))
    up = Tunnels(novaops, files)
    up("up", "box")
    known["hosts"]["box"]["tunnel"] = [entry(state="absent")]
    files.write_text(json.dumps(known))
    assert set(statuses(up("up")).values()) == {"changed"}
    assert third.run(THROUGH) == "401", "what one wants away, and the other one wants"
    up("down", "third")
    known["hosts"]["box"]["tunnel"] = [entry()]
    files.write_text(json.dumps(known))
    done = up("up")
    assert statuses(done) == {"box": "changed", "newer": "changed", "third": "changed"}
    assert max(execs(done).values()) <= 5, execs(done)
    assert [host.run(THROUGH) for host in (client, third)] == ["401", "401"]
    up("down", "box")
    assert third.run(THROUGH) == "401"
    assert gateway.run("cat /var/lib/novaops-tunnel/.ssh/authorized_keys | wc -l").strip() == "1"
    assert statuses(up("up", "third")) == {"third": "unchanged", "newer": "unchanged"}
    gateway.run("systemctl stop ssh.socket ssh.service || true")
    known["hosts"].pop("newer")
    known["hosts"].pop("box")
    files.write_text(json.dumps(known))
    assert up("down", "third", "--only-here").host["status"] == "changed"
    assert not holds(third, "ss -ltnH | grep -q :8443")


@pytest.mark.long
def test_what_up_did_can_be_undone(novaops: Novaops, ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels]) -> None:
    was = [before(host) for host in ends]
    up = tunnel(entry(transparent=True))
    up("up")
    for host in ("box", "box", "newer"):
        done = novaops("undo", host, inventory=up.inventory)
        assert done.code == 0, done.text
    assert [before(host) ^ old for host, old in zip(ends, was, strict=True)] == [set(), set()]


@pytest.mark.long
@pytest.mark.parametrize("supervisor", ["autossh", "systemd"])
def test_what_hangs_is_restarted_within_a_minute(ends: tuple[LabHost, LabHost], tunnel: Callable[..., Tunnels], supervisor: str) -> None:
    client, _ = ends
    tunnel(entry(supervisor=supervisor))("up")
    client.run("kill -STOP $(pgrep -u novaops-tunnel -x ssh)")
    begun = time.monotonic()
    wait_on(client, f'[ "$({THROUGH.replace("-m 10", "-m 2")})" = 401 ]', 90)
    assert time.monotonic() - begun < 60
    assert "is restarted" in client.run("journalctl -u novaops-tunnel-api-check -o cat")


@pytest.mark.long
def test_the_newer_debian_as_client(novaops: Novaops, ends: tuple[LabHost, LabHost], world: World, tmp_path: Path) -> None:
    gateway, client = ends
    shut_off(client, world)
    up = Tunnels(novaops, write(tmp_path, client, gateway, [entry(via="box", transparent=True)]))
    was = [before(host) for host in ends]
    gateway.run("echo 'PermitOpen none' >>/etc/ssh/sshd_config; systemctl restart ssh")
    assert max(execs(up("up")).values()) <= 5
    assert client.run(f"{AT} https://api.lab.test/v1/models") == "401"
    assert execs(up("up")) == {"box": 1, "newer": 1}

    client.run("systemctl start novaops-tunnel-api-check.service")
    assert not client.run("journalctl -q -u novaops-tunnel-api-check.service -o cat"), "all is well"
    client.run("sed -i '/# novaops/d' /etc/hosts")
    (forward,) = up("status", code=1).host["tunnels"][0]["forwards"]
    assert "api.lab.test leads to " in forward["why"]
    world.api.stop()
    up("up", code=1)
    assert not holds(client, "grep -q '# novaops' /etc/hosts"), "into a tunnel that nothing comes through"
    world.api.start()
    up("up")
    assert client.run(f"{AT} https://api.lab.test/v1/models") == "401"

    up("down")
    (forward,) = up("status", code=1).host["tunnels"][0]["forwards"]
    assert forward["why"] == f"not set up: novaops -i {up.inventory} tunnel up newer --name api"
    assert [before(host) ^ old for host, old in zip(ends, was, strict=True)] == [set(), set()]
