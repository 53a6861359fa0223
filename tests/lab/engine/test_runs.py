"""Runs on a real host: one at a time, remembered, taken back, and at the price of three messages."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from novaops.engine.converge import Convergence, RunOptions
from novaops.engine.query import silent
from novaops.lab.host import LabHost
from novaops.model.journal import KEPT_RUNS
from novaops.resources.file import File
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from tests.lab.conftest import Novaops
from tests.support.things import SLOW, Thing, ending, let_go, until_it_says, wait_on, write_inventory

TARGET = "/etc/novaops-test"
SLOW_FILE: Thing = {"path": TARGET, "content": "slow\n", "then": SLOW}
OTHER: Thing = {"path": "/etc/novaops-other", "content": "other\n"}


def wanting(folder: Path, host: LabHost, *things: Thing) -> Path:
    """An inventory in a folder of its own: several can be in use at once."""
    number = sum(1 for _ in folder.iterdir()) if folder.exists() else 0
    return write_inventory(folder / f"inventory-{number}", host, things)


@contextmanager
def at_work(novaops: Novaops, host: LabHost, file: Path) -> Iterator[Popen[str]]:
    """A novaops whose run is in the middle of its work until it is let go."""
    with ending(novaops.start("apply", "--json", inventory=file)) as process:
        wait_on(host, "[ -e /run/begun ]")
        yield process


def run_ids(novaops: Novaops, file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = novaops("history", "box", "--json", inventory=file).host["runs"]
    return found


# -- one at a time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [False, True])
def test_two_at_once_both_end_right(container: LabHost, novaops: Novaops, tmp_path: Path, *, same: bool) -> None:
    first_file = wanting(tmp_path, container, SLOW_FILE)
    other = SLOW_FILE if same else OTHER
    with at_work(novaops, container, first_file) as first:
        at_once = novaops("apply", "--no-wait", "--json", inventory=wanting(tmp_path, container, {**other, "content": "x"}))
        assert (at_once.code, at_once.host["error"]["code"]) == (1, "locked")
        assert at_once.host["error"]["what"] == "another run is at work on the host"
        with ending(novaops.start("apply", "--json", inventory=wanting(tmp_path, container, other))) as second:
            said = until_it_says(second, "waiting for run")
            let_go(container)
            out, _ = second.communicate(timeout=180)
        first_out, _ = first.communicate(timeout=180)
    assert (first.returncode, second.returncode) == (0, 0), first_out + out
    assert f"waiting for run {json.loads(first_out)['hosts'][0]['run']} of " in said
    assert json.loads(out)["hosts"][0]["status"] == ("unchanged" if same else "changed")
    assert container.run(f"cat {TARGET}; wc -l </run/begun") == "slow\n1\n"
    assert same or container.run("cat /etc/novaops-other") == "other\n"


@pytest.mark.parametrize("wanted", [SLOW_FILE, OTHER], ids=["half done", "not begun"])
def test_a_plan_from_a_look_at_a_host_at_work_does_not_hold(container: LabHost, novaops: Novaops, tmp_path: Path, wanted: Thing) -> None:
    """The run ends after the look, and before anybody's next run is begun."""
    resource = File(wanted["path"], wanted["content"].encode(), then=wanted.get("then", ()))
    with at_work(novaops, container, wanting(tmp_path, container, SLOW_FILE, OTHER)) as first:
        known_hosts = shutil.copy(container.known_hosts, tmp_path / "known_hosts")
        with Session(Target("box", container.address, container.port, "root", str(container.identity), str(known_hosts))) as session:
            ours = Convergence(session, [resource], RunOptions(), silent)
            ours.probe()
            plan = ours.plan({})
            let_go(container)
            first.communicate(timeout=180)
            assert first.returncode == 0
            report = ours.apply(plan, {})
    assert plan.steps
    assert report.status == "unchanged", report.error
    assert container.run("wc -l </run/begun") == "1\n"


@pytest.mark.parametrize("death", ["killed", "power cut"])
def test_the_lock_of_a_dead_run_holds_nobody_up(container: LabHost, novaops: Novaops, tmp_path: Path, death: str) -> None:
    with at_work(novaops, container, wanting(tmp_path, container, SLOW_FILE)) as first:
        if death == "killed":
            container.run("kill -9 $(cat /var/lib/novaops/runs/*/pid)")
            first.communicate(timeout=180)
        else:
            first.kill()
            container.stop()
            container.start()
            # The number of the dead run's process belongs to another one now, as can be after any boot.
            container.run("echo 1 >/var/lib/novaops/runs/*/pid")
    other = wanting(tmp_path, container, {"path": "/etc/novaops-other", "content": "other\n"})
    done = novaops("apply", "--no-wait", "--json", inventory=other)
    assert (done.code, done.host["status"]) == (0, "changed"), done.text
    assert [run["end"] for run in run_ids(novaops, other)] == ["ok", "cut"]
    let_go(container)
    undone = novaops("undo", "box", run_ids(novaops, other)[1]["run"], "--json", inventory=other)
    assert (undone.code, undone.host["status"]) == (0, "changed"), undone.text
    assert container.run(f"ls {TARGET} 2>&1 || true").startswith("ls:")


# -- history and undo -------------------------------------------------------------------------------------------------


def test_undo_takes_a_run_back_and_undo_of_that_brings_it_again(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >{TARGET}; chmod 0604 {TARGET}; echo gone >/etc/novaops-gone")
    file = wanting(
        tmp_path,
        container,
        {"path": TARGET, "content": "new\n", "then": ["cp", TARGET, "/run/reloaded"]},
        {"path": "/srv/place", "directory": True},
        {"path": "/srv/place/file", "content": "inside\n"},
        {"path": "/etc/novaops-gone"},
    )
    look = f"cd /; cat {TARGET} /run/reloaded; stat -c %a {TARGET}; ls -d /srv/place /srv/place/file /etc/novaops-gone 2>/dev/null || true"
    run = novaops("apply", "--json", inventory=file).host["run"]
    new = container.run(look)
    assert new == "new\nnew\n644\n/srv/place\n/srv/place/file\n"

    planned = novaops("undo", "box", "--check", "--json", inventory=file)
    assert (planned.code, planned.host["status"], container.run(look)) == (3, "would_change", new)
    undone = novaops("undo", "box", "--json", inventory=file)
    assert (undone.code, undone.host["status"], undone.host["execs"]) == (0, "changed", 4), undone.text
    assert container.run(look) == "old\nold\n604\n/etc/novaops-gone\n"
    nothing = novaops("undo", "box", "--json", inventory=file)
    assert (nothing.code, nothing.host["status"], nothing.host["notes"][0]["text"]) == (0, "unchanged", "there is nothing left to undo")

    again = novaops("undo", "box", undone.host["run"], "--json", inventory=file)
    assert (again.code, again.host["status"]) == (0, "changed"), again.text
    assert container.run(look) == new
    assert novaops("plan", inventory=file).code == 0
    listed = run_ids(novaops, file)
    assert [(each["run"], each["undoes"], each["undone_by"]) for each in listed] == [
        (again.host["run"], undone.host["run"], ""),
        (undone.host["run"], run, again.host["run"]),
        (run, "", ""),
    ]
    assert [step["resource"] for step in listed[2]["steps"]][:2] == [f"file:{TARGET}", "directory:/srv/place"]
    text = novaops("history", "box", inventory=file).out
    assert f"undone by {again.host['run']}" in text


def test_undo_never_overwrites_what_changed_since(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >{TARGET}")
    file = wanting(tmp_path, container, {"path": TARGET, "content": "new\n"}, {"path": "/srv/place", "directory": True})
    run = novaops("apply", "--json", inventory=file).host["run"]
    container.run(f"echo mine >>{TARGET}; touch /srv/place/mine")
    refused = novaops("undo", "box", "--json", inventory=file)
    assert (refused.code, refused.host["status"]) == (4, "refused")
    kept = refused.host["error"]["fix"].split()[-1]
    assert (refused.host["error"]["what"], container.run(f"cat {kept}")) == (f"{TARGET} was changed since run {run}", "old\n")
    assert container.run(f"cat {TARGET}; ls /srv/place") == "new\nmine\nmine\n"
    container.run(f"echo new >{TARGET}")
    stuck = novaops("undo", "box", "--json", inventory=file)
    assert (stuck.code, "Directory not empty" in stuck.host["error"]["what"]) == (1, True)
    assert container.run("ls /srv/place") == "mine\n"


def test_runs_that_are_not_there(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    file = wanting(tmp_path, container)
    assert run_ids(novaops, file) == []
    assert novaops("history", "box", inventory=file).code == 0
    unknown = novaops("undo", "box", "2020", "--json", inventory=file)
    assert (unknown.code, unknown.host["error"]["what"]) == (1, "box has no run 2020")
    nothing = novaops("undo", "box", "--json", inventory=file)
    assert (nothing.code, nothing.host["status"]) == (0, "unchanged")


def test_only_the_newest_runs_are_kept(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """60 of them: 59 made of one real run, and the next real one, which forgets the oldest."""
    run = novaops("apply", "--json", inventory=wanting(tmp_path, container, {"path": TARGET, "content": "1\n"})).host["run"]
    copy = f'id=20200101T0000$(printf %02d $i)Z-000000; cp -a {run} $id; sed -i "s/{run}/$id/" $id/plan.json'
    container.run(f"cd /var/lib/novaops/runs; i=1; while [ $i -lt 59 ]; do {copy}; i=$((i + 1)); done; ls | wc -l")
    file = wanting(tmp_path, container, {"path": TARGET, "content": "2\n"})
    assert novaops("apply", inventory=file).code == 0
    listed = [each["run"] for each in run_ids(novaops, file)]
    assert (len(listed), listed[1], listed[-1]) == (KEPT_RUNS, run, "20200101T000011Z-000000")
    assert container.run("ls /var/lib/novaops/runs | wc -l") == f"{KEPT_RUNS}\n"
    assert "has no run 20200101T000010Z" in novaops("undo", "box", "20200101T000010Z", inventory=file).text
    assert "has 48 runs that begin with 2020" in novaops("undo", "box", "2020", inventory=file).text


# -- what it costs ----------------------------------------------------------------------------------------------------


def sessions(host: LabHost) -> int:
    """How many commands sshd has started since it was told to say so, this one among them."""
    return int(host.run("journalctl --sync; journalctl -t sshd -o cat | grep -c 'Starting session: command'"))


def counted(novaops: Novaops, host: LabHost, words: Sequence[str], file: Path) -> tuple[int, int, int]:
    """The exit code, the execs that novaops counts, and those that the host's sshd does."""
    before = sessions(host)
    done = novaops(*words, "--json", inventory=file)
    return done.code, done.host["execs"], sessions(host) - before - 1


def test_a_plan_is_one_exec_and_an_apply_three_however_many_resources(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/verbose.conf; systemctl restart ssh")
    for number in (1, 13, 60):
        things = [{"path": f"/srv/{number}", "directory": True}]
        things += [{"path": f"/srv/{number}/{i}", "content": f"{i}\n", "then": ["true"]} for i in range(number - 1)]
        file = wanting(tmp_path, container, *things)
        assert counted(novaops, container, ["plan"], file) == (3, 1, 1)
        assert counted(novaops, container, ["apply"], file) == (0, 3, 3)
        assert counted(novaops, container, ["apply"], file) == (0, 1, 1)
        assert container.run(f"find /srv/{number} | wc -l") == f"{number}\n"


# -- one session at a time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "nova"])
def test_a_host_with_one_session_a_connection(container: LabHost, novaops: Novaops, tmp_path: Path, user: str) -> None:
    """MaxSessions 1 of sshd: what is reported is how it ended, for runs and for taking them back, at the usual price."""
    container.run("echo 'MaxSessions 1' >/etc/ssh/sshd_config.d/one.conf; systemctl restart ssh")
    things = [{"path": TARGET, "content": "one\n"}, {"path": f"{TARGET}-2", "content": "two\n", "guarded": True}]
    file = write_inventory(tmp_path, container, things, user=user)
    for status in ("changed", "unchanged"):
        done = novaops("apply", "--json", inventory=file)
        assert (done.code, done.host["status"], done.host["execs"]) == (0, status, 3 if status == "changed" else 1), done.text
    undone = novaops("undo", "box", "--json", inventory=file)
    assert (undone.code, undone.host["status"], undone.host["execs"]) == (0, "changed", 4), undone.text
    assert [run["end"] for run in novaops("history", "box", "--json", inventory=file).host["runs"]] == ["ok", "ok"]
    assert container.run(f"ls {TARGET}* 2>/dev/null || true") == ""


def test_a_server_that_opens_no_session(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("printf 'Match User plain\\n MaxSessions 0\\n' >>/etc/ssh/sshd_config; systemctl restart ssh")
    done = novaops("host", "check", "box", "--json", inventory=write_inventory(tmp_path, container, user="plain"))
    assert (done.code, done.host["error"]["what"]) == (5, f"box ({container.address}) lets plain in, and opens no session"), done.text


# -- hosts that talk too much -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "nova"])
def test_a_host_that_talks_before_it_listens(container: LabHost, novaops: Novaops, tmp_path: Path, user: str) -> None:
    """French, a greeting from each shell, complaints on stderr, and 200 KB of good advice before and after the login."""
    noise = "echo hello; printf 'alive\\nend ok\\nno line end'; echo 'sudo: a password is required' >&2"
    container.run(f"echo {shlex.quote(noise)} | tee /root/.bashrc /home/nova/.bashrc /etc/profile.d/noise.sh >>/etc/bash.bashrc")
    container.run(
        "yes 'Use this host well.' | head -c 200000 | tee /etc/motd >/etc/banner; echo 'Banner /etc/banner' >>/etc/ssh/sshd_config"
    )
    container.run("systemctl restart ssh")
    assert container.run("true", user=user).startswith("hello\n")
    file = write_inventory(tmp_path, container, [SLOW_FILE], user=user)
    let_go(container)
    first = novaops("apply", "--json", inventory=file)
    assert (first.code, first.host["status"], first.host["execs"]) == (0, "changed", 3), first.text
    again = novaops("apply", "--json", inventory=file)
    assert (again.code, again.host["status"]) == (0, "unchanged")
    assert novaops("host", "facts", "box", "--json", inventory=file).host["machine"]["os"].startswith("Debian")
    assert [run["end"] for run in novaops("history", "box", "--json", inventory=file).host["runs"]] == ["ok"]


def test_noise_hides_no_refusal_of_sudo(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("echo 'echo hello' | tee /home/operator/.bashrc >/dev/null")
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, container, [SLOW_FILE], user="operator"))
    assert (done.code, done.host["error"]["code"]) == (1, "no-root")
    assert "--ask-sudo-password" in done.host["error"]["fix"]
