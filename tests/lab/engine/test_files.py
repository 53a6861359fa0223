"""Files on a real host: any bytes, any name, put in place whole or not at all, whatever fails in between."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from tests.lab.conftest import Novaops
from tests.support.things import LEFTOVERS, SLOW, ending, let_go, sha256, wait_on, write_inventory

OLD, NEW = "old\n", "new\n"
TARGET = "/etc/novaops-test"

RELOAD = f"echo reloaded >>/run/reloads; grep -q old {TARGET}"
"""A `then` that fails with the new content, and leaves a line each time it runs."""


def reloads(host: LabHost) -> int:
    return int(host.run("wc -l 2>/dev/null </run/reloads || echo 0"))


HOSTILE = "$host $(id) `id` ${x} 'single' \"double\" %s %% \\n \\\\ é 汉 !! #; && | <<E\nE\n"


def test_any_bytes_under_any_name(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    folder = "/srv/a folder with 'quotes' $(id)"
    every_byte = bytes(range(256)) * 3 + b"no final newline"
    things = [
        {"path": folder, "directory": True, "mode": "0750", "owner": "nova", "group": "operator"},
        {"path": f"{folder}/汉语-['foo bar'].txt", "content": HOSTILE, "owner": "nova", "mode": "0600"},
        {"path": f"{folder}/-n", "base64": base64.b64encode(every_byte).decode()},
        {"path": f"{folder}/empty", "content": ""},
        {"path": f"{folder}/{'long' * 50}/{'name' * 50}", "content": "x", "then": ["true"]},
    ]
    things.insert(-1, {"path": f"{folder}/{'long' * 50}", "directory": True})
    file = write_inventory(tmp_path, container, things)
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, done.host["status"], done.host["execs"]) == (0, "changed", 3), done.text
    read = container.run("cd /srv/a*; base64 -w0 ./汉*; echo; base64 -w0 ./-n; echo; stat -c %s ./empty; stat -c '%a %U %G' . ./汉*")
    first, second, size, *permissions = read.splitlines()
    assert base64.b64decode(first).decode() == HOSTILE
    assert base64.b64decode(second) == every_byte
    assert (size, permissions) == ("0", ["750 nova operator", "600 nova root"])
    again = novaops("apply", "--json", inventory=file)
    assert (again.code, again.host["status"], again.host["execs"]) == (0, "unchanged", 1)
    assert container.run(LEFTOVERS) == ""


def test_mode_and_owner_alone_are_a_change_that_undo_takes_back(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >{TARGET}; chmod 640 {TARGET}; mkdir -m 0711 /srv/place; chown nova /srv/place")
    things = [{"path": TARGET, "content": OLD, "mode": "0600", "owner": "nova"}, {"path": "/srv/place", "directory": True}]
    file = write_inventory(tmp_path, container, things)
    assert novaops("apply", inventory=file).code == 0
    assert container.run(f"stat -c '%a %U' {TARGET} /srv/place") == "600 nova\n755 root\n"
    undone = novaops("undo", "box", "--json", inventory=file)
    assert (undone.code, undone.host["status"]) == (0, "changed")
    assert container.run(f"stat -c '%a %U' {TARGET} /srv/place") == "640 root\n711 nova\n"


def test_a_file_behind_a_link_is_written_and_the_link_stays(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >/srv/real; ln -s /srv/real {TARGET}")
    file = write_inventory(tmp_path, container, [{"path": TARGET, "content": NEW}])
    assert novaops("apply", inventory=file).code == 0
    assert container.run(f"readlink {TARGET}; cat /srv/real") == "/srv/real\nnew\n"
    assert novaops("plan", inventory=file).code == 0


def test_a_validator_that_rejects_leaves_the_old_file(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >{TARGET}; chmod 604 {TARGET}; chown nova {TARGET}; touch -d 2020-01-01 {TARGET}")
    before = container.run(f"stat -c '%a %U %y %i' {TARGET}; cat {TARGET}")
    check = [
        "sh",
        "-c",
        f'grep -q old "$1" || {{ echo "line 1: $1 says new" >&2; cat {TARGET} >/run/while-checked; exit 3; }}',
        "check",
        "{}",
    ]
    thing = {"path": TARGET, "content": NEW, "check": check, "then": ["touch", "/run/reloaded"]}
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, container, [thing]))
    assert (done.code, done.host["status"], done.host["steps"][0]["status"]) == (1, "failed", "failed")
    assert "line 1: /etc/.novaops-test.novaops-new says new" in done.host["error"]["what"]
    assert container.run(f"stat -c '%a %U %y %i' {TARGET}; cat {TARGET}") == before
    assert container.run(f"cat /run/while-checked; ls /run/reloaded 2>&1 || true; {LEFTOVERS}").startswith("old\nls:")
    assert container.run(LEFTOVERS) == ""


@pytest.mark.parametrize("change", [{"content": NEW}, {"content": OLD, "mode": "0600"}])
def test_when_then_fails_the_old_file_comes_back(container: LabHost, novaops: Novaops, tmp_path: Path, change: dict[str, str]) -> None:
    container.run(f"echo old >{TARGET}; chmod 604 {TARGET}")
    test = f"echo reloaded >>/run/reloads; grep -q old {TARGET} && [ $(stat -c %a {TARGET}) = 604 ]"
    things = [{"path": "/etc/novaops-first", "content": "kept\n"}, {"path": TARGET, **change, "then": ["sh", "-c", test]}]
    things.append({"path": "/etc/novaops-last", "content": "never\n"})
    file = write_inventory(tmp_path, container, things)
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, [step["status"] for step in done.host["steps"]]) == (1, ["changed", "failed", "skipped"])
    assert "What the step had done was taken back. Done before it, and kept: file:/etc/novaops-first." in done.host["error"]["why"]
    assert container.run(f"cat {TARGET}; stat -c %a {TARGET}; ls /etc/novaops-last 2>&1 || true").startswith("old\n604\nls:")
    assert reloads(container) == 2
    assert container.run(f"ls /var/lib/novaops/pending; {LEFTOVERS}") == ""
    assert novaops("plan", inventory=file).code == 3


def test_a_then_that_fails_again_stays_unfinished(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """The content is right already, and there is nothing to go back to: what must follow is tried again, each time."""
    container.run(f"echo old >{TARGET}; mkdir -p /var/lib/novaops/pending; touch /var/lib/novaops/pending/%2Fetc%2Fnovaops-test")
    file = write_inventory(tmp_path, container, [{"path": TARGET, "content": OLD, "then": ["test", "-e", "/run/ready"]}])
    assert [novaops("apply", inventory=file).code for _ in range(2)] == [1, 1]
    container.run("touch /run/ready")
    assert [novaops("apply", inventory=file).code, novaops("plan", inventory=file).code] == [0, 0]


@pytest.mark.parametrize("content", [NEW, None])
def test_a_run_killed_before_then_is_finished_by_the_next(
    container: LabHost, novaops: Novaops, tmp_path: Path, content: str | None
) -> None:
    container.run(f"echo old >{TARGET}")
    file = write_inventory(tmp_path, container, [{"path": TARGET, "content": content, "then": SLOW}])
    with ending(novaops.start("apply", "--json", inventory=file)) as killed:
        wait_on(container, "[ -e /run/begun ]")
        container.run("kill -9 $(cat /var/lib/novaops/runs/*/pid)")
        out, _ = killed.communicate(timeout=180)
    assert (killed.returncode, "was killed on the host before its end" in out) == (1, True)
    assert container.run(f"cat {TARGET} 2>/dev/null || true") == (content or "")
    let_go(container)
    wait_on(container, "[ -e /run/ended ]")
    planned = novaops("plan", "--json", inventory=file)
    assert (planned.code, [change["field"] for change in planned.host["steps"][0]["changes"]]) == (3, ["then"])
    assert novaops("apply", inventory=file).code == 0
    assert container.run("wc -l </run/ended; ls /var/lib/novaops/pending") == "2\n"
    assert novaops("plan", inventory=file).code == 0


def test_a_file_that_somebody_changes_meanwhile_is_refused(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run(f"echo old >{TARGET}")
    things = [
        {"path": "/etc/novaops-first", "content": "x\n", "then": SLOW},
        {"path": TARGET, "content": NEW, "then": ["touch", "/run/reloaded"]},
    ]
    with ending(novaops.start("apply", "--json", inventory=write_inventory(tmp_path, container, things))) as process:
        wait_on(container, "[ -e /run/begun ]")
        container.run(f"echo somebody >{TARGET}")
        let_go(container)
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 4, out
    assert f"{TARGET} was changed by someone since it was looked at" in out
    assert container.run(f"cat {TARGET}; ls /run/reloaded 2>&1 || true; {LEFTOVERS}").startswith("somebody\nls:")


@pytest.mark.parametrize("size", ["8k", "256k"])
def test_no_room_for_the_journal(container: LabHost, novaops: Novaops, tmp_path: Path, size: str) -> None:
    """8k: not even the run can be stored. 256k: the old file cannot be kept."""
    container.run(f"head -c 500000 /dev/urandom >{TARGET}; mkdir -p /var/lib/novaops; mount -t tmpfs -o size={size} tmpfs /var/lib/novaops")
    before = sha256(container, TARGET)
    done = novaops("apply", "--json", inventory=write_inventory(tmp_path, container, [{"path": TARGET, "content": "x" * 9000}]))
    assert (done.code, done.host["status"]) == (1, "failed"), done.text
    assert "is the disk full?" in done.host["error"]["what"] + done.host["error"]["why"]
    assert sha256(container, TARGET) == before
    assert container.run(LEFTOVERS) == ""


def test_no_room_for_the_file(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("mkdir /srv/small; mount -t tmpfs -o size=64k tmpfs /srv/small; echo old >/srv/small/file")
    file = write_inventory(tmp_path, container, [{"path": "/srv/small/file", "content": "x" * 200_000}])
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, "No space left on device" in done.host["error"]["what"]) == (1, True), done.text
    assert container.run("cat /srv/small/file; ls -A /srv/small") == "old\nfile\n"


def test_a_host_without_flock(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    container.run("rm /usr/bin/flock")
    file = write_inventory(tmp_path, container, [{"path": TARGET, "content": NEW}])
    done = novaops("apply", "--json", inventory=file)
    assert (done.code, done.host["error"]["why"]) == (1, "novaops: flock is missing: install util-linux"), done.text
    assert container.run(f"ls -d {TARGET} /var/lib/novaops 2>&1 | grep -c '^ls:'") == "2\n"
    checked = novaops("host", "check", "box", inventory=file)
    assert (checked.code, "flock is missing → install util-linux" in checked.out) == (1, True)


def test_a_host_without_systemd_run(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """The run is started with setsid, and outlives the connection all the same."""
    container.run("rm /usr/bin/systemd-run")
    file = write_inventory(tmp_path, container, [{"path": TARGET, "content": NEW, "then": SLOW}])
    with ending(novaops.start("apply", inventory=file)):
        wait_on(container, "[ -e /run/begun ]")
    let_go(container)
    wait_on(container, "grep -q '^end ok' /var/lib/novaops/runs/*/events")
    assert novaops("plan", inventory=file).code == 0
    assert "there is no systemd-run: runs are started with setsid" in novaops("host", "check", "box", inventory=file).out
