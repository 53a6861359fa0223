"""What would keep a password login from working is found on a real host before anything is touched, and said with its place.

The rows are in tests/cases/login/refusals.yaml. One host serves them all: each row makes it so, and it is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaops.app import run
from novaops.lab.container import Container
from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from tests.lab.conftest import Done, Novaops
from tests.lab.engine.test_guard import Inside
from tests.support.doors import SNAPSHOT, lets_in, settings, with_operator_password

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "login" / "refusals.yaml").read_text("utf-8"))
PW = "wired-Fjord-88"
NETLAB = ("allow", "box", "--user", "netlab", "--password", "env:PW")

KEEP = (
    "rm -rf /root/etc; mkdir /root/etc; cp -a /etc/ssh /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid /root/etc\n"
)
MEND = "rm -rf /etc/nologin /etc/ssh /home/netlab; cp -a /root/etc/* /etc\n"
TOUCHED = f"{SNAPSHOT}journalctl --sync; journalctl -o cat -t sshd | grep -c -e SIGHUP -e 'Server listening'\n"
"""All of the configuration, and how often sshd has read it anew."""


@dataclass(frozen=True)
class Box:
    """A cloud's host, and what there is of it when nothing is done to it."""

    inside: Inside
    pristine: str

    @property
    def caller(self) -> str:
        """Where novaops comes from: the bridge's own end."""
        return self.inside.host.address.rpartition(".")[0] + ".1"

    def made_so(self, script: str) -> str:
        """Its state once it is as a row wants it. No sshd that runs hears of it, so the row locks nobody out."""
        return self.inside(f"D=/etc/ssh/sshd_config.d M=/etc/ssh/sshd_config HERE={self.caller}\n{script}\n{TOUCHED}")

    def mend(self) -> None:
        assert self.inside(MEND + SNAPSHOT) == self.pristine


@pytest.fixture(scope="module")
def box(lab: Lab, _container: LabHost) -> Box:
    host = with_operator_password(lab.reset(_container.name))
    settings(host, {"50-cloud-init.conf": "PasswordAuthentication no\n"})
    assert isinstance(host, Container)
    inside = Inside(host)
    return Box(inside, inside(KEEP + SNAPSHOT))


Call = Callable[..., Done]


@pytest.fixture
def here(novaops: Novaops, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """`novaops` in this process: fifty starts of Python would take longer than all of the rest."""
    monkeypatch.setenv("PW", PW)

    def call(*words: str) -> Done:
        capfd.readouterr()
        code = run(["-i", str(novaops.lab.inventory), "--json", *words])
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return call


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_row(box: Box, here: Call, case: Mapping[str, Any]) -> None:
    before = box.made_so(case["host"])
    try:
        asked = here("login", *case.get("words", NETLAB), *(["--check"] if case.get("ok") else []))
        after = box.inside(TOUCHED)
    finally:
        box.mend()
    assert after == before
    if case.get("ok"):
        assert (asked.code, asked.host["status"]) == (3, "would_change"), asked.text
        return
    error = asked.host["error"]
    assert (asked.code, asked.host["status"], error["code"], asked.host["execs"]) == (4, "refused", "refused", 1), asked.text
    if "why" in case:
        network = box.caller.rpartition(".")[0] + ".0/24"
        assert error["why"].splitlines() == [line.replace("HERE", box.caller).replace("NETWORK", network) for line in case["why"]]
    if "has" in case:
        lines = box.inside("wc -l </root/etc/ssh/sshd_config")
        assert case["has"].replace("END", str(int(lines) + 1)) in error["why"]
    for key in {"what", "fix"} & set(case):
        assert error[key] == case[key]


ODD = r"""
cd /etc/ssh
sed -i -e '/^Include/d' -e '/^UsePAM/d' sshd_config
printf '%s\r\n' '  passwordAUTHENTICATION = "no"' "usepam	no" 'Include "sshd_config.d/*.conf"   # late' >>sshd_config
printf '\tPasswordAuthentication=no\nKbdInteractiveAuthentication "no"' >sshd_config.d/00-aaa.conf
printf 'match  USER="netlab"\n\tPasswordAuthentication  no\n' >sshd_config.d/99-x.conf
"""
"""Everything of others that looks as if it were in the way and is not, spelled in every way that sshd reads."""


def test_what_only_looks_as_if_it_were_in_the_way(box: Box, here: Call) -> None:
    box.made_so(ODD)
    try:
        there = box.inside(f"systemctl restart ssh; {SNAPSHOT}")
        done = here("login", *NETLAB)
        assert (done.code, done.host["status"], done.host["execs"], done.host["fresh_logins"]) == (0, "changed", 3, 1), done.text
        assert lets_in(box.inside.host, "netlab", "not it", PW) == [False, True]
        assert here("login", *NETLAB).host["status"] == "unchanged"
        assert here("undo", "box").code == 0
        assert box.inside(SNAPSHOT) == there
    finally:
        box.inside(f"{MEND}systemctl restart ssh")


def test_everyone_is_everyone_but_root(box: Box, here: Call) -> None:
    """Whether sshd takes passwords of root or not, it does so afterwards."""

    def told(user: str) -> str:
        script = f"sshd -T -C user={user},host=h,addr=192.0.2.1 | grep -E '^(password|kbdinteractive)authentication|^permitroot' | sort"
        return box.inside(script)

    open_to_root = "printf 'PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n'"
    root = told("root")
    try:
        box.inside(f"{open_to_root} >/etc/ssh/sshd_config.d/10-x.conf")
        root_may = told("root")
        assert root_may != root
        done = here("login", "allow", "box", "--everyone")
        assert (done.code, done.host["status"]) == (0, "changed"), done.text
        assert (told("root"), told("plain")) == (root_may, root_may)
        box.inside("rm /etc/ssh/sshd_config.d/10-x.conf")
        assert told("root") == root
    finally:
        box.inside(f"{MEND}systemctl restart ssh")
