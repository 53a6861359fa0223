"""A plan as the script that carries it out on the host. Pure: text in, text out. What is the same in all scripts is in run.sh.

The script is stored in the run's folder and started apart from the connection. It writes what happens into `events`,
one line each, and ends with exactly one `end` line:

    lock HOLDER                  another run has the host; this one waits
    step N                       step N begins
    action N M                   its action M begins; for what one call does for several steps, before `step N` too
    failed N M STATUS TEXT64     it failed; TEXT64 is base64 of what it printed
    refused N M TEXT64           its precondition does not hold
    undone N M STATUS            after a failure: an earlier action of the same step was rolled back
    there N M                    its effect was there already: nothing was done, and nothing is undone
    done N                       the step is complete
    guarded K SECONDS            guarded range K is done, and waits so long for a fresh login
    confirmed K                  a fresh login confirmed it: the range is kept
    fired K                      nobody confirmed it: the range is rolled back
    end ok|failed|refused|rolled_back|locked|stale
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from novaops.engine import guard
from novaops.engine.guard import Guard
from novaops.engine.planner import first_undone, guarded_ranges
from novaops.model.action import Action, Command, Permissions, Precondition, Restore, SetValue, Text, WriteFile, payload
from novaops.model.journal import BORN, KEPT_RUNS, PENDING, RUNS, STATE, pending_marker
from novaops.model.plan import Risk, Step
from novaops.shell import PREAMBLE, assign, here_file, join, quote, sh_file, whole

WAIT_S = 1800
"""Seconds that a run waits for another one to end. The longest runs, such as that of a large package, take minutes."""

_LONG = 200
"""Characters of a word that is written once."""


@dataclass(frozen=True)
class Run:
    """One apply of one plan on one host."""

    id: str
    """Sorts by time: 20260203T040506Z-1f2e3d."""
    steps: tuple[Step, ...]
    started_by: str
    """User and machine, shown to those who wait for the lock: ana@laptop."""
    after: str
    """The id of the host's last run when the plan was made; "" for none. A run since then makes the plan stale."""
    wait: bool = True
    """Whether to wait for the end of another run, or to end as `locked`."""
    undoes: str = ""
    """The id of the run that this one undoes; "" for none."""
    guard: Guard = field(kw_only=True)


def start_and_follow(run: Run, seen: int) -> str:
    """What is sent to the host: store the run and start it apart from the connection, unless that was done before;
    then print its events, leaving out the first `seen` lines. Sending it again after a cut is how a run is re-attached.
    """
    stored = {"plan.json": json.dumps(manifest(run), ensure_ascii=False), "script": runner(run), **_payloads(run)}
    files = "".join(here_file(f'"$run/{name}"', payload(text), "no_space") for name, text in stored.items())
    variables = _places(run) + assign(pending=PENDING, boot_unit=guard.BOOT_UNIT, next_line=seen + 1)
    return whole(f"{variables}{BORN}store() {{\n{files}}}\n{sh_file(__package__, 'follow.sh')}")


def runner(run: Run) -> str:
    """The script that stays on the host."""
    ranges = guarded_ranges(run.steps)
    variables = assign(
        kept_runs=KEPT_RUNS,
        holder=f"{run.id} of {run.started_by}",
        after=run.after,
        waits="yes" if run.wait else "",
        wait_s=WAIT_S,
        counts=" ".join(str(len(step.actions)) for step in run.steps),
        firsts=" ".join(map(str, first_undone(run.steps))),
        begins="".join(f" {steps.start} " for steps in ranges),
        ends="".join(f" {steps[-1]} " for steps in ranges),
    )
    parts = [f"#!/bin/sh\n{PREAMBLE}umask 022\n", _places(run), variables, BORN, sh_file(__package__, "run.sh")]
    if ranges:
        parts.append(guard.library(run.id, run.guard, len(ranges)))
    batches, names = _batches(run.steps), _long_words(run.steps)
    parts.append(assign(**{name: word for word, name in names.items()}))
    for number, step in enumerate(run.steps):
        for index, action in enumerate(step.actions):
            name = f"{number}_{index}"
            do = _do_in_batch(batches[number], name) if number in batches else _do(action, name, names)
            parts.append(f"do_{name}() {{\n{do}\n}}\nundo_{name}() {{\n{_undo(action, name, names)}\n}}\n")
    return "".join([*parts, 'main "$@"\n'])


def _long_words(steps: Sequence[Step]) -> dict[str, str]:
    """The variable of each long word that stands behind several files. Written out for each they would be most of the script."""
    words = Counter(
        word
        for step in steps
        for action in step.actions
        if isinstance(action, WriteFile | Restore)
        for word in action.then
        if len(word) > _LONG
    )
    return {word: f"word_{number}" for number, word in enumerate(word for word, count in words.items() if count > 1)}


def _words(words: Sequence[str], names: Mapping[str, str]) -> str:
    """Like `join`, with the variables of long words."""
    return " ".join(f'"${names[word]}"' if word in names else quote(word) for word in words)


def _batches(steps: Sequence[Step]) -> dict[int, dict[str, Command]]:
    """For each step that shares a call with its neighbours, the actions of that call by name."""
    found: dict[int, dict[str, Command]] = {}
    for number, step in enumerate(steps):
        match step:
            case Step(actions=(Command(batch=True, stdin=None) as action,), risk=Risk.NONE, together=""):
                before = found.get(number - 1, {})
                alike = before and next(iter(before.values())).words[:-1] == action.words[:-1]
                found[number] = before if alike else {}
                found[number][f"{number}_0"] = action
    return {number: batch for number, batch in found.items() if len(batch) > 1}


def _do_in_batch(batch: Mapping[str, Command], name: str) -> str:
    """The first of them is one call for all; each is done by itself where that call did not do it."""
    action, lines = batch[name], []
    if name == next(iter(batch)):
        lines = [f"holds_{member}() {{ {command.holds}\n}}" for member, command in batch.items()]
        lines.append(f"set -- {join(action.words[:-1])}; alone=$(($# + 1))")
        lines += [f'there_before {member} || set -- "$@" {quote(command.words[-1])}' for member, command in batch.items()]
        lines.append('[ $# -le $alone ] || "$@" || :')
    return "\n".join([*lines, f"holds_{name} || {join(action.words)}"])


def _places(run: Run) -> str:
    return assign(id=run.id, run=f"{RUNS}/{run.id}", runs=RUNS, state=STATE)


def _do(action: Action, name: str, names: Mapping[str, str]) -> str:
    match action:
        case Command():
            stdin = f' <"$run/payload/{name}"' if action.stdin is not None else ""
            there = f'if {{ {action.holds}\n}}; then true >"$run/kept/{name}.there"; return; fi\n' if action.holds else ""
            return f"{there}{join(action.words)}{stdin}"
        case Precondition():
            return f"( {action.script}\n) || {{ refusal=yes; return 1; }}"
        case WriteFile():
            return _write(action, name, names)
        case Restore():
            return _restore(action, name, names)
        case SetValue():
            return _set(action, name)


def _write(action: WriteFile, name: str, names: Mapping[str, str]) -> str:
    unchanged = '[ ! -f "$file" ]' if action.before is None else f'[ "$(hash "$file")" = {_hash(action.before)} ]'
    words = [word if word != "{}" else "\0" for word in action.check]
    check = " ".join('"$new"' if word == "\0" else quote(word) for word in words)
    marker = quote(pending_marker(action.path))
    lines = [
        f'file=$(real {quote(action.path)}); new=$(candidate "$file")',
        f'{unchanged} || {{ echo "{_plain(action.path)} was changed by someone since it was looked at"; refusal=yes; return 1; }}',
        f'keep "$file" {name} || return',
    ]
    if action.content is None:
        lines += [f"true >{marker} || return"] if action.then else []
        lines.append('rm -f -- "$file" && sync "${file%/*}/" || return')
    else:
        lines += [
            f'install -m {quote(action.mode)} -o {quote(action.owner)} -g {quote(action.group)} -- "$run/payload/{name}" "$new" ||',
            '{ rm -f -- "$new"; return 1; }',
        ]
        if check:
            lines.append(f'{check} || {{ rm -f -- "$new"; return 1; }}')
        if action.then:
            lines.append(f'true >{marker} || {{ rm -f -- "$new"; return 1; }}')
        lines.append('put "$new" "$file" || { rm -f -- "$new"; return 1; }')
    if action.then:
        lines.append(f"{_words(action.then, names)} || return")
    lines.append(f"[ ! -e {marker} ] || rm -f -- {marker}")
    return "\n".join(lines)


def _restore(action: Restore, name: str, names: Mapping[str, str]) -> str:
    marker = quote(pending_marker(action.path))
    back = (
        f'cp -p -- {quote(action.kept)} "$new" && put "$new" "$file" || {{ rm -f -- "$new"; return 1; }}'
        if action.kept
        else 'rm -f -- "$file" || return'
    )
    mark, then = (f"true >{marker} || return", f"{_words(action.then, names)} || return\nrm -f -- {marker}") if action.then else (":", ":")
    return f"""\
file=$(real {quote(action.path)}); new=$(candidate "$file")
[ "$(hash "$file")" = {quote(action.expected)} ] || {{ echo "{_plain(action.path)} was changed since that run, and is left as it is"; refusal=yes; return 1; }}
keep "$file" {name} || return
{mark}
{back}
{then}"""


def _set(action: SetValue, name: str) -> str:
    expected = "" if action.expected is None else f'[ "$before" = {action.expected} ] || '
    source = quote(action.kept) if action.kept else f'"$run/payload/{name}"'
    return f"""\
before=$( {{ {action.read}
}} | digest)
{expected or ": || "}{{ echo {quote(f"{action.what} was changed by someone since it was looked at")}; refusal=yes; return 1; }}
echo "$before" >"$run/kept/{name}.before" && ( umask 077; {{ {action.keep}
}} >"$run/kept/{name}" ) && {{ [ ! -e "$run/armed" ] || flush "$run"; }} && {join(action.write)} <{source} || return
[ "$( {{ {action.read}
}} | digest)" = {action.result} ] || {{ echo {quote(f"{action.what} was set, and is something else")}; return 1; }}"""


def _undo(action: Action, name: str, names: Mapping[str, str]) -> str:
    """The sh that undoes one action when a later one of its step fails. It does no harm when the action had no effect."""
    match action:
        case Command(undo=Command() as undo):
            stdin = f' <"$run/payload/{name}.undo"' if undo.stdin is not None else ""
            return f'[ -e "$run/kept/{name}.there" ] || {{ {undo.holds or "false"}\n}} || timeout 120 {join(undo.words)}{stdin}'
        case WriteFile() | Restore():
            return f'put_back "$(real {quote(action.path)})" {name} {quote(pending_marker(action.path))} {_words(action.then, names)}'
        case SetValue():
            return f'[ ! -s "$run/kept/{name}" ] || timeout 60 {join(action.write)} <"$run/kept/{name}"'
        case _:
            return ":"


def _payloads(run: Run) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for number, step in enumerate(run.steps):
        for index, action in enumerate(step.actions):
            name = f"payload/{number}_{index}"
            match action:
                case WriteFile(content=content) if content is not None:
                    found[name] = content
                case SetValue(value=value) if value is not None:
                    found[name] = value
                case Command(stdin=stdin, undo=undo):
                    if stdin is not None:
                        found[name] = stdin
                    if undo is not None and undo.stdin is not None:
                        found[f"{name}.undo"] = undo.stdin
                case _:
                    pass
    return found


def manifest(run: Run) -> dict[str, Any]:
    """The description of the run in the host's journal, from which it is listed and undone. It has no secrets.

    A long word of `then` stands once in `words`; where it is meant stands its number there.
    """
    words = list(_long_words(run.steps))
    return {
        "id": run.id,
        "by": run.started_by,
        "undoes": run.undoes,
        "words": words,
        "steps": [
            {
                "resource": step.resource,
                "risk": step.risk.value,
                "cannot_undo": step.cannot_undo,
                "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in step.changes],
                "actions": [_remembered(action, f"{number}_{index}", words) for index, action in enumerate(step.actions)],
            }
            for number, step in enumerate(run.steps)
        ],
    }


def _remembered(action: Action, name: str, words: Sequence[str]) -> dict[str, Any]:
    match action:
        case Command():
            undo = action.undo
            return {
                "kind": "command",
                "shown": str(action),
                "words": list(action.words) if undo else [],
                "holds": action.holds,
                "undo": {"words": list(undo.words), "holds": undo.holds} if undo and undo.stdin is None else None,
                "batch": action.batch,
            }
        case WriteFile():
            after = None if action.content is None else payload(action.content)
            permissions = (action.mode, action.owner, action.group) if after is not None else None
            before = (_hash(action.before), action.permissions_before)
            return _remembered_file(action, name, words, before, (_hash(after), permissions))
        case Restore():
            return _remembered_file(
                *(action, name, words),
                *((action.expected, action.expected_permissions), (action.result, action.result_permissions)),
            )
        case SetValue(undoable=False):
            return {"kind": "command", "shown": str(action), "words": [], "holds": "", "undo": None, "batch": False}
        case SetValue():
            about = {key: getattr(action, key) for key in ("what", "read", "keep", "result")}
            return {"kind": "value", "shown": str(action), **about, "write": list(action.write), "kept": name}
        case Precondition():
            return {"kind": "check", "shown": str(action)}


def _remembered_file(
    action: WriteFile | Restore,
    name: str,
    words: Sequence[str],
    before: tuple[str, Permissions | None],
    after: tuple[str, Permissions | None],
) -> dict[str, Any]:
    """With the state before and after: the sha256 ("" for no file), and mode, owner and group (None where unknown)."""
    then = [words.index(word) if word in words else word for word in action.then]
    shown = {"kind": "file", "shown": str(action), "path": action.path, "then": then}
    states = {"before": before[0], "rights_before": before[1], "after": after[0], "rights_after": after[1]}
    return {**shown, "kept": name, **states}


def _hash(content: bytes | None) -> str:
    return "" if content is None else sha256(content).hexdigest()


def _plain(path: str) -> str:
    """A path inside a double-quoted sh text."""
    return "".join("\\" + c if c in '"\\$`' else c for c in path)
