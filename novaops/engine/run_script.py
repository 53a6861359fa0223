"""A plan as the script that carries it out on the host. Pure: text in, text out.

The script is stored in the run's folder and started apart from the connection. It writes what happens into `events`,
one line each, and ends with exactly one `end` line:

    lock HOLDER                  another run has the host; this one waits
    step N                       step N begins
    action N M                   its action M begins
    failed N M STATUS TEXT64     it failed; TEXT64 is base64 of what it printed
    refused N M TEXT64           its precondition does not hold
    undone N M STATUS            after a failure: an earlier action of the same step was taken back
    there N M                    its effect was there already: nothing was done, and nothing is undone
    done N                       the step is complete
    guarded K SECONDS            guarded stretch K is done, and waits so long for a fresh login
    confirmed K                  the fresh login said so: the stretch is kept
    fired K                      nobody confirmed it: the stretch is taken back
    end ok|failed|refused|rolled_back|locked|stale
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from novaops.engine import guard
from novaops.engine.guard import Guard
from novaops.engine.planner import guarded_ranges
from novaops.model.action import Action, Command, Permissions, Precondition, Restore, SetValue, Text, WriteFile, payload
from novaops.model.journal import BORN, KEPT_RUNS, PENDING, RUNS, STATE, pending_marker
from novaops.model.plan import Step
from novaops.shell import PREAMBLE, here_file, join, quote, whole


@dataclass(frozen=True)
class Run:
    """One apply of one plan on one host."""

    id: str
    """Sorts by time: 20260203T040506Z-1f2e3d."""
    steps: tuple[Step, ...]
    started_by: str
    """Who and where, for the one who waits for the lock: ana@laptop."""
    after: str
    """The run that was the host's last one when the plan was made; "" for none. Another one since makes the plan stale."""
    wait: bool = True
    """Whether to wait for another run's end, or to give up at once."""
    undoes: str = ""
    """The run that this one takes back."""
    guard: Guard = field(kw_only=True)


def start_and_follow(run: Run, seen: int) -> str:
    """What is sent to the host: store the run and start it apart from the connection, unless that was done before;
    then print its events, leaving out the first `seen` lines. Sending it again after a cut is how a run is re-attached.
    """
    folder = f"{RUNS}/{run.id}"
    stored = {"plan.json": json.dumps(manifest(run), ensure_ascii=False), "script": runner(run), **_payloads(run)}
    files = "".join(here_file(f'"$run/{name}"', payload(text), "no_space") for name, text in stored.items())
    return whole(f"""\
umask 077
run={folder}
no_space() {{ rm -rf "$run"; echo "novaops: the run could not be stored in $run: is the disk full?" >&2; exit 74; }}
command -v flock >/dev/null || {{ echo 'novaops: flock is missing: install util-linux' >&2; exit 73; }}
mkdir -p {RUNS} {PENDING} && chmod 700 {STATE} {RUNS} || {{ echo 'novaops: cannot write to {STATE}' >&2; exit 74; }}
if mkdir "$run" 2>/dev/null; then
  mkdir "$run/payload" "$run/kept" || no_space
{files}  : >"$run/events" || no_space
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --unit=novaops-{run.id} -p KillMode=process --description='novaops run {run.id}' /bin/sh "$run/script" >/dev/null 2>&1
  then :
  else setsid sh "$run/script" </dev/null >/dev/null 2>&1 &
  fi
fi
tries=0
until [ -s "$run/pid" ]; do
  tries=$((tries + 1)); [ $tries -lt 300 ] || {{ echo 'novaops: the run did not start' >&2; exit 75; }}
  [ -d "$run" ] || {{ echo 'novaops: the run could not be stored' >&2; exit 74; }}
  sleep 0.1
done
pid=$(cat "$run/pid")
{BORN}alive() {{ [ "$(born "$pid")" = "$(cat "$run/born")" ]; }}
if alive; then
  tail -n +{seen + 1} -s 0.1 --pid="$pid" -f "$run/events" &
  while alive; do echo alive || exit; sleep 1; done
  wait
else
  while {guard.fires(run.id)}; do echo alive || exit; sleep 1; done
  tail -n +{seen + 1} "$run/events"
fi
grep -q '^end ' "$run/events" || {guard.fires(run.id)} || echo 'end killed'
""")


def runner(run: Run) -> str:
    """The script that stays on the host. It needs nobody to watch it."""
    functions, counts = [], []
    for number, step in enumerate(run.steps):
        counts.append(str(len(step.actions)))
        for index, action in enumerate(step.actions):
            name = f"{number}_{index}"
            functions.append(f"do_{name}() {{\n{_do(action, name)}\n}}\nundo_{name}() {{\n{_undo(action, name)}\n}}\n")
    guarded = guarded_ranges(run.steps)
    begins = "".join(
        f"    {s.start}) stretch={k} begin={s.start}; arm || {{ forget; fail 'the guard could not be armed'; }} ;;\n"
        for k, s in enumerate(guarded)
    )
    ends = "".join(f"    {s.stop - 1}) hold ;;\n" for s in guarded)
    firsts = "".join(f"    {number}) echo {s.start} ;;\n" for s in guarded for number in s)
    return f"""\
#!/bin/sh
{PREAMBLE}umask 022
run={RUNS}/{run.id}
{BORN}trap '' HUP PIPE
event() {{ printf '%s\\n' "$*" >>"$run/events"; }}
say() {{ tail -c 2000 "$run/output" | base64 | tr -d '\\n'; }}
finish() {{
  rm -rf "$run/payload" "$run/output" "$run/script"
  ls {RUNS} | sort | head -n -{KEPT_RUNS} | while read -r old; do rm -rf "{RUNS}/$old"; done # now: this run may have undone the oldest
  sync "$run/events"; event "end $1"; rm -f "$run/armed"; exit
}}
fail() {{ event "failed $number $index 1 $(echo "$1" | base64 -w 0)"; finish failed; }}
{_LIBRARY}
{"".join(functions)}
actions_of() {{
  case $1 in
{"".join(f"    {number}) echo {count} ;;{chr(10)}" for number, count in enumerate(counts))}    *) echo 0 ;;
  esac
}}
first_of() {{ # of what is taken back together with a step
  case $1 in
{firsts}    *) echo "$1" ;;
  esac
}}
take_back() {{ # STEP ACTION: this one and those before it
  number=$1 index=$2 first=$(first_of "$1")
  while [ "$number" -ge "$first" ]; do
    while [ "$index" -ge 0 ]; do
      "undo_${{number}}_$index" >>"$run/output" 2>&1 </dev/null 9>&-
      event "undone $number $index $?"
      index=$((index - 1))
    done
    number=$((number - 1)); index=$(($(actions_of "$number") - 1))
  done
}}
take_back_all() {{ # of the stretch that began with step $begin
  set -- $(grep '^action ' "$run/events" | tail -n 1)
  [ "${{2:--1}}" -lt "$begin" ] || take_back "$2" "$3"
}}
{guard.library(run.id, run.guard, len(guarded)) if guarded else ""}
[ "$1" != fire ] || fire "$2"
born $$ >"$run/born"; echo $$ >"$run/pid.new" && mv "$run/pid.new" "$run/pid"
number=0 index=0
exec 9>>{STATE}/lock
if ! flock -n 9; then
  event "lock $(cat {STATE}/holder)"
  {"flock 9; finish stale" if run.wait else "finish locked"}
fi
{guard.LATE}printf '%s\\n' {quote(f"{run.id} of {run.started_by}")} >{STATE}/holder
last=$(cat {STATE}/last 2>/dev/null)
[ "$last" = {quote(run.after)} ] || finish stale
echo {run.id} >{STATE}/last.new && mv {STATE}/last.new {STATE}/last || fail 'cannot write to {STATE}: is the disk full?'
for count in {" ".join(counts)}; do
  case $number in
{begins}    *) ;;
  esac
  event "step $number"; index=0
  while [ $index -lt $count ]; do
    event "action $number $index"
    refusal=
    "do_${{number}}_$index" >"$run/output" 2>&1 </dev/null 9>&-; status=$?
    if [ $status != 0 ]; then
      [ ! -e "$run/armed" ] || rm "$run/open.$stretch" 2>/dev/null || sleep 3600 # the guard is at it, and ends this
      if [ -n "$refusal" ]; then event "refused $number $index $(say)"; end=refused
      else event "failed $number $index $status $(say)"; end=failed
      fi
      take_back $number $index
      [ ! -e "$run/armed" ] || disarm
      finish $end
    fi
    [ ! -e "$run/kept/${{number}}_$index.there" ] || event "there $number $index"
    index=$((index + 1))
  done
  event "done $number"
  case $number in
{ends}    *) ;;
  esac
  number=$((number + 1))
done
finish ok
"""


_LIBRARY = """\
real() { readlink -f -- "$1" || printf '%s\\n' "$1"; }
hash() { if [ -f "$1" ]; then digest <"$1"; fi; }
keep() { # FILE NAME: the file as it is now, for undo
  if [ ! -e "$1" ]; then : >"$run/kept/$2.absent"
  elif ! { cp -p -- "$1" "$run/kept/$2.part" && mv "$run/kept/$2.part" "$run/kept/$2"; }; then
    rm -f "$run/kept/$2.part" # first: what is said needs room too
    echo "$1 could not be kept in $run: is the disk full?"; return 1
  fi
}
flush() { sync -f "$1" 2>/dev/null || sync; } # FILE: the whole file system it is on
put() { # CANDIDATE FILE: rename, on disk before it counts; under guard, what is kept of the old one before that
  [ ! -e "$run/armed" ] || flush "$run"
  sync "$1" && mv -f -- "$1" "$2" && sync "${2%/*}/" && { ! command -v restorecon >/dev/null || restorecon "$2"; }
}
put_back() { # FILE NAME MARKER [THEN...]: as it was before the run, and what must follow that
  kept="$run/kept/$2"; marker=$3
  if [ -e "$kept.absent" ]; then [ -e "$1" ] || return 0; rm -f -- "$1" || return
  elif [ ! -e "$kept" ] || { cmp -s -- "$kept" "$1" && [ "$(rights "$kept")" = "$(rights "$1")" ]; }; then return 0
  else
    back=$(candidate "$1")
    cp -p -- "$kept" "$back" && put "$back" "$1" || { rm -f -- "$back"; return 1; }
  fi
  shift 3; [ $# = 0 ] || timeout 60 "$@" || return # what hangs must not keep the rest from being put back
  rm -f -- "$marker"
}
digest() { sha256sum | cut -d ' ' -f 1; }
rights() { stat -c %a:%u:%g -- "$1"; }
candidate() { # FILE: a name beside it that no *.conf pattern takes
  printf '%s\\n' "${1%/*}/.${1##*/}.novaops-new"
}
"""


def _do(action: Action, name: str) -> str:
    match action:
        case Command():
            stdin = f' <"$run/payload/{name}"' if action.stdin is not None else ""
            there = f'if {{ {action.holds}\n}}; then : >"$run/kept/{name}.there"; return; fi\n' if action.holds else ""
            return f"{there}{join(action.words)}{stdin}"
        case Precondition():
            return f"( {action.script}\n) || {{ refusal=yes; return 1; }}"
        case WriteFile():
            return _write(action, name)
        case Restore():
            return _restore(action, name)
        case SetValue():
            return _set(action, name)


def _write(action: WriteFile, name: str) -> str:
    before = _hash(action.before)
    words = [word if word != "{}" else "\0" for word in action.check]
    check = " ".join('"$new"' if word == "\0" else quote(word) for word in words)
    marker = quote(pending_marker(action.path))
    lines = [
        f'file=$(real {quote(action.path)}); new=$(candidate "$file")',
        f'[ "$(hash "$file")" = {quote(before)} ] || {{ echo "{_plain(action.path)} was changed by someone since it was looked at"; refusal=yes; return 1; }}',
        f'keep "$file" {name} || return',
    ]
    if action.content is None:
        lines += [f": >{marker} || return"] if action.then else []
        lines.append('rm -f -- "$file" && sync "${file%/*}/" || return')
    else:
        lines += [
            f'rm -f -- "$new"; ( umask 077; cat "$run/payload/{name}" >"$new" ) &&',
            f'chown {quote(f"{action.owner}:{action.group}")} "$new" && chmod {quote(action.mode)} "$new" || {{ rm -f -- "$new"; return 1; }}',
        ]
        if check:
            lines.append(f'{check} || {{ rm -f -- "$new"; return 1; }}')
        if action.then:
            lines.append(f': >{marker} || {{ rm -f -- "$new"; return 1; }}')
        lines.append('put "$new" "$file" || { rm -f -- "$new"; return 1; }')
    if action.then:
        lines.append(f"{join(action.then)} || return")
    lines.append(f"rm -f -- {marker}")
    return "\n".join(lines)


def _restore(action: Restore, name: str) -> str:
    marker = quote(pending_marker(action.path))
    back = (
        f'cp -p -- {quote(action.kept)} "$new" && put "$new" "$file" || {{ rm -f -- "$new"; return 1; }}'
        if action.kept
        else 'rm -f -- "$file" || return'
    )
    mark, then = (f": >{marker} || return", f"{join(action.then)} || return\nrm -f -- {marker}") if action.then else (":", ":")
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


def _undo(action: Action, name: str) -> str:
    """What takes one action back when a later one of its step fails. Harmless when the action never took effect."""
    match action:
        case Command(undo=Command() as undo):
            stdin = f' <"$run/payload/{name}.undo"' if undo.stdin is not None else ""
            return f'[ -e "$run/kept/{name}.there" ] || {{ {undo.holds or "false"}\n}} || timeout 120 {join(undo.words)}{stdin}'
        case WriteFile() | Restore():
            return f'put_back "$(real {quote(action.path)})" {name} {quote(pending_marker(action.path))} {join(action.then)}'
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
    """What the host remembers of the run: enough to list it, and to undo it. Nothing secret."""
    return {
        "id": run.id,
        "by": run.started_by,
        "undoes": run.undoes,
        "steps": [
            {
                "resource": step.resource,
                "risk": step.risk.value,
                "cannot_undo": step.cannot_undo,
                "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in step.changes],
                "actions": [_remembered(action, f"{number}_{index}") for index, action in enumerate(step.actions)],
            }
            for number, step in enumerate(run.steps)
        ],
    }


def _remembered(action: Action, name: str) -> dict[str, Any]:
    match action:
        case Command():
            undo = action.undo
            return {
                "kind": "command",
                "shown": str(action),
                "words": list(action.words) if undo else [],
                "holds": action.holds,
                "undo": {"words": list(undo.words), "holds": undo.holds} if undo and undo.stdin is None else None,
            }
        case WriteFile():
            after = None if action.content is None else payload(action.content)
            permissions = (action.mode, action.owner, action.group) if after is not None else None
            return _remembered_file(action, name, (_hash(action.before), action.permissions_before), (_hash(after), permissions))
        case Restore():
            return _remembered_file(
                action, name, (action.expected, action.expected_permissions), (action.result, action.result_permissions)
            )
        case SetValue():
            about = {key: getattr(action, key) for key in ("what", "read", "keep", "result")}
            return {"kind": "value", "shown": str(action), **about, "write": list(action.write), "kept": name}
        case Precondition():
            return {"kind": "check", "shown": str(action)}


def _remembered_file(
    action: WriteFile | Restore, name: str, before: tuple[str, Permissions | None], after: tuple[str, Permissions | None]
) -> dict[str, Any]:
    """Of both states the sha256 ("" for no file), and mode, owner and group (None where they are not known)."""
    shown = {"kind": "file", "shown": str(action), "path": action.path, "then": list(action.then)}
    states = {"before": before[0], "rights_before": before[1], "after": after[0], "rights_after": after[1]}
    return {**shown, "kept": name, **states}


def _hash(content: bytes | None) -> str:
    return "" if content is None else sha256(content).hexdigest()


def _plain(path: str) -> str:
    """A path inside a double-quoted sh text."""
    return "".join("\\" + c if c in '"\\$`' else c for c in path)
