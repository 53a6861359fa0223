"""Connections that are cut, stall or never come back, and a novaops that is killed: the host ends right all the same."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.engine import inventory as inventories
from novaops.engine.converge import RunOptions
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.playbooks import Playbooks
from novaops.engine.query import silent
from novaops.engine.report import HostReport
from novaops.lab.host import LabHost
from novaops.model.plan import Resource
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.lab.conftest import Novaops
from tests.support.relay import Direction, Fault, Relay
from tests.support.things import LEFTOVERS, SLOW, ending, let_go, until_it_says, wait_on, write_inventory

EARLY = 6
"""One cut of so many falls within the login and the first probe: a small part of all bytes."""
SEED = 20261122

MOTD_PLAYBOOK = '''\
"""motd: what a host says to those who log in. Dropped beside an inventory, this file makes `motd:` a section of it."""

from pydantic import BaseModel

from novaops.resources.directory import Directory
from novaops.resources.file import File


class Settings(BaseModel, extra="forbid"):
    greeting: str
    sources: int = 3


def desired(host, settings, peers):
    yield File("/etc/motd", host.templates.render("motd/motd.j2", greeting=settings.greeting, name=host.name))
    yield Directory("/etc/motd.d", mode="0750")
    reload = ("sh", "-c", "systemctl daemon-reload && systemctl restart greeting.service && cat /etc/motd.d/* >/run/greeting")
    for number in range(settings.sources):
        body = host.templates.render("motd/motd.j2", greeting=f"{number} " * 20_000, name=host.name)
        yield File(f"/etc/motd.d/{number}", body, mode="0640")
    unit = "[Service]\\\\nType=oneshot\\\\nExecStart=/bin/cat /etc/motd\\\\n"
    yield File("/etc/systemd/system/greeting.service", unit, check=("systemd-analyze", "verify", "{}"), then=reload)
'''.replace("\\\\n", "\\n").replace(', check=("systemd-analyze", "verify", "{}")', ', check=("grep", "-q", "ExecStart", "{}")')
MOTD_TEMPLATE = "{{ greeting }}, from {{ name }}.\n"

STATE = """\
for file in /etc/motd /etc/motd.d /etc/motd.d/* /etc/systemd/system/greeting.service; do
  [ ! -e "$file" ] || { stat -c '%n %a %U:%G' "$file"; [ -d "$file" ] || sha256sum <"$file"; }
done
"""
"""What the playbook is about: names, rights and sums."""

TIDY = """\
for run in /var/lib/novaops/runs/*/; do
  [ -e "$run/plan.json" ] || continue
  grep -q '^end ' "$run/events" || echo "still going on: $run"
done
find /etc /var/lib/novaops /run /tmp -name '.*.novaops-*'
ls -A /var/lib/novaops/pending 2>/dev/null
"""
"""What must not be there when all is over."""

AS_BEFORE = """\
rm -rf /var/lib/novaops /etc/motd.d /etc/systemd/system/greeting.service /run/greeting
echo old >/etc/motd; chmod 0600 /etc/motd; chown nova /etc/motd
"""


class OnceFaulty(Relay):
    """A relay whose first connection has the fault, and whose later ones are sound."""

    @property
    def fault(self) -> Fault | None:
        return self._armed if self.connections <= self.faulty else None

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._armed = fault

    faulty = 1


def motd_inventory(folder: Path, host: LabHost, **access: Any) -> Path:
    file = write_inventory(folder, host, **access, motd={"greeting": "Welcome"})
    (folder / "playbooks/motd.py").write_text(MOTD_PLAYBOOK)
    (folder / "templates/motd").mkdir(parents=True, exist_ok=True)
    (folder / "templates/motd/motd.j2").write_text(MOTD_TEMPLATE)
    return file


def test_a_playbook_dropped_in_is_a_section(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = motd_inventory(tmp_path, container)
    done = novaops("apply", "--only", "motd", "--json", inventory=file)
    assert (done.code, done.host["status"], len(done.host["steps"])) == (0, "changed", 6), done.text
    assert container.run("cat /etc/motd; stat -c %a /etc/motd.d; systemctl is-failed greeting || true").startswith(
        "Welcome, from box.\n750\ninactive"
    )
    unknown = novaops("apply", "--only", "mtod", inventory=file)
    assert (unknown.code, "there is no section mtod" in unknown.text) == (2, True)
    shutil.rmtree(tmp_path / "playbooks")
    without = novaops("apply", inventory=file)
    assert (without.code, "hosts/box/" in without.text) == (2, True)


@dataclass
class Wire:
    """The way to one host, straight and through a relay, within this process: 50 starts of Python would take longer."""

    straight: Target
    resources: list[Resource]
    session: Session

    def through(self, relay: Relay) -> Target:
        known = f"[{relay.address}]:{relay.port} {self.host_key}\n"
        file = Path(self.straight.known_hosts or "").with_name("relayed")
        file.write_text(known)
        return Target("box", relay.address, relay.port, "root", self.straight.identity, str(file), timeout=5)

    host_key: str = ""

    def apply(self, target: Target) -> HostReport:
        return converge_all([DesiredHost(target, self.resources)], RunOptions(), silent, 1)[0]

    def ask(self, script: str) -> str:
        output = self.session.run(script)
        assert output.status == 0, output.stderr
        return output.stdout

    def settled(self) -> str:
        """What is left over, once nothing goes on any more."""
        end = time.monotonic() + 20
        while (left := self.ask(f"{TIDY}true")) and time.monotonic() < end:
            time.sleep(0.05)  # looking again is a message to the host
        return left


@contextmanager
def wired(host: LabHost, folder: Path) -> Iterator[Wire]:
    file = motd_inventory(folder, host)
    playbooks = Playbooks(folder)
    known = inventories.load(file, list(playbooks.by_name))
    found = known.hosts["box"]
    shutil.copy(host.known_hosts, folder / "known_hosts")
    target = Target("box", host.address, host.port, "root", str(host.identity), str(folder / "known_hosts"), timeout=10)
    with Session(target) as session:
        yield Wire(target, playbooks.resources(known, found), session, " ".join(host.host_key.split()[:2]))


@pytest.mark.parametrize("cuts", [10, pytest.param(60, marks=pytest.mark.long)])
def test_a_cut_at_any_byte_leaves_the_host_right_or_as_it_was(container: LabHost, tmp_path: Path, cuts: int) -> None:
    with wired(container, tmp_path) as wire:
        wire.ask(AS_BEFORE)
        before = wire.ask(STATE)
        with Relay((container.address, container.port)) as relay:
            assert wire.apply(wire.through(relay)).status == "changed"
            length = dict(relay.passed)
        after = wire.ask(STATE)
        assert after != before
        assert length["up"] > 5 * 32_768, "a message of ssh has up to 32 KiB, and arrives whole or not at all: the plan must need several"
        assert length["down"] > 5000
        chance = random.Random(SEED)  # noqa: S311 - the same cuts each time
        seen = {"as it was": 0, "right": 0}
        for number in range(cuts):
            wire.ask(AS_BEFORE)
            direction: Direction = chance.choice(("up", "down"))
            fault = Fault("cut", chance.randrange(5000 if number % EARLY == 0 else length[direction]), direction)
            with OnceFaulty((container.address, container.port), fault=fault) as relay:
                report = wire.apply(wire.through(relay))
                assert report.status in {"changed", "unreachable"}, (number, fault, report)
            assert wire.settled() == "", (number, fault, report)
            found = wire.ask(STATE)
            assert found in {before, after}, (number, fault, report)
            assert report.status == "unreachable" or found == after, (number, fault, report)
            seen["right" if found == after else "as it was"] += 1
            again = wire.apply(wire.straight)
            assert again.status == ("unchanged" if found == after else "changed"), (number, fault, again)
            assert (wire.ask(STATE), wire.settled()) == (after, ""), (number, fault)
        assert min(seen.values()) >= cuts // 12, f"the cuts all fell on one side: {seen}"


def relayed(folder: Path, host: LabHost, relay: Relay) -> Path:
    """An inventory that leads through the relay, and wants a file whose `then` waits."""
    known = folder / "known_hosts"
    known.write_text(f"[{relay.address}]:{relay.port} {' '.join(host.host_key.split()[:2])}\n")
    thing = {"path": "/etc/novaops-test", "content": "new\n", "then": SLOW}
    return write_inventory(folder, host, [thing], address=relay.address, port=relay.port, known_hosts=str(known))


def test_a_link_that_stalls_is_noticed_and_the_run_followed_on(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    with OnceFaulty((container.address, container.port)) as relay:
        file = relayed(tmp_path, container, relay)
        with ending(novaops.start("apply", "--json", "--timeout", "4", inventory=file)) as process:
            wait_on(container, "[ -e /run/begun ]")
            relay.fault = Fault("stall", 0)
            until_it_says(process, "connecting again, the run goes on there")
            let_go(container)
            out, _ = process.communicate(timeout=180)
        assert (process.returncode, '"status": "changed"' in out) == (0, True), out
        assert relay.connections == 2
    assert container.run("wc -l </run/begun") == "1\n"


@pytest.mark.long
def test_a_link_that_never_comes_back(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    with Relay((container.address, container.port)) as relay:
        file = relayed(tmp_path, container, relay)
        with ending(novaops.start("apply", "--timeout", "1", inventory=file)) as process:
            wait_on(container, "[ -e /run/begun ]")
            relay.refusing = True
            relay.cut()
            out, _ = process.communicate(timeout=180)
        assert process.returncode == 1, out
        assert "could not be reached again to see how run" in out
        assert "What was begun goes on there by itself." in out
        assert f"novaops -i {file} history box shows it" in out
        relay.refusing = False
        going = novaops("history", "box", "--json", inventory=file).host["runs"]
        assert [run["end"] for run in going] == ["running"]
        refused = novaops("undo", "box", going[0]["run"], inventory=file)
        assert (refused.code, "is still going on" in refused.text) == (1, True)
        let_go(container)
        wait_on(container, "grep -q '^end ok' /var/lib/novaops/runs/*/events")
        assert [run["end"] for run in novaops("history", "box", "--json", inventory=file).host["runs"]] == ["ok"]
        assert novaops("apply", inventory=file).code == 0
        assert container.run("wc -l </run/begun") == "1\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_run_ends_without_novaops(container: LabHost, novaops: Novaops, tmp_path: Path, number: signal.Signals, code: int) -> None:
    file = write_inventory(tmp_path, container, [{"path": "/etc/novaops-test", "content": "new\n", "then": SLOW}])
    with ending(novaops.start("apply", inventory=file)) as process:
        wait_on(container, "[ -e /run/begun ]")
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert re.search(r"^~ box  going on: interrupted: run \S+ goes on there by itself$", out, re.MULTILINE)
        assert f"→ novaops -i {file} history box shows how it ended" in out
        assert "Traceback" not in out + err
    let_go(container)
    wait_on(container, "grep -q '^end ok' /var/lib/novaops/runs/*/events")
    again = novaops("apply", "--json", inventory=file)
    assert (again.code, again.host["status"], container.run("wc -l </run/ended")) == (0, "unchanged", "1\n")
    assert container.run(LEFTOVERS) == ""
