"""A secret is carried, compared and written, and never shown."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.engine import report, secret_source
from novaops.engine.guard import Guard
from novaops.engine.report import HostReport
from novaops.engine.run_script import Run, manifest, runner, start_and_follow
from novaops.errors import UsageError
from novaops.model.action import Action, Command, Restore, SetValue, WriteFile, payload
from novaops.model.plan import Change, Step
from novaops.resources.file import File
from novaops.secret import Secret
from novaops.ssh.target import Target

HIDDEN = "hunter2-correct-horse"


@pytest.fixture
def hidden() -> Secret:
    return Secret(HIDDEN)


def test_no_way_of_printing_shows_it(hidden: Secret) -> None:
    shown = [
        str(hidden),
        repr(hidden),
        f"{hidden}",
        f"{hidden!r:>40}",
        f"{hidden:>40}",
        f"{hidden} {hidden!r}",
        format(hidden),
        f"{[hidden]}",
    ]
    assert all("[secret]" in text and HIDDEN not in text for text in shown)
    assert hidden.reveal() == HIDDEN
    assert hidden == Secret(HIDDEN)
    assert hidden != Secret("other")


def test_json_refuses_it(hidden: Secret) -> None:
    with pytest.raises(TypeError) as error:
        json.dumps({"password": hidden})
    assert HIDDEN not in str(error.value)
    assert HIDDEN not in json.dumps({"password": hidden}, default=str)


def test_what_carries_it_does_not_show_it(hidden: Secret) -> None:
    carriers = [Target("h", "h", sudo_password=hidden), Command(("tee",), stdin=hidden), WriteFile("/key", hidden), File("/key", hidden)]
    assert all(HIDDEN not in f"{carrier} {carrier!r}" for carrier in carriers)


def test_taking_a_dataclass_apart_does_not_show_it(hidden: Secret) -> None:
    assert HIDDEN not in str(asdict(Command(("tee",), stdin=hidden)))


def test_a_traceback_does_not_show_it(hidden: Secret) -> None:
    def fails(password: Secret) -> None:
        raise ValueError(f"cannot use {password}")

    try:
        fails(hidden)
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "[secret]" in text
    assert f"'{HIDDEN}'" not in text


def test_a_log_does_not_show_it(hidden: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("with %s", hidden)
    assert "[secret]" in caplog.text
    assert HIDDEN not in caplog.text


def actions(hidden: Secret) -> tuple[Action, ...]:
    return (
        WriteFile("/etc/key", hidden, "0600", before=b"old"),
        Command(("chpasswd",), stdin=hidden, undo=Command(("chpasswd",), stdin=hidden, holds="false")),
        Command(("true",), undo=Command(("false",), holds="[ -e /x ]")),
        Restore("/etc/key", "/kept/0_0", "a", "b"),
        SetValue("the password of ana", "true", "true", ("chpasswd",), hidden, None, "a"),
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8).filter(lambda text: not text.isalnum()))
def test_what_a_host_remembers_does_not_hold_it(text: str) -> None:
    step = Step("file:/etc/key", (Change("content", "[secret]", "[secret]"),), actions(Secret(text)))
    run = Run("id", (step,), "ana@laptop", "", guard=Guard(Secret("word")))
    assert json.dumps(text)[1:-1] not in json.dumps(manifest(run))
    assert text not in runner(run)


def test_it_travels_encoded_to_a_file_of_root_only(hidden: Secret) -> None:
    run = Run("id", (Step("file:/etc/key", (), actions(hidden)),), "ana@laptop", "", guard=Guard(Secret("word")))
    script = start_and_follow(run, 0)
    assert HIDDEN not in script
    assert "umask 077" in script
    assert payload(hidden) == HIDDEN.encode()


def test_a_report_does_not_show_it(hidden: Secret) -> None:
    step = Step("file:/etc/key", (Change("content", "[secret]", "[secret]"),), actions(hidden))
    host = HostReport("h", "changed", (report.line_of(step, "changed"),))
    shown = "\n".join(text for _, text in report.host_lines(host, diff=True, verbose=True))
    assert HIDDEN not in shown + json.dumps(report.as_json([host]))


def test_pickling_is_the_only_way_to_copy_its_text(hidden: Secret) -> None:
    assert pickle.loads(pickle.dumps(hidden)) == hidden  # noqa: S301 - our own bytes


def test_it_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVAOPS_TEST", HIDDEN)
    assert secret_source.resolve("env:NOVAOPS_TEST").reveal() == HIDDEN


def test_it_comes_from_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f" {HIDDEN}\n\n")
    assert secret_source.resolve(f"file:{file}").reveal() == f" {HIDDEN}\n"


def test_it_comes_from_a_command() -> None:
    assert secret_source.resolve("cmd:printf 'a b\\n'").reveal() == "a b"


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("env:NOVAOPS_NOT_SET", "the environment variable NOVAOPS_NOT_SET is not set"),
        ("file:/nonexistent/password", "cannot read the secret in /nonexistent/password"),
        ("file:~nobody-of-that-name/password", "cannot read the secret in ~nobody-of-that-name/password"),
        ("cmd:echo oh no >&2; exit 3", "the command for a secret failed: echo oh no >&2; exit 3"),
        (HIDDEN, "a secret was written in plain text"),
        (f"{HIDDEN}:x", "a secret was written in plain text"),
    ],
)
def test_what_is_no_secret_is_said_without_it(reference: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        secret_source.resolve(reference)
    assert error.value.what == what
    assert HIDDEN not in str(error.value)
