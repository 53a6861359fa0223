"""The dead man's switch on a real host: confirmed it leaves nothing behind, and whatever breaks, the host puts itself back."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.converge import RunOptions
from novaops.engine.guard import Guard
from novaops.engine.peers import DesiredHost, converge_all
from novaops.engine.query import Progress, silent
from novaops.engine.report import HostReport
from novaops.facts.succeeds import Succeeds
from novaops.lab.container import Container, _init_of
from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Question
from novaops.secret import Secret
from novaops.shell import quote
from novaops.ssh.target import Target
from tests.lab.conftest import Done, Novaops
from tests.lab.engine.test_faults import OnceFaulty
from tests.support.relay import Fault, Relay
from tests.support.things import Thing, ending, until_it_says, write_inventory

FIRES = ("--guard", "10")
WITHIN = 10 + 4
"""Seconds from the arming to a host that has rolled it back."""

A: Thing = {"path": "/etc/a", "content": "new a\n", "mode": "0600", "guarded": True}
B: Thing = {"path": "/etc/b", "content": "new b\n", "guarded": True}
C: Thing = {"path": "/etc/c", "content": "new c\n"}


def with_b(there: str, gone: str = ":") -> Thing:
    """B, followed by sh for when it is there and for when it was taken back."""
    return {**B, "then": ["sh", "-c", f"if [ -e /etc/b ]; then {there}; else {gone}; fi"]}


DEAF = with_b("systemctl stop ssh", "systemctl start ssh")
"""With it nobody can log in any more."""

UNTIL_GO = "touch /run/begun; until [ -e /run/go ]; do sleep 0.05; done"
WAITS = with_b(UNTIL_GO)

TREE = """\
cd /etc
find . -type d -printf '%p %y %m %U:%G\\n' -o -printf '%p %y %m %U:%G %s %T@ %l\\n' | sort
find . -type f -exec sha256sum {} + | sort
"""
"""Every name below /etc with its rights and times, every byte by its sum. A directory's time tells only that something came and went."""

LEFT = """\
ls -d /run/novaops-* /run/systemd/transient/novaops-* 2>/dev/null
systemctl list-units --all --plain --no-legend 'novaops*'
pgrep -ax sleep; pgrep -af 'novaops/runs/2[0]'
find /etc /var/lib/novaops -name '.*.novaops-*'; ls -A /var/lib/novaops/pending
for run in /var/lib/novaops/runs/*; do ls -d $run/armed $run/holding $run/sleeper $run/script $run/payload 2>/dev/null; done
true
"""
"""What must not be there when all is over: doors, units, processes, unfinished work."""


@dataclass(frozen=True)
class Inside:
    """The container seen without ssh, which is what breaks here."""

    host: Container

    def __call__(self, command: str) -> str:
        return self._done(command, check=True).stdout

    def holds(self, test: str) -> bool:
        return self._done(test, check=False).returncode == 0

    def wait_on(self, test: str, deadline_s: float = 90) -> None:
        assert wait_until(lambda: self.holds(test), deadline_s), f"{test} did not come true within {deadline_s} s\n{self.events()}"

    def events(self) -> str:
        """Those of the newest run."""
        return self('cat "$(ls -d /var/lib/novaops/runs/* | tail -n 1)/events"')

    def wait_for(self, event: str, deadline_s: float = 90) -> None:
        self.wait_on(f"grep -q '^{event}' \"$(ls -d /var/lib/novaops/runs/* | tail -n 1)/events\"", deadline_s)

    def settled(self) -> str:
        """What is left over, once nothing goes on any more."""
        wait_until(lambda: self(LEFT) == "", 5)
        return self(LEFT)

    def _done(self, command: str, *, check: bool) -> subprocess.CompletedProcess[str]:
        assert self.host.state.process is not None
        init = _init_of(self.host.state.process.pid)
        return subprocess.run(["nsenter", "-a", "-t", str(init), "sh", "-c", command], capture_output=True, text=True, check=check)


@pytest.fixture
def inside(container: LabHost) -> Inside:
    """A pristine container with an old /etc/a of rights of its own, and no /etc/b."""
    assert isinstance(container, Container)
    found = Inside(container)
    found("echo old >/etc/a; chmod 0604 /etc/a; chown nova:operator /etc/a; touch -d '2001-02-03 04:05:06' /etc/a")
    return found


@contextmanager
def out_of_reach(inside: Inside, folder: Path, *things: Thing) -> Iterator[tuple[Path, Relay]]:
    """An inventory that leads through a relay, and the relay."""
    host = inside.host
    with Relay((host.address, host.port)) as relay:
        yield through(inside, folder, relay, *things), relay


def through(inside: Inside, folder: Path, relay: Relay, *things: Thing) -> Path:
    known = folder / "known_hosts"
    known.write_text(f"[{relay.address}]:{relay.port} {' '.join(inside.host.host_key.split()[:2])}\n")
    return write_inventory(folder, inside.host, things, address=relay.address, port=relay.port, known_hosts=str(known))


def end_of(process: subprocess.Popen[str], timeout: float = 180) -> Done:
    out, err = process.communicate(timeout=timeout)
    return Done(process.returncode, out, err)


def statuses(done: Done) -> list[str]:
    return [step["status"] for step in done.host["steps"]]


# -- confirmed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timer", ["systemd", "sleeper"])
def test_a_fresh_login_confirms_and_nothing_is_left(inside: Inside, novaops: Novaops, tmp_path: Path, timer: str) -> None:
    if timer == "sleeper":
        inside("mv /usr/bin/systemd-run /usr/bin/hidden")
    inside("echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/verbose.conf; systemctl restart ssh")
    file = write_inventory(tmp_path, inside.host, [A, B, C])
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, done.host["status"], statuses(done)) == (0, "changed", ["changed"] * 3), done.text
    assert (done.host["execs"], done.host["fresh_logins"]) == (3, 1)
    journal = inside("journalctl --sync; journalctl -t sshd -o cat")
    assert journal.count("Accepted publickey for root") == 1 + 1
    assert journal.count("Starting session: command") == 3 + 1
    assert inside("cat /etc/a /etc/b /etc/c; stat -c %a:%U /etc/a") == "new a\nnew b\nnew c\n600:root\n"
    assert inside.settled() == ""
    assert "guarded 0 90\nconfirmed 0\nstep 2\n" in inside.events()


def test_each_guarded_range_is_confirmed_by_a_login_of_its_own(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, inside.host, [A, C, B]))
    assert (done.code, done.host["execs"], done.host["fresh_logins"]) == (0, 3, 2), done.text
    told = [line for line in inside.events().splitlines() if line.startswith(("step", "guarded", "confirmed"))]
    assert told == ["step 0", "guarded 0 90", "confirmed 0", "step 1", "step 2", "guarded 1 90", "confirmed 1"]
    assert inside.settled() == ""
    again = novaops("apply", "--json", inventory=tmp_path / "inventory.yaml")
    assert (again.code, again.host["status"], "fresh_logins" in again.host) == (0, "unchanged", False)


# -- the fresh login does not work ------------------------------------------------------------------------------------


def test_without_a_fresh_login_the_host_is_as_before(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    file = write_inventory(tmp_path, inside.host, [A, DEAF])
    done = novaops("apply", *FIRES, "--json", inventory=file)
    assert (done.code, done.host["status"], statuses(done)) == (1, "rolled_back", ["rolled_back"] * 2), done.text
    assert (done.host["execs"], done.host["fresh_logins"]) == (4, 1)
    error = done.host["error"]
    assert error["code"] == "rolled-back"
    assert f"the host rolled it back: box ({inside.host.address}): nothing answers at {inside.host.address}:22" in error["what"]
    assert "All of it was taken back. Looked at again: the host is as it was before." in error["why"]
    assert (inside(TREE), inside.settled()) == (before, "")
    assert "fired" not in inside.events(), "novaops says so, and the host need not wait any longer"
    text = novaops("apply", *FIRES, inventory=file)
    assert text.code == 1
    assert "✘ box  file:/etc/a  rolled back  (content, mode, owner, group)" in text.out
    assert "box  rolled back: the fresh login did not work, and the host rolled it back" in text.out
    assert "1 host: 1 rolled back (4 execs, 1 fresh login, " in text.out
    assert (inside(TREE), inside.settled(), inside("systemctl is-active ssh")) == (before, "", "active\n")
    assert novaops("history", "box", inventory=file).out.count("rolled back") == 2
    for words in (["box"], ["box", done.host["run"]]):
        undone = novaops("undo", *words, "--json", inventory=file)
        assert (undone.code, undone.host["status"], inside(TREE)) == (0, "unchanged", before), undone.text


FAULTS_OUTSIDE = {
    "a DenyUsers file": "echo 'DenyUsers root' >/etc/ssh/sshd_config.d/x.conf; systemctl restart ssh",
    "no login shell": "chsh -s /usr/sbin/nologin root",
    "no room for the session": "echo 'MaxSessions 0' >/etc/ssh/sshd_config.d/x.conf; systemctl restart ssh",
}


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS_OUTSIDE.items()])
@pytest.mark.long
def test_a_fault_of_others_is_no_reason_to_keep_it(inside: Inside, novaops: Novaops, tmp_path: Path, fault: str) -> None:
    """It comes between the reload and the login, and stays; what novaops did goes."""
    file = write_inventory(tmp_path, inside.host, [A, with_b(fault)])
    done = novaops("apply", *FIRES, "--json", inventory=file)
    assert (done.code, done.host["status"], statuses(done)) == (1, "rolled_back", ["rolled_back"] * 2), done.text
    assert inside("cat /etc/a; stat -c %a:%U:%G /etc/a; ls /etc/b 2>&1 || true").startswith("old\n604:nova:operator\nls: ")
    assert (inside.settled(), inside("systemctl is-active ssh")) == ("", "active\n")


def test_an_sshd_that_was_killed_is_started_by_systemd_and_confirms(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, inside.host, [A, with_b("kill -9 $(cat /run/sshd.pid)")]))
    assert (done.code, done.host["status"], done.host["fresh_logins"]) == (0, "changed", 1), done.text
    assert inside.settled() == ""


# -- novaops is gone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "timer"),
    [
        (signal.SIGKILL, "systemd"),
        pytest.param(signal.SIGKILL, "sleeper", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "systemd", marks=pytest.mark.long),
    ],
)
def test_without_novaops_the_host_puts_itself_back(
    inside: Inside, novaops: Novaops, tmp_path: Path, number: signal.Signals, timer: str
) -> None:
    if timer == "sleeper":
        inside("mv /usr/bin/systemd-run /usr/bin/hidden")
    before = inside(TREE)
    file = write_inventory(tmp_path, inside.host, [A, DEAF])
    with ending(novaops.start("apply", *FIRES, inventory=file)) as process:
        until_it_says(process, "logging in anew: the same login by key. Without that the host takes it back within 10 s")
        assert (inside.holds("systemctl is-active ssh"), inside("cat /etc/a")) == (False, "new a\n")
        process.send_signal(number)
        process.wait(10)
    inside.wait_for("end rolled_back", WITHIN)
    assert "undone 1 0 0\nundone 0 0 0\nend rolled_back\n" in inside.events()
    assert number == signal.SIGINT or "\nfired 0\n" in inside.events()
    assert (inside(TREE), inside.settled(), inside("systemctl is-active ssh")) == (before, "", "active\n")
    assert [run["end"] for run in novaops("history", "box", "--json", inventory=file).host["runs"]] == ["rolled_back"]


@pytest.mark.long
def test_a_link_that_stalls_before_the_login_confirms_nothing(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    with (
        out_of_reach(inside, tmp_path, A, WAITS) as (file, relay),
        ending(novaops.start("apply", *FIRES, "--timeout", "4", "--json", inventory=file)) as process,
    ):
        inside.wait_on("[ -e /run/begun ]")
        relay.fault = Fault("stall", 0)
        inside("touch /run/go")
        inside.wait_for("end rolled_back", WITHIN)
        assert (inside(TREE), inside.settled()) == (before, "")
        relay.fault = None
        relay.cut()
        done = end_of(process)
    assert (done.code, done.host["status"], statuses(done)) == (1, "rolled_back", ["rolled_back"] * 2), done.text
    assert "nobody confirmed it within 10 s" in done.host["error"]["what"]


@pytest.mark.long
def test_a_link_that_comes_back_in_time_confirms(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    host = inside.host
    with OnceFaulty((host.address, host.port)) as relay:
        file = through(inside, tmp_path, relay, A, WAITS)
        with ending(novaops.start("apply", "--timeout", "4", "--json", inventory=file)) as process:
            inside.wait_on("[ -e /run/begun ]")
            relay.fault = Fault("stall", 0)
            inside("touch /run/go")
            inside.wait_for("guarded 0")
            done = end_of(process)
    assert (done.code, done.host["status"], done.host["fresh_logins"], relay.connections) == (0, "changed", 1, 3), done.text
    assert inside.settled() == ""


@pytest.mark.long
def test_a_novaops_that_wakes_too_late_says_nothing(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """As on a laptop that was closed. There is no door any more, and none is made by knocking."""
    before = inside(TREE)
    with ending(novaops.start("apply", *FIRES, "--json", inventory=write_inventory(tmp_path, inside.host, [A, DEAF]))) as process:
        until_it_says(process, "logging in anew")
        process.send_signal(signal.SIGSTOP)
        inside.wait_for("end rolled_back", WITHIN)
        process.send_signal(signal.SIGCONT)
        done = end_of(process)
    assert (done.code, done.host["status"]) == (1, "rolled_back"), done.text
    assert (inside(TREE), inside.settled()) == (before, "")


# -- the run itself comes to harm -------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_run_killed_while_it_waits_is_taken_back(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    file = write_inventory(tmp_path, inside.host, [A, DEAF])
    with ending(novaops.start("apply", *FIRES, "--json", inventory=file)) as process:
        until_it_says(process, "logging in anew")
        inside("kill -9 $(cat /var/lib/novaops/runs/*/pid)")
        done = end_of(process)
    assert (done.code, done.host["status"], statuses(done)) == (1, "rolled_back", ["rolled_back"] * 2), done.text
    assert (inside(TREE), inside.settled()) == (before, "")


@pytest.mark.long
def test_a_step_that_hangs_is_taken_back_and_the_host_is_free(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    file = write_inventory(tmp_path, inside.host, [A, with_b("sleep 1000")])
    done = novaops("apply", *FIRES, "--json", inventory=file, timeout=40)
    assert (done.code, done.host["status"], statuses(done)) == (1, "rolled_back", ["rolled_back"] * 2), done.text
    assert "nobody confirmed it within 10 s" in done.host["error"]["what"]
    assert (inside(TREE), inside.settled()) == (before, "")
    after = novaops("apply", "--no-wait", "--json", inventory=write_inventory(tmp_path, inside.host, [A, B]))
    assert (after.code, after.host["status"]) == (0, "changed"), after.text


KILL_THE_GUARD = "pkill -9 -f 'script [f]ire 0'"


@pytest.mark.long
@pytest.mark.parametrize(
    ("there", "timer"),
    [("systemctl stop ssh", "systemd"), ("systemctl stop ssh", "sleeper"), ("systemctl stop ssh; sleep 1000", "systemd")],
    ids=["the run waits", "the run waits, without systemd-run", "the run hangs and was killed"],
)
def test_a_guard_killed_at_its_work_has_a_successor(inside: Inside, novaops: Novaops, tmp_path: Path, there: str, timer: str) -> None:
    if timer == "sleeper":
        inside("mv /usr/bin/systemd-run /usr/bin/hidden")
    before = inside(TREE)
    slow = "touch /run/undoing; until [ -e /run/go ]; do sleep 0.05; done; systemctl start ssh"
    file = write_inventory(tmp_path, inside.host, [A, with_b(there, slow)])
    with ending(novaops.start("apply", *FIRES, inventory=file)) as process:
        inside.wait_on("! systemctl is-active ssh")
        process.kill()  # it would have the run take it back, without the guard
    inside.wait_on("[ -e /run/undoing ]", WITHIN + 6)
    inside(KILL_THE_GUARD)
    inside("touch /run/go")
    inside.wait_for("end rolled_back", WITHIN)
    assert inside.events().count("end ") == 1
    assert (inside(TREE), inside.settled(), inside("systemctl is-active ssh")) == (before, "", "active\n")
    after = novaops("apply", "--no-wait", "--json", inventory=write_inventory(tmp_path, inside.host, [A, B]))
    assert (after.code, after.host["status"]) == (0, "changed"), after.text


@pytest.mark.long
def test_a_guard_that_never_comes_is_not_waited_for(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    with ending(novaops.start("apply", *FIRES, inventory=write_inventory(tmp_path, inside.host, [A, DEAF]))) as process:
        until_it_says(process, "logging in anew")
        inside("systemctl stop 'novaops-guard-*.timer'")
        process.kill()
    inside.wait_for("end rolled_back", WITHIN + 15)
    assert (inside(TREE), inside.settled(), inside("systemctl is-active ssh")) == (before, "", "active\n")


@pytest.mark.long
def test_a_disk_that_is_full_does_not_stop_the_guard(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    inside("mkdir /var/lib/novaops; mount -t tmpfs -o nr_inodes=200 tmpfs /var/lib/novaops")
    before = inside(TREE)
    full = with_b("systemctl stop ssh; n=0; while touch /var/lib/novaops/$n; do n=$((n + 1)); done", "systemctl start ssh")
    with ending(novaops.start("apply", *FIRES, inventory=write_inventory(tmp_path, inside.host, [A, full]))) as process:
        until_it_says(process, "logging in anew")
        process.kill()
    inside.wait_for("end rolled_back", WITHIN)
    assert (inside(TREE), inside("systemctl is-active ssh")) == (before, "active\n")


@pytest.mark.parametrize("timer", ["systemd", pytest.param("sleeper", marks=pytest.mark.long)])
def test_a_step_that_fails_rolls_its_whole_range_back(inside: Inside, novaops: Novaops, tmp_path: Path, timer: str) -> None:
    if timer == "sleeper":
        inside("mv /usr/bin/systemd-run /usr/bin/hidden")
    before = inside(TREE)
    things = [{**C, "path": "/srv/c"}, A, with_b("false"), {**C, "path": "/srv/d"}]
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, inside.host, things))
    assert (done.code, done.host["status"], statuses(done)) == (1, "failed", ["changed", "rolled_back", "failed", "skipped"]), done.text
    assert "What it and file:/etc/a had done was taken back. Done before it, and kept: file:/srv/c." in done.host["error"]["why"]
    assert inside("cat /srv/c; ls /srv") == "new c\nc\n"
    assert (inside(TREE), inside.settled()) == (before, "")


# -- the door ---------------------------------------------------------------------------------------------------------


def test_only_the_word_opens_the_door(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """What anybody else says there neither confirms nor takes back, and does not stop the word."""
    with out_of_reach(inside, tmp_path, A, WAITS) as (file, relay), ending(novaops.start("apply", "--json", inventory=file)) as process:
        inside.wait_on("[ -e /run/begun ]")
        relay.refusing = True
        inside("touch /run/go")
        inside.wait_for("guarded 0")
        assert not inside.holds("runuser -u nova -- ls /run/novaops-*"), "anybody can read what was said"
        for knock in ("touch $0/keep", "echo keep 0 >$0/0", "mkdir $0/back", "ln -s /etc/passwd $0/x", "yes keep | head -c 1M >$0/garbage"):
            inside(f"runuser -u nova -- sh -c '{knock}' /run/novaops-*")
            for _ in range(2):
                inside.wait_on(f"pid=$(cat /var/lib/novaops/runs/*/pid); [ $(pgrep -P $pid -x sleep) != {sleeping(inside)} ]")
            assert inside.events().endswith("guarded 0 90\n")
        relay.refusing = False
        done = end_of(process)
    assert (done.code, done.host["status"], inside("cat /etc/a")) == (0, "changed", "new a\n"), done.text
    assert inside.settled() == ""


def sleeping(inside: Inside) -> str:
    """The process in which the run waits until it looks at its door again."""
    script = "until pgrep -P $(cat /var/lib/novaops/runs/*/pid) -x sleep; do :; done"
    return inside(script).strip()


def test_the_word_is_nowhere_but_on_its_way(inside: Inside, novaops: Novaops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in any argument, as all of them were while the run went on, nor in the journal, nor in any file."""
    del novaops
    word = "the-word-of-this-run-and-of-no-other"
    monkeypatch.setattr("novaops.engine.run._guard", lambda seconds: Guard(Secret(word), seconds))
    inside("echo 'LogLevel DEBUG3' >/etc/ssh/sshd_config.d/verbose.conf; systemctl restart ssh")
    watch = "until [ -e /run/go ]; do cat /proc/[0-9]*/cmdline 2>/dev/null; done >/run/seen"
    inside(f"setsid sh -c {quote(watch)} </dev/null >/dev/null 2>&1 &")
    report = in_process(inside, tmp_path, [Twice()])
    inside("touch /run/go")
    assert (report.status, report.logins) == ("changed", 1)
    assert inside.holds(f"grep -aq {report.run}/script /run/seen"), "what the run does is not seen"
    assert inside("journalctl --sync; journalctl -o cat | grep -c 'Starting session: command'") == "4\n"
    assert inside(f"journalctl -o cat | grep {word}; grep -rla {word} /run /var /etc /tmp /root 2>/dev/null || true") == ""


# -- other runs, and taking back --------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_is_not_confirmed_is_not_right(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """The same line once more, while the first one's guard is open: it waits, and does what the host has taken back."""
    (tmp_path / "again").mkdir()
    again = write_inventory(tmp_path / "again", inside.host, [A, {**WAITS, "then": ["true"]}])
    with out_of_reach(inside, tmp_path, A, WAITS) as (file, relay):
        with ending(novaops.start("apply", *FIRES, inventory=file)) as first:
            inside.wait_on("[ -e /run/begun ]")
            relay.refusing = True
            inside("touch /run/go")
            inside.wait_for("guarded 0")
            first.kill()
        at_once = novaops("apply", "--no-wait", "--json", inventory=again)
        assert (at_once.code, at_once.host["error"]["code"]) == (1, "locked"), at_once.text
        done = novaops("apply", "--json", inventory=again)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert "not confirmed yet" in done.err
    assert inside("cat /etc/a") == "new a\n"
    assert inside.settled() == ""


@dataclass(frozen=True)
class Seen(Resource):
    """/etc/b, which is waited for in a look until it is there, or until the run that made it has ended."""

    id: str = "seen:/etc/b"

    def questions(self) -> list[Question[Any]]:
        return [THERE]

    def plan(self, facts: Facts) -> Iterator[Step]:
        if not facts.known(THERE):
            yield Step(self.id, (Change("file", None, "present"),), (Command(("touch", "/etc/b"), holds="[ -e /etc/b ]"),))


THERE = Succeeds("touch /run/looks; until [ -e /etc/b ] || grep -q ^end /var/lib/novaops/runs/*/events; do sleep 0.05; done; [ -e /etc/b ]")


def test_what_came_under_guard_in_the_middle_of_a_look_is_not_right(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """The look begins before the run, and sees what the run takes back later."""
    (tmp_path / "ours").mkdir()
    said: list[str] = []
    with ThreadPoolExecutor(1) as thread:
        ours = thread.submit(in_process, inside, tmp_path / "ours", [Seen()], lambda _, doing: said.append(doing))
        inside.wait_on("[ -e /run/looks ]")
        fails = write_inventory(tmp_path, inside.host, [with_b(f"{UNTIL_GO}; false")])
        with ending(novaops.start("apply", inventory=fails)) as first:
            assert wait_until(lambda: ours.done() or any("not confirmed yet" in line for line in said), 60), said
            inside("touch /run/go")
            assert end_of(first).code == 1
        report = ours.result(60)
    assert report.status == "changed", report
    assert inside.holds("[ -e /etc/b ]")


def test_a_dead_runs_guard_fires_before_the_next_run_does_anything(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """And so not after it, when it would take the next one's work away."""
    with out_of_reach(inside, tmp_path, A, WAITS) as (file, relay), ending(novaops.start("apply", inventory=file)) as first:
        inside.wait_on("[ -e /run/begun ]")
        relay.refusing = True
        inside("touch /run/go")
        inside.wait_for("guarded 0")
        first.kill()
        inside("kill -9 $(cat /var/lib/novaops/runs/*/pid)")
    (tmp_path / "next").mkdir()
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path / "next", inside.host, [{**A, "content": "the next\n"}, C]))
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert inside("cat /etc/a /etc/c; ls /etc/b 2>/dev/null || true") == "the next\nnew c\n"
    assert inside("cat /var/lib/novaops/runs/*/events | grep -c '^end rolled_back'") == "1\n"
    assert inside.settled() == ""


def test_another_run_waits_for_the_word_too(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write_inventory(tmp_path / "other", inside.host, [C])
    with out_of_reach(inside, tmp_path, A, WAITS) as (file, relay), ending(novaops.start("apply", "--json", inventory=file)) as first:
        inside.wait_on("[ -e /run/begun ]")
        relay.refusing = True
        inside("touch /run/go")
        inside.wait_for("guarded 0")
        at_once = novaops("apply", "--no-wait", "--json", inventory=other)
        assert (at_once.code, at_once.host["error"]["code"]) == (1, "locked")
        with ending(novaops.start("apply", "--json", inventory=other)) as second:
            until_it_says(second, "waiting for run")
            relay.refusing = False
            done = [end_of(first), end_of(second)]
    assert [(each.code, each.host["status"]) for each in done] == [(0, "changed")] * 2, done
    assert inside("cat /etc/a /etc/b /etc/c") == "new a\nnew b\nnew c\n"


def test_taking_a_guarded_run_back_is_guarded_too(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    before = inside(TREE)
    file = write_inventory(tmp_path, inside.host, [A, with_b("touch /run/there", "rm /run/there")])
    run = novaops("apply", "--json", inventory=file).host["run"]
    after = inside(TREE)
    undone = novaops("undo", "box", "--json", inventory=file)
    assert (undone.code, undone.host["status"], undone.host["execs"], undone.host["fresh_logins"]) == (0, "changed", 4, 1), undone.text
    assert (inside(TREE), inside.settled(), inside.holds("[ -e /run/there ]")) == (before, "", False)
    again = novaops("undo", "box", undone.host["run"], "--json", inventory=file)
    assert (again.code, again.host["status"], again.host["fresh_logins"]) == (0, "changed", 1), again.text
    assert (inside(TREE), inside.settled(), inside.holds("[ -e /run/there ]")) == (after, "", True)
    listed = novaops("history", "box", "--json", inventory=file).host["runs"]
    assert [(each["undoes"], each["end"]) for each in listed] == [(undone.host["run"], "ok"), (run, "ok"), ("", "ok")]


@pytest.mark.long
def test_taking_back_that_nobody_confirms_is_taken_back(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    file = write_inventory(tmp_path, inside.host, [A, with_b("systemctl start ssh", "systemctl stop ssh")])
    assert novaops("apply", inventory=file).code == 0
    after = inside(TREE)
    undone = novaops("undo", "box", *FIRES, "--json", inventory=file)
    assert (undone.code, undone.host["status"], undone.host["fresh_logins"]) == (1, "rolled_back", 1), undone.text
    assert (inside(TREE), inside.settled(), inside("systemctl is-active ssh")) == (after, "", "active\n")


@dataclass(frozen=True)
class Twice(Resource):
    """A guarded resource of two directories, one of which is made by somebody else at the last moment."""

    id: str = "twice:/srv"
    fails: bool = False

    def questions(self) -> list[Question[Any]]:
        return [Succeeds("[ -d /srv/ours ]")]

    def plan(self, facts: Facts) -> Iterator[Step]:
        if not facts.known(Succeeds("[ -d /srv/ours ]")):
            theirs = Command(("mkdir", "/srv/theirs"))
            ends = (Command(("false",)),) if self.fails else ()
            actions = (theirs, made("/srv/theirs"), made("/srv/ours"), *ends)
            yield Step(self.id, (Change("directory", None, "present"),), actions, Risk.LOCKOUT)


def made(path: str) -> Command:
    undo = Command(("rmdir", path), holds=f"[ ! -e {path} ]")
    return Command(("mkdir", path), holds=f"[ -d {path} ]", undo=undo)


def in_process(inside: Inside, folder: Path, resources: list[Resource], progress: Progress = silent) -> HostReport:
    host = inside.host
    shutil.copy(host.known_hosts, folder / "known_hosts")
    target = Target("box", host.address, host.port, "root", str(host.identity), str(folder / "known_hosts"), timeout=10)
    return converge_all([DesiredHost(target, resources)], RunOptions(), progress, 1)[0]


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_there_already_is_not_taken_back(inside: Inside, novaops: Novaops, tmp_path: Path, *, fails: bool) -> None:
    report = in_process(inside, tmp_path, [Twice(fails=fails)])
    assert report.status == ("failed" if fails else "changed"), report
    assert "there 0 1\n" in inside.events()
    if not fails:
        assert inside("ls /srv") == "ours\ntheirs\n"
        undone = novaops("undo", "box", "--json", inventory=write_inventory(tmp_path, inside.host))
        assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert inside("ls /srv") == "theirs\n"


# -- the host goes down in between ------------------------------------------------------------------------------------


def test_a_host_that_is_booted_while_it_waits_puts_itself_back(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    """No timer outlives a reboot."""
    before = inside(TREE)
    with (
        out_of_reach(inside, tmp_path, A, WAITS) as (file, relay),
        ending(novaops.start("apply", "--timeout", "5", "--json", inventory=file)) as process,
    ):
        inside.wait_on("[ -e /run/begun ]")
        relay.refusing = True
        inside("touch /run/go")
        inside.wait_for("guarded 0")
        inside.host.stop()
        inside.host.start()
        relay.refusing = False
        done = end_of(process)
    assert (done.code, done.host["status"]) == (1, "rolled_back"), done.text
    assert inside(TREE) == before
    assert inside(f"systemctl daemon-reload; {LEFT}") == ""


def test_a_guard_that_comes_too_late_leaves_the_next_range_alone(inside: Inside, novaops: Novaops, tmp_path: Path) -> None:
    late = "run=$(ls -d /var/lib/novaops/runs/*); sh $run/script fire 0"
    file = write_inventory(tmp_path, inside.host, [A, C, with_b(late)])
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, done.host["status"], done.host["fresh_logins"]) == (0, "changed", 2), done.text
