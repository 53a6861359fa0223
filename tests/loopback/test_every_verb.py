"""Every verb against a host that somebody else has taken over: it ends in time, with a sentence, and shows nothing of the host's raw."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.ssh import session as ssh
from tests.support.adversary import KINDS, LIES, Adversary
from tests.unit.cli.test_every_host import CALLS, CONTACTS_NOBODY, INVENTORY

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="as the others of this folder")

EACH_TIME = ("its own words",)
"""Of the kinds, those that each run of the tests has; the others come with the long ones."""

RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

WITHOUT_PROBE = {"host trust", "tunnel open", "verify"}
"""What contacts a host and asks it nothing by way of a probe."""

SEEN_ONLY = {
    "host trust",
    "host facts",
    "history",
    "disk ls",
    "login status",
    "proxy status",
    "tunnel status",
    "vpn status",
    "vpn client ls",
}
"""What says what a host says of itself. A host may say that there is nothing."""


@pytest.fixture
def adversary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adversary]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(ssh, "PATIENCE", (1.5, 1))
    monkeypatch.chdir(tmp_path)
    server = Adversary(tmp_path)
    text = INVENTORY.format(port=server.port).replace("user: root", f"user: root, identity: {server.identity}")
    (tmp_path / "inventory.yaml").write_text(text)
    yield server
    server.close()


def cases() -> Iterator[Any]:
    for kind in KINDS:
        for verb in CALLS:
            marks = [pytest.mark.fault(kind)] + ([] if kind in EACH_TIME else [pytest.mark.long])
            yield pytest.param(verb, kind, id=f"{verb}: {kind}", marks=marks)


@pytest.mark.parametrize(("verb", "kind"), list(cases()))
def test_a_host_that_is_somebody_elses(adversary: Adversary, verb: str, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    adversary.kind = kind
    if kind == "hangs up":
        adversary.manners.hangs_up = 1000
    as_json = ["--json"] if kind != "escapes" else []
    code = run([*verb.split(), "first", *CALLS[verb][1], *as_json, "--timeout", "2"])
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err, err
    assert "novaops itself went wrong" not in out + err, out + err
    assert not RAW.search(out + err), RAW.search(out + err)
    if as_json:
        assert json.loads(out)["exit_code"] == code
    nothing_asked = verb in CONTACTS_NOBODY or (verb == "host trust" and kind != "hangs up")
    if nothing_asked:
        assert code == 0
    else:
        assert adversary.framed or kind not in LIES or verb in WITHOUT_PROBE, "no lie stood where the reader looks for an answer"
        assert code in ({0, 1, 3, 4, 5} if verb in SEEN_ONLY else {1, 3, 4, 5}), (code, out, err)
