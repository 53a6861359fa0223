"""`eve install` whose connection is cut at random bytes, and does not come back. The same command ends it afterwards.

EVE_CUTS is how many there are: 3 without a word. Each takes an installation on a pristine container, two or three minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.features.eve.paths import CONFIGURED, KEYRING, RULES, SOURCES, SSHD
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.lab.eve.box import DATABASE, KEYS, OS, PW, Box, served
from tests.support.links import say
from tests.support.relay import Fault, Relay

pytestmark = pytest.mark.minutes

CUTS = int(os.environ.get("EVE_CUTS", "3"))

SECTION: dict[str, Any] = {"open": [{"port": 80, "from": ["10.0.0.0/8"]}], "kernel": "as-is", "ntp": ["ntp.example.org"]}

STATE = f"""\
dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' 'eve-ng*' apache2 mariadb-server nftables
sha256sum {SSHD} {SOURCES} {KEYRING} {RULES} {CONFIGURED} /etc/ssh/sshd_config
sshd -T | grep permitrootlogin; getent shadow root | cut -d : -f 2
systemctl is-active apache2 mysql novaops-eve-ports ssh; nft list table inet novaops_eve
ip -4 route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/'; ls /sys/class/net/pnet0/brif
find /opt/unetlab /etc/guacamole /etc/novaops -name '*.novaops*'; find /etc /var/lib/novaops /run /tmp -name '.*.novaops-*'
for run in /var/lib/novaops/runs/*/; do [ ! -e "$run/plan.json" ] || grep -q '^end ' "$run/events" || echo "still going on: $run"; done
{DATABASE}
"""
"""All that an installation is about. What may be there for a while only is in it, too."""


class Gone(Relay):
    """After the fault of its first connection there is no way to the host any more."""

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.refusing = self.connections > 0 and not self._links
        await super()._take(reader, writer)


@pytest.fixture
def host(lab: Lab) -> Iterator[LabHost]:
    made = lab.up("cut", "container")
    try:
        yield made
    finally:
        lab.down(made.name)


def install(box: Box, relay: Relay) -> Done:
    known = box.folder / "relayed"
    known.write_text(f"[{relay.address}]:{relay.port} {' '.join(box.host.host_key.split()[:2])}\n")
    access = {"address": relay.address, "port": relay.port, "known_hosts": str(known)}
    file = box.inventory_at(access, **SECTION)
    return box.novaops("eve", "install", box.host.name, "--json", "--timeout", "5", inventory=file, env=PW, timeout=900)


@pytest.mark.long
def test_a_run_that_was_cut_anywhere_is_ended_by_the_same_command(host: LabHost, lab: Lab, novaops: Novaops, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)  # noqa: S311 - chance, not a secret
    for repository, port in served(tmp_path):
        box = Box(host, repository, port, tmp_path, novaops)
        way = (host.address, host.port)
        host.run(OS.format("22.04"))
        with Relay(way) as relay:
            whole = install(box, relay)
            size = sum(relay.passed.values())
        assert whole.code == 0, whole.text
        wanted = host.run(STATE)
        say(f"seed {seed}, {size} bytes")
        for number in range(CUTS):
            at = chance.randrange(size)
            lab.reset(host.name)
            host.run(OS.format("22.04"))
            keys = host.run(KEYS)
            with Gone(way, fault=Fault("cut", at)) as relay:
                cut = install(box, relay)
            again = box("eve", "install", **SECTION)
            where = f"cut {number} at byte {at} of {size} (seed {seed}), exit code {cut.code}"
            say(f"{where}; then {again.host['status']}")
            assert again.code == 0, f"{where}\n{cut.text}\n{again.text}"
            assert host.run(STATE) == wanted, where
            assert host.run(KEYS) == keys, where
            third = box("eve", "install", **SECTION)
            assert (third.code, third.host["status"], third.host["execs"]) == (0, "unchanged", 1), f"{where}\n{third.text}"
