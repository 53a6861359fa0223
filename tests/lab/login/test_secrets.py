"""A password and its hash are seen nowhere but where they belong, and proving a login gets nobody banned."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from novaops.lab.host import LabHost
from novaops.lab.process import wait_until
from tests.lab.conftest import Done, Novaops
from tests.support.doors import lets_in, reload, settings
from tests.support.things import ending, wait_on

FIRST, SECOND = "glass-Fjord$8 'kite\" é", "other;Tundra`9` %s\\n"
"""With all that sh, printf and JSON would take for more than letters."""

SAMPLE = "until [ -e /run/enough ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; done 2>/dev/null"
PLACES = "/var/lib/novaops /tmp /var/tmp /var/log /run /root /home /etc /var/lib/systemd"


@contextmanager
def sampled(host: LabHost, file: Path) -> Iterator[None]:
    """Every command line and environment on the host, while it lasts."""
    with (
        file.open("wb") as seen,
        ending(subprocess.Popen(host.ssh_command(f"touch /run/sampling; {SAMPLE}"), stdout=seen, text=True)) as sampler,
    ):
        wait_on(host, "[ -e /run/sampling ]")
        yield
        host.run("touch /run/enough")
        sampler.wait(20)


@contextmanager
def watched(inventory: Path, seen: list[bytes]) -> Iterator[None]:
    """The same of every process of this machine that runs novaops on the inventory."""
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    words = (process / "cmdline").read_bytes()
                    if f"\0{inventory}\0".encode() in words:
                        seen.append(words + (process / "environ").read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def hash_of(host: LabHost) -> str:
    return host.run("getent shadow netlab | cut -d : -f 2").strip()


def found(host: LabHost, text: str) -> dict[str, str]:
    """The files that have it, with their rights."""
    grep = f"grep -r -a -F -l -f - {PLACES} 2>/dev/null | xargs -r -d '\\n' stat -c '%n %a:%U'"
    return dict(line.split(" ") for line in host.run(grep, stdin=f"{text}\n").splitlines())


@pytest.mark.long
def test_a_password_and_its_hash_are_nowhere(container: LabHost, novaops: Novaops, tmp_path: Path) -> None:
    """Changed, unchanged, looked at, rolled back, and taken back twice; loudly and as JSON."""
    for name, password in (("first", FIRST), ("second", SECOND)):
        (tmp_path / name).write_text(password)
    first, second = (
        ("login", "allow", "box", "--user", "netlab", "--password", f"file:{tmp_path / name}", "-vv") for name in ("first", "second")
    )
    said: list[Done] = []
    hashes: list[str] = []
    here: list[bytes] = []

    def call(*words: str) -> int:
        said.append(novaops(*words))
        hashes.append(hash_of(container))
        return said[-1].code

    settings(container, {"99-x.conf": "Match User netlab\n  MaxSessions 0\n"})
    with sampled(container, tmp_path / "sampled"), watched(novaops.lab.inventory, here):
        assert call(*first, "--guard", "10") == 1
        assert "rolled back" in said[-1].out
        settings(container, {"99-x.conf": ""})
        assert call(*first) == 0
        assert call(*first, "--json") == 0
        assert call(*second, "--check", "--diff") == 3
        assert call(*second, "--json") == 0
        assert call("undo", "box", "-vv", "--json") == 0
        assert call("undo", "box", "-vv") == 0
        assert call("history", "box", "-vv", "--json") == 0
    assert [bool(text) for text in hashes] == [False, True, True, True, True, True, False, False]
    assert hashes[1] == hashes[3] == hashes[5] != hashes[4]

    seen = (tmp_path / "sampled").read_bytes()
    assert b"chpasswd\0-e" in seen, "the sampler looked away"
    assert any(b"\0undo\0box" in words for words in here), "and so did this one"
    journal = container.run("journalctl --sync; journalctl -a -o export").encode("iso-8859-15")
    output = "".join(done.text for done in said).encode()
    for word in (b"glass-Fjord", b"other;Tundra", *(made.rpartition("$")[2].encode() for made in (hashes[1], hashes[4]))):
        for place, shown in {"on the host": seen, "here": b"".join(here), "in the journal": journal, "in the output": output}.items():
            assert word not in shown, f"{word!r} was {place}"
    assert found(container, "glass-Fjord") == found(container, "other;Tundra") == {}
    for made in (hashes[1], hashes[4]):
        where = found(container, made)
        assert {path for path in where if not path.startswith("/var/lib/novaops/runs/")} <= {"/etc/shadow-"}
        assert all(permissions == "600:root" and "/kept/" in path for path, permissions in where.items() if path != "/etc/shadow-"), where
        assert where, "an undo of the undo has nothing to put back"
    assert container.run("stat -c %a:%U /var/lib/novaops /var/lib/novaops/runs") == "700:root\n700:root\n"
    assert [file.name for file in tmp_path.rglob("*") if file.is_file() and FIRST.encode() in file.read_bytes()] == ["first"]


PW = {"PW": "wired-Fjord-88"}


def allow_deny_allow(host: LabHost, novaops: Novaops) -> list[tuple[int, str]]:
    allow = ("login", "allow", host.name, "--user", "netlab", "--password", "env:PW", "--guard", "10", "--json")
    deny = ("login", "deny", host.name, "--guard", "10", "--json")
    done = [novaops(*words, env=PW) for words in (allow, deny, allow, ("undo", host.name, "--json"))]
    return [(each.code, each.host["status"]) for each in done]


def test_an_sshd_that_bans_at_the_second_failure_has_none_to_count(newer: LabHost, novaops: Novaops) -> None:
    settings(newer, {"70-stern.conf": "PerSourcePenalties authfail:300s min:350s\n"})
    assert allow_deny_allow(newer, novaops) == [(0, "changed")] * 4
    journal = newer.run("journalctl --sync; journalctl -o cat")
    assert "penalty" not in journal
    assert journal.count("Failed password") == 0
    # And it would have banned: this is the last that the host hears of this address.
    newer.run("rm /etc/ssh/sshd_config.d/00-novaops.conf")
    reload(newer)
    assert lets_in(newer, "operator", "wrong") == lets_in(newer, "operator", "wrong") == [False]

    def shut_out() -> bool:
        with socket.create_connection((newer.address, newer.port), timeout=5) as line:
            return line.recv(100).startswith(b"Not allowed at this time")

    assert wait_until(shut_out, 10)


@pytest.mark.parametrize(
    "tries",
    [1, pytest.param(2, marks=pytest.mark.long)],
)
def test_an_sshd_that_hangs_up_early(container: LabHost, novaops: Novaops, tries: int) -> None:
    settings(container, {"70-stern.conf": f"MaxAuthTries {tries}\n"})
    assert allow_deny_allow(container, novaops) == [(0, "changed")] * 4
