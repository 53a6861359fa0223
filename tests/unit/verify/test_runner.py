"""One run of `novaops verify` over hosts that nobody asked: what pytest is told, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from novaops.errors import HostFailed, InternalError, NovaopsError, Unreachable
from novaops.features.disk.observe import ObservedMount, Rebooted
from novaops.ssh.target import Target
from novaops.verify import claims as features
from novaops.verify import report as outcome
from novaops.verify import runner as run
from novaops.verify.observed_host import ObservedHost
from tests.unit.features.disk.test_checks import MOUNTED, RIGHT, Entry

DISK = features.find("disk", Path())


def visits(monkeypatch: pytest.MonkeyPatch, seen: dict[str, ObservedMount | NovaopsError], **options: Any) -> list[Any]:
    """A verification of hosts that were looked at by nobody."""
    assert DISK is not None

    def look(visit: ObservedHost) -> None:
        found = seen[visit.name]
        if isinstance(found, NovaopsError):
            visit.error = found
        else:
            visit._seen = {("disk", "/mnt/data"): found}

    def reboot(visit: ObservedHost) -> None:
        visit.reboots = True
        visit._rebooted = {("disk", "/mnt/data"): Rebooted(MOUNTED, survived=True)}

    monkeypatch.setattr(ObservedHost, "observe", look)
    monkeypatch.setattr(ObservedHost, "reboot", reboot)
    entries: dict[str, features.Entries] = {name: {DISK: {"/mnt/data": Entry()}} for name in seen}
    targets = [Target(name, "192.0.2.1") for name in seen]
    return run.verify(targets, entries, lambda *_: None, parallel=2, **options)


def test_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("raise RuntimeError")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    junit = tmp_path / "found.xml"
    away = Unreachable("away: nothing answers")
    found = visits(monkeypatch, {"good": RIGHT, "bad": replace(RIGHT, mounted=None), "away": away}, junit=junit, reboot=True)
    assert outcome.exit_code(found) == 5
    assert [outcome.exit_code([one]) for one in found] == [0, 3, 5]
    reports = [outcome.report_of(one, ("motd",)) for one in found]
    assert [one.status for one in reports] == ["unchanged", "failed", "unreachable"]
    document = outcome.as_json(found, reports, 5)
    good, bad, gone = document["hosts"]
    assert good["rebooted"]
    assert not bad["rebooted"]
    assert {step["status"] for step in good["steps"]} == {"unchanged"}
    assert [step["check"] for step in bad["steps"] if step["status"] == "failed"] == ["is the disk that fstab names"]
    assert bad["steps"][-1]["status"] == "skipped"
    assert gone["steps"] == []
    assert gone["error"]["code"] == "unreachable"
    texts = [[text for _, text in outcome.host_lines(one, host, 0)] for one, host in zip(found, reports, strict=True)]
    assert "✓ good  disk:/mnt/data  is the disk that fstab names" in texts[0]
    assert (
        "✘ bad  disk:/mnt/data  findmnt should show UUID=aa at /mnt/data, as /etc/fstab names it, but nothing is mounted there" in texts[1]
    )
    assert "  good  motd  not verified: there is no check for motd" in texts[0]
    assert texts[2][1:] == ["✘ away  unreachable: away: nothing answers"]
    suite = ET.parse(junit).getroot()[0]  # noqa: S314 - ours
    names = [case.get("name") for case in suite]
    assert "/mnt/data is mounted after a reboot, with what was on it [good]" in names
    assert len(names) == len(set(names)) == 33
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conftest.py", "found.xml", "pytest.ini"]


def test_what_a_host_says_is_fit_for_junit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where XML would take it: C1 and bidi controls are characters of XML."""
    junit = tmp_path / "found.xml"
    visits(monkeypatch, {"bad": HostFailed("a\x1b[2K\x9b2J\u202eb\u2028c", why="1\n2\x85")}, junit=junit)
    written = junit.read_text("utf-8")
    assert "a\\x1b[2K\\x9b2J\\u202eb\\u2028c\n1\n2\\x85" in written
    assert not set("\x1b\x9b\u202e\u2028\x85") & set(written)


def test_why_a_check_is_skipped_is_fit_for_junit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason names an issuer, or a body, that the host has chosen."""
    junit = tmp_path / "found.xml"
    monkeypatch.setattr(ObservedHost, "seen", lambda *_: pytest.skip("above CN=\x1b[2K\x9b2J\u202eb\n1 host: 1 unchanged"))
    visits(monkeypatch, {"bad": RIGHT}, junit=junit)
    written = junit.read_text("utf-8")
    assert "above CN=\\x1b[2K\\x9b2J\\u202eb\\n1 host: 1 unchanged" in written
    assert not set("\x1b\x9b\u202e") & set(written)


def test_a_check_that_breaks_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    found = visits(monkeypatch, {"lab": replace(RIGHT, owners=("nova",), wanted=Entry(owner="nova:nova"))})
    assert outcome.exit_code(found) == 1
    lines = [text for _, text in outcome.host_lines(found[0], outcome.report_of(found[0], ()), 0)]
    assert [text for text in lines if text.startswith("✘")] == ["✘ lab  disk:/mnt/data  IndexError: list index out of range"]
    more = [text for _, text in outcome.host_lines(found[0], outcome.report_of(found[0], ()), 2)]
    assert any("IndexError" in text and text.startswith("    ") for text in more)


def test_what_breaks_inside_look_is_said_of_its_host_only() -> None:
    assert DISK is not None
    visit = ObservedHost(Target("lab", "192.0.2.1"), {DISK: {"/mnt/data": Entry()}}, lambda *_: None)
    with pytest.raises(HostFailed, match="verify itself went wrong with disk: AttributeError"):
        visit._call(DISK, "observe", [Entry()])


def test_an_error_of_ours_is_one_hosts() -> None:
    """Whatever it is: the checks of the other hosts go on."""

    def breaks(host: str, doing: str) -> None:
        del host, doing
        raise IndexError("of ours")

    visit = ObservedHost(Target("lab", "192.0.2.1"), {}, breaks)
    visit.observe()
    assert visit.error is not None
    assert visit.error.what == "novaops itself went wrong: IndexError: of ours"
    visit.error = None
    visit.reboot()
    assert isinstance(visit.error, InternalError)


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_while_hosts_reboot(monkeypatch: pytest.MonkeyPatch, *, begun: bool) -> None:
    """A host that was told to is unknown until it is looked at again."""

    def reboot(visit: ObservedHost) -> None:
        visit.reboots = begun
        raise KeyboardInterrupt

    monkeypatch.setattr(ObservedHost, "observe", lambda visit: setattr(visit, "_seen", {("disk", "/mnt/data"): RIGHT}))
    monkeypatch.setattr(ObservedHost, "reboot", reboot)
    assert DISK is not None
    with pytest.raises(run.Interrupted) as stopped:
        run.verify([Target("a", "192.0.2.1")], {"a": {DISK: {"/mnt/data": Entry()}}}, lambda *_: None, parallel=1, reboot=True)
    [(observed, checks)] = stopped.value.found
    report = outcome.report_of((observed, checks), ())
    assert (report.status, observed.reboots) == (("unknown", True) if begun else ("not_begun", False))
    assert {line.status for line in report.lines} == {"unchanged"}, "what was seen before is said"
