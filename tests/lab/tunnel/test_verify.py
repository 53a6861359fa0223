"""`novaops verify` of tunnels on real hosts: right after the engine's work, and wrong in every way that its checks are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.lab.tunnel.test_tunnel import ends, entry, write
from tests.support.things import holds, wait_on
from tests.support.world.world import World

__all__ = ["ends"]

LINE = "/var/lib/novaops-tunnel/.ssh/authorized_keys"
FOLDER = "/etc/novaops/tunnel"


def said(done: Done, status: str) -> list[str]:
    return [step["message"] for step in done.host["steps"] if step["status"] == status]


def up(novaops: Novaops, inventory: Path) -> None:
    done = novaops("apply", "--json", inventory=inventory)
    assert done.code == 0, done.text


def keys(gateway: LabHost) -> str:
    """Where the tunnel's key is let in."""
    return gateway.run("grep -rl 'novaops:box/api' /var/lib/novaops-tunnel /etc/ssh 2>/dev/null | head -n 1").strip()


def test_right_after_the_engines_work_and_two_faults(novaops: Novaops, ends: tuple[LabHost, LabHost], tmp_path: Path) -> None:
    client, gateway = ends
    inventory = write(tmp_path, client, gateway, [entry(transparent=True)])
    up(novaops, inventory)
    done = novaops("verify", "box", "--json", inventory=inventory)
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
    assert len(said(done, "unchanged")) == 10
    gateway.run(f"sed -i 's/^restrict.* ssh-/restrict,port-forwarding ssh-/' {keys(gateway)}")
    done = novaops("verify", "box", "--json", inventory=inventory)
    assert done.code == 3, done.text
    failed = "\n".join(said(done, "failed"))
    assert "the gateway should forbid another port than the tunnel's, but it did not" in failed
    assert "the gateway should let the tunnel's key listen nowhere else, but it took a port for it" in failed


NO_DROP_IN = "rm -f /etc/ssh/sshd_config.d/*novaops-tunnel*; systemctl restart ssh"

FAULTS = {
    "a shell": (
        "gateway",
        "usermod -s /bin/sh novaops-tunnel; sed -i 's/^restrict.* ssh-/port-forwarding ssh-/' {keys}; " + NO_DROP_IN,
        "the gateway should run no command for the tunnel's key, but it ran one",
    ),
    "not pinned": (
        "client",
        "sed -i 's/StrictHostKeyChecking yes/StrictHostKeyChecking no/' {folder}/api.conf",
        "ssh should not log in where no host key is pinned, but it did",
    ),
    "a key for all": (
        "client",
        "chmod 640 {folder}/api.key",
        "the private key should be novaops-tunnel's, with mode 0600 or less, but it has mode 0640",
    ),
    "stopped": ("client", "systemctl stop novaops-tunnel-api.service novaops-tunnel-api-check.timer", "but nothing listens there"),
    "not enabled": ("client", "systemctl disable novaops-tunnel-api.service", "its unit should be enabled, but it is disabled"),
    "open to all": (
        "client",
        "sed -i 's/LocalForward 127.0.0.1:8443/LocalForward 0.0.0.0:8443/' {folder}/api.conf; systemctl restart novaops-tunnel-api",
        "should be listened on at 127.0.0.1 and nowhere else, but it is at 0.0.0.0",
    ),
    "another name": (
        "client",
        "sed -i 's/api.lab.test:443/api.openai.com:443/' {folder}/api.conf; systemctl restart novaops-tunnel-api",
        "https://api.lab.test/ through 127.0.0.1:8443 should be answered by api.lab.test:443, but",
    ),
    "the name leads elsewhere": (
        "client",
        "sed -i 's/^127.86[^ ]* \\(api.lab.test\\)/192.0.2.1 \\1/' /etc/hosts",
        "api.lab.test should lead to a loopback address of the tunnel's, and nowhere else, but it leads to 192.0.2.1",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said(novaops: Novaops, ends: tuple[LabHost, LabHost], tmp_path: Path, fault: str) -> None:
    client, gateway = ends
    where, commands, sentence = FAULTS[fault]
    inventory = write(tmp_path, client, gateway, [entry(transparent=True)])
    up(novaops, inventory)
    known = commands.replace("{keys}", keys(gateway)).replace("{folder}", FOLDER)
    (client if where == "client" else gateway).run(known)
    done = novaops("verify", "box", "--json", inventory=inventory)
    assert done.code == 3, done.text
    assert any(sentence in message for message in said(done, "failed")), said(done, "failed")


@pytest.mark.long
def test_a_socks_proxy_reaches_the_web_and_nothing_else(novaops: Novaops, ends: tuple[LabHost, LabHost], tmp_path: Path) -> None:
    client, gateway = ends
    socks = {"name": "api", "via": "newer", "socks": 1080, "check": "https://api.lab.test/v1/models"}
    inventory = write(tmp_path, client, gateway, [socks])
    up(novaops, inventory)
    assert novaops("plan", inventory=inventory).code == 0
    proxied = "curl -sS -o /dev/null -w '%{http_code}' -m 10 --noproxy '' --socks5-hostname 127.0.0.1:1080"
    assert client.run(f"{proxied} https://api.lab.test/v1/models") == "401"
    assert not holds(client, f"{proxied} telnet://127.0.0.1:22 </dev/null")
    done = novaops("verify", "box", "--json", inventory=inventory)
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
    state = novaops("tunnel", "status", "box", "--json", inventory=inventory)
    (forward,) = state.host["tunnels"][0]["forwards"]
    assert (state.code, forward["up"], forward["socks"], forward["status"]) == (0, True, True, 401), state.text
    assert client.run(f"{forward['use']} -sS -o /dev/null -w '%{{http_code}}'") == "401"

    gateway.run(f"sed -i 's/permitopen=[^ ]* ssh-/permitlisten=\"localhost:1\" ssh-/' {keys(gateway)}")
    client.run("systemctl restart novaops-tunnel-api")
    wait_on(client, f"{proxied} https://api.lab.test/v1/models")
    done = novaops("verify", "box", "--json", inventory=inventory)
    assert "the gateway should forbid another port than the tunnel's, but it did not" in "\n".join(said(done, "failed"))
    gateway.run(f"sed -i 's/port-forwarding,/port-forwarding,permitopen=\"a.b:1\",/' {keys(gateway)}")
    client.run("systemctl restart novaops-tunnel-api")
    wait_on(client, "ss -Hltn | grep -q :1080")
    down = novaops("tunnel", "status", "box", "--json", inventory=inventory)
    assert (down.code, "refuses to forward to api.lab.test:443" in down.text) == (1, True), down.text
    up(novaops, inventory)
    assert client.run(f"{proxied} https://api.lab.test/v1/models") == "401"

    wait_on(client, "[ $(ps -o etimes= -C ssh | sort -n | head -n 1) -ge 3 ]")
    client.run(f"cd {FOLDER} && cp -p api.key put-back && mv put-back api.key")
    done = novaops("apply", "--json", inventory=inventory)
    fields = [change["field"] for host in done.json["hosts"] for step in host["steps"] for change in step["changes"]]
    assert (done.code, fields) == (0, ["loaded"]), "ssh runs with the key that it has read before"
    assert novaops("plan", inventory=inventory).code == 0


@pytest.mark.long
def test_nothing_is_left(novaops: Novaops, ends: tuple[LabHost, LabHost], tmp_path: Path) -> None:
    client, gateway = ends
    inventory = write(tmp_path, client, gateway, [entry()])
    up(novaops, inventory)
    gone = tmp_path / "gone"
    gone.mkdir()
    inventory_of_nothing = write(gone, client, gateway, [entry(state="absent")])
    done = novaops("verify", "box", "--json", inventory=inventory_of_nothing)
    assert (done.code, len(said(done, "failed"))) == (3, 2), done.text
    up(novaops, inventory_of_nothing)
    done = novaops("verify", "box", "--json", inventory=inventory_of_nothing)
    assert (done.code, len(said(done, "unchanged"))) == (0, 2), done.text


@pytest.mark.long
def test_a_reboot_and_a_killed_ssh(novaops: Novaops, ends: tuple[LabHost, LabHost], world: World, tmp_path: Path) -> None:
    del world
    client, gateway = ends
    inventory = write(tmp_path, client, gateway, [entry(transparent=True)])
    up(novaops, inventory)
    done = novaops("verify", "box", "--reboot", "--json", inventory=inventory)
    assert (done.code, said(done, "failed"), said(done, "skipped")) == (0, [], []), done.text
