"""Carry out a plan: start the run, follow its events, and come back to it when the connection is cut."""

from __future__ import annotations

import base64
import getpass
import platform
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from novaops.engine.fresh_login import log_in
from novaops.engine.guard import SECONDS, Answer, Guard, waits
from novaops.engine.planner import fresh_logins, guarded_ranges
from novaops.engine.run_script import WAIT_S, Run, start_and_follow
from novaops.errors import HostFailed, LockHeld, LoginFailed, NovaopsError, RunLost, Unreachable
from novaops.model.plan import FreshLogin, Step
from novaops.secret import Secret
from novaops.shell import whole
from novaops.ssh.session import ConnectionLost, Session

REATTACH_TIMEOUTS = 4
"""A lost host is tried again for so many times `--timeout`: two minutes by default."""

_SHOWN = 200
"""Characters of a line of a host's that are shown."""

SILENCE = (3.0, 20.0)
"""Seconds without a line after which the connection counts as dead: `--timeout`, but not less or more than these.
A healthy run prints `alive` every second."""


class Watcher(Protocol):
    """What is told of the progress of a run."""

    def step(self, number: int, step: Step) -> None: ...
    def waiting(self, holder: str) -> None: ...
    def lost(self, error: NovaopsError) -> None: ...
    def guarded(self, login: FreshLogin, seconds: int) -> None: ...
    def taking_back(self, why: str) -> None: ...


@dataclass
class Outcome:
    """How a run and its steps ended."""

    run: Run
    end: Literal["ok", "failed", "refused", "rolled_back", "stale"]
    done: set[int] = field(default_factory=set)
    failed: int | None = None
    said: str = ""
    """What the failing action printed."""
    all_undone: bool = True
    """Whether every action that had to be undone was undone."""
    undone: set[int] = field(default_factory=set)
    """The steps of which something was undone."""
    logins: int = 0
    """How many fresh logins were made."""
    not_confirmed: NovaopsError | None = None
    """Why the fresh login did not work."""
    fired: bool = False
    """Whether the host heard nothing in time."""


def new_run(steps: tuple[Step, ...], after: str, *, wait: bool, undoes: str = "", guard: int = SECONDS) -> Run:
    """A run with an id of its own. `guard`: for how many seconds the host waits for a fresh login, where one is needed."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Run(f"{now}-{secrets.token_hex(3)}", steps, f"{getpass.getuser()}@{platform.node()}", after, wait, undoes, guard=_guard(guard))


def _guard(seconds: int) -> Guard:
    return Guard(Secret(secrets.token_urlsafe(32)), seconds)


def carry_out(session: Session, run: Run, watcher: Watcher) -> Outcome:
    """Start the run and follow it to its end: one exec, and one more after each loss of the connection.

    Raises LockHeld when another run is in progress and this one does not wait, RunLost when the host could not be
    reached again to see the end. The run goes on there all the same.
    """
    outcome = Outcome(run, "failed")
    timeout = session.target.timeout
    silence = min(max(SILENCE[0], timeout), SILENCE[1])
    seen = 0
    deadline: float | None = None
    lost = False
    while True:
        try:
            for line in session.follow(start_and_follow(run, seen), silence=silence):
                deadline = None
                if line == "alive" or not line:
                    continue
                seen += 1
                if _read(line, outcome, watcher):
                    return outcome
                guarded = _guarded(line, outcome)
                if guarded is not None and (not lost or session.run_beside(whole(waits(run.id))).status == 0):
                    _confirm(session, outcome, guarded, watcher)
            raise ConnectionLost(f"the connection to {session.target} was lost")  # noqa: TRY301 - the same as a loss noticed below
        except (ConnectionLost, Unreachable) as error:
            deadline = deadline or time.monotonic() + REATTACH_TIMEOUTS * timeout
            lost = True
            watcher.lost(error)
            if time.monotonic() > deadline:
                raise _run_lost(session, run, error) from error
            _reconnect(session, run, deadline)


def _confirm(session: Session, outcome: Outcome, number: int, watcher: Watcher) -> None:
    """Log in anew, and tell the host whether guarded range `number` is kept. A host that cannot be told rolls it back by itself."""
    run = outcome.run
    steps = [run.steps[step] for step in guarded_ranges(run.steps)[number]]
    logins = fresh_logins(steps)
    deadline = time.monotonic() + run.guard.seconds / 2

    def says(answer: Answer) -> str:
        return whole(run.guard.answer(run.id, number, answer))

    login = logins[0]
    try:
        for login in logins:
            watcher.guarded(login, run.guard.seconds)
            outcome.logins += 1
            log_in(session, login, says("keep") if login is logins[-1] else ":\n", deadline)
    except NovaopsError as error:
        outcome.not_confirmed = error
        watcher.taking_back(error.what)
        with suppress(NovaopsError):
            session.run_beside(says("roll back"))
        if isinstance(error, LoginFailed) and login.if_refused:
            with suppress(NovaopsError):
                said = session.run_beside(whole(login.if_refused), root=True).stdout.strip()
                error.why = "\n".join(filter(None, [error.why, said]))


def _reconnect(session: Session, run: Run, deadline: float) -> None:
    pause = 0.2
    while True:
        session.close()
        try:
            session.open()
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise _run_lost(session, run, error) from error
            time.sleep(pause)  # Nothing tells when a host is up again.
            pause = min(pause * 2, 5.0)
        else:
            return


def _run_lost(session: Session, run: Run, error: NovaopsError) -> RunLost:
    return RunLost(
        f"{session.target} could not be reached again to see how run {run.id} ended",
        why=f"{error.what}. What was begun goes on there by itself.",
        fix=f"novaops history {session.target.name} shows it once the host is back; then run this again",
    )


def _read(line: str, outcome: Outcome, watcher: Watcher) -> bool:
    """Apply one event to the outcome; True for the last one. Raises HostFailed for what no run writes, and for the ends that are errors."""
    try:
        return _apply(line, outcome, watcher)
    except ValueError:
        raise _no_event(line, outcome) from None


def _guarded(line: str, outcome: Outcome) -> int | None:
    """The number of the guarded range whose fresh login is due; None for another event."""
    word, *rest = line.split(" ")
    if word != "guarded":
        return None
    try:
        return _number("".join(rest[:1]), len(guarded_ranges(outcome.run.steps)))
    except ValueError:
        raise _no_event(line, outcome) from None


def _no_event(line: str, outcome: Outcome) -> HostFailed:
    return HostFailed(
        f"the host reports of run {outcome.run.id} what no run reports: {line[:_SHOWN]}",
        why="Something there writes into its events, or its disk is damaged. What became of the run is not known.",
        fix="look at the host before you trust it: novaops history HOST, and what is there now",
    )


def _step(number: str, outcome: Outcome) -> int:
    """Raises ValueError for the number of no step."""
    return _number(number, len(outcome.run.steps))


def _number(text: str, end: int) -> int:
    """Raises ValueError for what is no number from 0 up to, and not with, `end`."""
    if not (text.isascii() and text.isdecimal()) or int(text) >= end:
        raise ValueError(text)
    return int(text)


def _apply(line: str, outcome: Outcome, watcher: Watcher) -> bool:
    word, *rest = line.split(" ")
    match word, rest:
        case "lock", _:
            watcher.waiting(line.removeprefix("lock "))
        case "step", [number]:
            watcher.step(_step(number, outcome), outcome.run.steps[_step(number, outcome)])
        case "done", [number]:
            outcome.done.add(_step(number, outcome))
        case "fired", _:
            outcome.fired = True
        case "failed", [number, _, status, text]:
            outcome.failed = _step(number, outcome)
            outcome.said = _decoded(text) or f"exit status {status}"
        case "failed", [number, _, status]:
            outcome.failed, outcome.said = _step(number, outcome), f"exit status {status}"
        case "refused", [number, _, *text]:
            outcome.failed, outcome.said = _step(number, outcome), _decoded("".join(text))
        case "undone", [number, _, status]:
            outcome.all_undone = outcome.all_undone and status == "0"
            outcome.undone.add(_step(number, outcome))
            outcome.done.discard(_step(number, outcome))
        case "end", [("ok" | "failed" | "refused" | "rolled_back" | "stale") as end]:
            outcome.end = end
            return True
        case "end", ["locked"]:
            raise LockHeld(
                "another run is at work on the host",
                why=f"It did not end within {WAIT_S // 60} minutes." if outcome.run.wait else "",
                fix="novaops history HOST shows which" if outcome.run.wait else "leave out --no-wait to wait for its end",
            )
        case "end", ["killed"]:
            raise HostFailed(
                f"run {outcome.run.id} was killed on the host before its end",
                why="By hand, by a reboot, or for want of memory. Its last step may be half done.",
                fix="run this again: it starts from what is there",
            )
        case _:
            pass
    return False


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "replace").strip()
