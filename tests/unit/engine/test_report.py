"""What a run looks like: to a person, to a machine, and as an exit code."""

from __future__ import annotations

import itertools
import json

import pytest

from novaops.engine import report
from novaops.engine.report import EXIT_CODES, HostReport, ReportLine
from novaops.errors import (
    ChangedHostKey,
    HostFailed,
    InventoryError,
    LockHeld,
    LoginFailed,
    NovaopsError,
    Refused,
    RunLost,
    UnknownHostKey,
    Unreachable,
    UsageError,
)
from novaops.model.action import Command
from novaops.model.plan import Change, Note, Risk, Step

LINE = ReportLine(
    "mount:/data", "changed", (Change("mounted", None, "UUID=1"), Change("options", "rw", "ro"), Change("fstab", "UUID=1 /data", None))
)

ORDER = ["failed", "rolled_back", "going_on", "unknown", "not_begun", "refused", "unreachable", "would_change", "changed", "unchanged"]
CODES = {
    "failed": 1,
    "rolled_back": 1,
    "going_on": 1,
    "unknown": 1,
    "not_begun": 1,
    "refused": 4,
    "unreachable": 5,
    "would_change": 3,
    "changed": 0,
    "unchanged": 0,
}


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(ORDER, 2)))
def test_of_two_hosts_the_worse_counts(worse: str, better: str) -> None:
    """The order is 1, 4, 5, 3, 0, whichever host comes first."""
    reports = [HostReport("a", worse), HostReport("b", better)]  # type: ignore[arg-type]
    assert report.exit_code(reports) == report.exit_code(reversed(reports)) == CODES[worse]


def test_every_status_has_its_code_its_glyph_and_its_word() -> None:
    assert EXIT_CODES == CODES
    assert {status: (report.GLYPHS[status], report.words(status)) for status in CODES} == {
        "unchanged": ("✓", "unchanged"),
        "changed": ("~", "changed"),
        "would_change": ("~", "would change"),
        "failed": ("✘", "failed"),
        "refused": ("!", "refused"),
        "unreachable": ("✘", "unreachable"),
        "rolled_back": ("✘", "rolled back"),
        "going_on": ("~", "going on"),
        "unknown": ("?", "unknown"),
        "not_begun": (" ", "not begun"),
    }


def test_no_host_at_all_is_right() -> None:
    assert report.exit_code([]) == 0


@pytest.mark.parametrize(
    ("error", "status", "code", "word"),
    [
        (HostFailed, "failed", 1, "failed"),
        (LockHeld, "failed", 1, "locked"),
        (RunLost, "failed", 1, "run-lost"),
        (Refused, "refused", 4, "refused"),
        (Unreachable, "unreachable", 5, "unreachable"),
        (UnknownHostKey, "unreachable", 5, "host-key-unknown"),
        (ChangedHostKey, "unreachable", 5, "host-key-changed"),
        (LoginFailed, "unreachable", 5, "login-failed"),
    ],
)
def test_an_error_of_a_host(error: type[NovaopsError], status: str, code: int, word: str) -> None:
    host = report.failure("h", error("what", why="why", fix="fix"), execs=2)
    assert (host.status, host.exit_code, host.execs) == (status, code, 2)
    assert report.error_json(host.error) == {"code": word, "what": "what", "why": "why", "fix": "fix"}


@pytest.mark.parametrize(("error", "word"), [(UsageError, "usage"), (InventoryError, "inventory")])
def test_an_error_of_the_call(error: type[UsageError], word: str) -> None:
    document = report.no_hosts_json(error("what"))
    assert document == {"hosts": [], "error": {"code": word, "what": "what", "why": "", "fix": ""}, "exit_code": 2}


def test_the_document() -> None:
    """The form of DESIGN section 7; `notes` and the run's id come on top of it."""
    reports = [
        HostReport("a", "changed", (LINE,), (Note("mount:/data", "kept"),), execs=3, seconds=2.104, run="r1"),
        HostReport("b", "refused", error=Refused("no", why="because", fix="do")),
        HostReport("c", "unchanged", details={"disks": []}),
    ]
    document = report.as_json(reports)
    assert json.loads(json.dumps(document)) == {
        "hosts": [
            {
                "host": "a",
                "status": "changed",
                "steps": [
                    {
                        "resource": "mount:/data",
                        "status": "changed",
                        "risk": "none",
                        "changes": [
                            {"field": "mounted", "before": None, "after": "UUID=1"},
                            {"field": "options", "before": "rw", "after": "ro"},
                            {"field": "fstab", "before": "UUID=1 /data", "after": None},
                        ],
                    }
                ],
                "notes": [{"resource": "mount:/data", "text": "kept"}],
                "error": None,
                "execs": 3,
                "seconds": 2.1,
                "run": "r1",
            },
            {
                "host": "b",
                "status": "refused",
                "steps": [],
                "notes": [],
                "execs": 0,
                "seconds": 0.0,
                "error": {"code": "refused", "what": "no", "why": "because", "fix": "do"},
            },
            {"host": "c", "status": "unchanged", "steps": [], "notes": [], "error": None, "execs": 0, "seconds": 0.0, "disks": []},
        ],
        "exit_code": 4,
    }


def text(host: HostReport, *, diff: bool = False, verbose: bool = False) -> str:
    return "\n".join(line for _, line in report.host_lines(host, diff=diff, verbose=verbose))


def test_lines_of_a_change() -> None:
    host = HostReport("h", "changed", (LINE, ReportLine("file:/x", "unchanged")), (Note("mount:/data", "ext4 was kept"),))
    assert (
        text(host)
        == """\
~ h  mount:/data  changed  (mounted, options, fstab)
    mounted: UUID=1
    options: rw → ro
    fstab: UUID=1 /data → gone
✓ h  file:/x  unchanged
  h  mount:/data  ext4 was kept"""
    )


def test_lines_of_a_failure() -> None:
    error = HostFailed("mkfs failed", why="first\nsecond", fix="run this again")
    host = HostReport("h", "failed", (ReportLine("a:1", "changed"), ReportLine("a:2", "failed"), ReportLine("a:3", "skipped")), error=error)
    assert (
        text(host)
        == """\
~ h  a:1  changed
✘ h  a:2  failed
  h  a:3  not done
✘ h  failed: mkfs failed
    first
    second
    → run this again"""
    )


@pytest.mark.parametrize(("status", "glyph"), [("refused", "!"), ("unreachable", "✘"), ("rolled_back", "✘")])
def test_the_line_of_an_error(status: str, glyph: str) -> None:
    word = status.replace("_", " ")
    assert list(report.error_lines(Refused("no"), status, "h")) == [(status, f"{glyph} h  {word}: no")]
    assert list(report.error_lines(UsageError("no"))) == [("failed", "✘ no")]


def test_what_cannot_be_undone_is_said_beforehand_and_afterwards() -> None:
    for status, said in (("would_change", True), ("changed", True), ("refused", False)):
        shown = text(HostReport("h", "changed", (ReportLine("a:1", status, cannot_undo="the data"),)))
        assert ("not undone by undo: the data" in shown) == said


def test_the_inside_of_a_file_is_shown_with_diff_only() -> None:
    host = HostReport("h", "changed", (ReportLine("file:/x", "changed", (Change("content", "a\nb\n", "a\nc\n"),)),))
    assert text(host) == "~ h  file:/x  changed  (content)"
    assert text(host, diff=True).splitlines()[1:] == [
        *("    │ --- file:/x (now)", "    │ +++ file:/x (wanted)", "    │ @@ -1,2 +1,2 @@", "    │  a", "    │ -b", "    │ +c"),
    ]


def test_the_deeds_are_shown_with_v_only() -> None:
    step = Step("mount:/data", (Change("mounted", None, "x"),), (Command(("mount", "--", "/my data")),), Risk.LOCKOUT)
    line = report.line_of(step, "would_change")
    assert (line.risk, line.status, line.changes) == ("lockout", "would_change", step.changes)
    host = HostReport("h", "would_change", (line,))
    assert "$ mount -- '/my data'" in text(host, verbose=True)
    assert "$" not in text(host)


@pytest.mark.parametrize(
    ("statuses", "execs", "said"),
    [
        (["changed", "unchanged", "changed"], 7, "3 hosts: 2 changed, 1 unchanged (7 execs, 6.2 s)"),
        (["would_change"], 1, "1 host: 1 would change (1 exec, 6.2 s)"),
        (["rolled_back", "unreachable"], 0, "2 hosts: 1 rolled back, 1 unreachable (0 execs, 6.2 s)"),
    ],
)
def test_the_last_line(statuses: list[str], execs: int, said: str) -> None:
    reports = [HostReport("h", status, execs=execs if number == 0 else 0) for number, status in enumerate(statuses)]  # type: ignore[arg-type]
    assert report.summary(reports, 6.24) == said


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("novaops host trust box", "novaops -i my.yaml host trust box"),
        ("novaops plan", "novaops -i my.yaml plan"),
        ("novaops disk ls HOST shows what is idle", "novaops -i my.yaml disk ls box shows what is idle"),
        ("make it: novaops vpn client add HOST laptop; novaops vpn client ls HOST lists them", None),
        ("novaops undo HOST 2026", "novaops -i my.yaml undo box 2026"),
        ("novaops -i other.yaml plan", "novaops -i other.yaml plan"),
        ("say how the client reaches it: via_address: HOST[:PORT]", "say how the client reaches it: via_address: HOST[:PORT]"),
        ("write it as HOST:PORT", "write it as HOST:PORT"),
        ("novaops lab up", "novaops lab up"),
        ("novaops init", "novaops init"),
        ("novaops' own reader, and managed by novaops: hosts", "novaops' own reader, and managed by novaops: hosts"),
    ],
)
def test_commands_are_as_they_have_to_be_typed(text: str, typed: str | None) -> None:
    if typed is None:
        typed = "make it: novaops -i my.yaml vpn client add box laptop; novaops -i my.yaml vpn client ls box lists them"
    assert report.typed(text, "-i my.yaml", "box") == typed
    assert report.typed(report.typed(text, "-i my.yaml", "box"), "-i my.yaml", "box") == typed
    assert "-i my.yaml" not in report.typed(text, "", "box")


def test_a_host_that_the_shell_would_take_apart_is_quoted() -> None:
    assert report.typed("novaops disk ls HOST", "", "root@[::1]:22") == "novaops disk ls 'root@[::1]:22'"


def test_only_advice_is_changed() -> None:
    said = "novaops disk ls HOST"
    found = report.typed_details({"fix": said, "of": [{"trouble": said, "name": said}], "why": [said], "n": 1}, "-i f", "box")
    typed = "novaops -i f disk ls box"
    assert found == {"fix": typed, "of": [{"trouble": typed, "name": said}], "why": [typed], "n": 1}
