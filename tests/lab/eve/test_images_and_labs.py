"""`eve image` and `eve lab` on a container in which the stand-in runs, with its nodes, behind its own certificate."""

from __future__ import annotations

import base64
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Done, Novaops
from tests.support import eve_standin
from tests.support.eve_standin import guest
from tests.support.relay import Fault, Relay
from tests.support.things import holds, wait_on, write_inventory

pytestmark = [pytest.mark.long, pytest.mark.minutes]

PASSWORD = {"EVE_PASSWORD": "eve"}
PACKAGES = (
    "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install python3 qemu-system-x86 openssl"
)
START = """\
cd /usr/local/lib
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=eve -keyout /root/key.pem -out /root/cert.pem
install -D -m 755 eve_standin/unl_wrapper /opt/unetlab/wrappers/unl_wrapper
mkdir -p /opt/unetlab/addons/qemu /opt/unetlab/labs
mount -t tmpfs -o size=600m,mode=755 addons /opt/unetlab/addons && mkdir -p /opt/unetlab/addons/qemu
systemd-run --quiet --unit=eve -p WorkingDirectory=/usr/local/lib \\
  python3 -m eve_standin --edition pro --certificate /root/cert.pem --key /root/key.pem
"""
STAGING = "/opt/unetlab/addons/qemu/.novaops-upload-*"
LAB = """\
nodes: {r1: {template: vyos}, r2: {template: vyos}}
links: [r1-r2]
validate: [{from: r1, ping: 10.0.0.2}]
"""


class EveHost:
    def __init__(self, host: LabHost, novaops: Novaops, folder: Path) -> None:
        self.host, self.novaops, self.folder = host, novaops, folder
        self.image = folder / "vyos-1.4.qcow2"
        self.image.write_bytes(guest.disk() + os.urandom(24 << 20))
        self.reached_by(None)

    def reached_by(self, relay: Relay | None, user: str = "nova") -> None:
        access: dict[str, Any] = {"user": user, "eve": {"web_password": "env:EVE_PASSWORD", "repository": {}}}
        if relay is not None:
            known = self.folder / "known_hosts"
            key = " ".join(self.host.host_key.split()[:2])
            known.write_text(f"[127.0.0.1]:{relay.port} {key}\n")
            access |= {"address": "127.0.0.1", "port": relay.port, "known_hosts": str(known)}
        self.inventory = write_inventory(self.folder, self.host, **access)

    def __call__(self, *words: str) -> Done:
        return self.novaops("eve", *words, "--json", inventory=self.inventory, env=PASSWORD, timeout=300)

    def add(self, *words: str) -> Done:
        return self("image", "add", str(self.image), self.host.name, *words)


@pytest.fixture
def eve(container: LabHost, novaops: Novaops, tmp_path: Path) -> EveHost:
    container.run(PACKAGES, timeout_s=500)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(Path(eve_standin.__file__).parent, "eve_standin", filter=lambda one: None if "__pycache__" in one.name else one)
    container.run("base64 -d | tar x -C /usr/local/lib", stdin=base64.b64encode(packed.getvalue()).decode())
    container.run(START)
    wait_on(container, "openssl s_client -connect 127.0.0.1:443 </dev/null")
    return EveHost(container, novaops, tmp_path)


def test_from_a_file_to_a_lab_that_answers(eve: EveHost, tmp_path: Path) -> None:
    """In one test: the packages take minutes."""
    # A cut, as a user who becomes root with sudo: it goes on where it was, in the same call.
    with Relay((eve.host.address, eve.host.port), fault=Fault("cut", 9 << 20, "up")) as relay:
        eve.reached_by(relay)
        done = eve.add()
        assert (done.code, done.host["error"]) == (0, None), done.text
        assert relay.connections > 1
        assert relay.passed["up"] < eve.image.stat().st_size + (relay.connections - 1) * (4 << 20)
    eve.reached_by(None)
    assert eve.host.run("stat -c '%U %a' /opt/unetlab/addons/qemu/vyos-1.4/virtioa.qcow2").split() == ["root", "644"]
    assert not holds(eve.host, f"[ -e {STAGING} ]")
    assert eve.add().host["status"] == "unchanged"

    # A node of it starts; then a lab, twice, its assertions, and back.
    assert eve.add("--start", "--wait", "60").host["image"]["started"]
    lab = tmp_path / "pair.yml"
    lab.write_text(LAB)
    for status in ("changed", "unchanged"):
        done = eve("lab", "up", str(lab), "--wait", "60")
        assert (done.code, done.host["status"]) == (0, status), done.text
    assert eve("lab", "validate", str(lab)).code == 0
    assert eve("image", "rm", "vyos-1.4", eve.host.name).code == 4
    assert eve("lab", "down", str(lab)).code == 0
    assert not holds(eve.host, "pgrep qemu")

    # Permissions that nodes cannot read are said.
    eve.host.run("chmod 600 /opt/unetlab/addons/qemu/vyos-1.4/virtioa.qcow2")
    assert "fixpermissions" in eve("image", "ls", eve.host.name).host["images"][0]["trouble"]
    assert eve("image", "rm", "vyos-1.4", eve.host.name).code == 0


def test_a_disk_that_becomes_full_on_the_way(eve: EveHost) -> None:
    with Relay((eve.host.address, eve.host.port), fault=Fault("stall", 9 << 20, "up")) as relay:
        eve.reached_by(relay)
        with eve.novaops.start(
            "eve", "image", "add", str(eve.image), eve.host.name, "--json", inventory=eve.inventory, env=PASSWORD
        ) as process:
            wait_on(eve.host, f"[ $(cat {STAGING}/* | wc -c) -gt 1000000 ]", 240)
            eve.host.run("dd if=/dev/zero of=/opt/unetlab/addons/fill bs=1M 2>/dev/null || :")
            relay.fault = None
            relay.cut()
            out, err = process.communicate(timeout=240)
    assert process.returncode == 1, out + err
    assert "has become full" in out
    assert not holds(eve.host, f"[ -e {STAGING} ]")
    eve.reached_by(None)
    done = eve.add()
    assert (done.code, done.host["status"]) == (4, "refused"), done.text
    assert "are free" in done.host["error"]["what"]
