"""Several documents of --json as one: of the shards of a command, or of commands over different hosts. Pure but for reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pydantic import BaseModel, ValidationError

from novaops.engine.inventory import message
from novaops.engine.report import EXIT_CODES, RIGHT, WORST_FIRST, HostReport, ReportLine, Status, words
from novaops.engine.rollout import Shard
from novaops.errors import NovaopsError, UsageError
from novaops.formats import visible
from novaops.model.plan import Change, Note

_INTERRUPTED = 130
_NOT_XML = re.compile("[\ufffe\uffff]")


class _Error(BaseModel):
    code: str
    what: str
    why: str = ""
    fix: str = ""


class _FileError(_Error):
    """An error of a whole part, in a document that was merged before."""

    file: str = ""


class _Change(BaseModel):
    field: str
    before: str | None = None
    after: str | None = None


class _Step(BaseModel):
    resource: str
    status: str
    risk: str = "none"
    changes: list[_Change] = []
    check: str | None = None
    """What a check of verify claims."""
    message: str | None = None


class _Note(BaseModel):
    resource: str
    text: str


class _Host(BaseModel):
    host: str
    status: Status
    steps: list[_Step]
    notes: list[_Note] = []
    error: _Error | None = None
    execs: int = 0
    fresh_logins: int = 0


class _Document(BaseModel):
    hosts: list[_Host]
    exit_code: int
    error: _Error | None = None
    errors: list[_FileError] = []
    shard: str | None = None


@dataclass(frozen=True)
class Part:
    """One document, and where it came from."""

    file: str
    data: Mapping[str, Any]
    read: _Document


def read(file: Path) -> Part:
    """Raises UsageError for what is no report of --json."""
    try:
        data = json.loads(file.read_bytes())
        return part(data, str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}", why=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'/'.join(map(str, first['loc'])) or 'the document'}: {message(first)}"
    except (ValueError, RecursionError) as error:
        why = str(error) or "it cannot be read as JSON"
    raise UsageError(f"{file} is no report of novaops", why=why, fix="give what novaops apply --json printed, or plan, verify, undo")


def part(data: dict[str, Any], file: str = "") -> Part:
    """A document that is no file."""
    return Part(file, data, _Document.model_validate(data))


def worst(codes: Iterable[int]) -> int:
    """Of several exit codes that of the whole."""
    found, known = set(codes), (WORST_FIRST[0], _INTERRUPTED, *WORST_FIRST[1:])
    return next((one for one in known if one in found), 0) if found <= set(known) else NovaopsError.exit_code


def merge(parts: Sequence[Part], order: Iterable[str]) -> dict[str, Any]:
    """One document of them all. `order` has names of hosts; those that are not in it come last, as they were given.

    Raises UsageError where two parts have the same host.
    """
    came_from: dict[str, str] = {}
    hosts: dict[str, Any] = {}
    for part in parts:
        for host in part.data["hosts"]:
            name = host["host"]
            if name in came_from:
                raise UsageError(f"{name} is in {came_from[name]} and in {part.file}", fix="give each host's report once")
            came_from[name], hosts[name] = part.file, host
    place = {name: number for number, name in enumerate(order)}
    errors = [{"file": part.file, **part.read.error.model_dump()} for part in parts if part.read.error]
    errors += [{**error.model_dump(), "file": error.file or part.file} for part in parts for error in part.read.errors]
    errors += _missing(parts)
    codes = {code for part in parts for code in _codes(part.read)} | ({NovaopsError.exit_code} if errors else set())
    ordered = sorted(hosts.values(), key=lambda host: place.get(host["host"], len(place)))
    return {"hosts": ordered, **({"errors": errors} if errors else {}), "exit_code": worst(codes)}


def _codes(document: _Document) -> set[int]:
    """The exit codes of a document: its own, and those of its hosts, and of the steps of those that are said to be right.

    A host failed under verify may be drift, which has a code of its own: there the document's code counts.
    """
    codes = {document.exit_code}
    for host in document.hosts:
        drift = document.exit_code and host.status == "failed" and any(step.check is not None for step in host.steps)
        codes |= set() if drift else {EXIT_CODES[host.status]}
        codes |= {EXIT_CODES.get(step.status, 0) for step in host.steps} if EXIT_CODES[host.status] in RIGHT else set()
    return codes


def _missing(parts: Sequence[Part]) -> list[dict[str, str]]:
    """What is wrong with the shards: all have to be there, each once."""
    shards = [(Shard.read(part.read.shard), part.file) for part in parts if part.read.shard]
    totals = {shard.total for shard, _ in shards}
    if len(totals) > 1:
        raise UsageError(
            f"the shards are of different totals: {', '.join(str(shard) for shard, _ in shards)}", fix="merge those of one command"
        )
    ends = {host.status: part.file for part in parts if part.read.shard for host in part.read.hosts}
    if {"changed", "would_change"} <= ends.keys():
        what = f"{ends['changed']} is of a run, and {ends['would_change']} of plan or --check"
        raise UsageError(what, fix="merge the shards of one command")
    there = {shard.number for shard, _ in shards}
    if len(there) < len(shards):
        twice = next(shard for number, (shard, _) in enumerate(shards) if shard in [other for other, _ in shards[:number]])
        raise UsageError(f"shard {twice} is there twice", why=", ".join(file for shard, file in shards if shard == twice))
    return [
        {
            "file": "",
            "code": "shard-missing",
            "what": f"shard {number}/{total} is missing",
            "why": "",
            "fix": f"run it with --shard {number}/{total}",
        }
        for total in totals
        for number in range(1, total + 1)
        if number not in there
    ]


def reports(merged: Mapping[str, Any]) -> list[HostReport]:
    """The hosts of a merged document, to be shown to people."""
    return [_report(_Host.model_validate(host)) for host in merged["hosts"]]


def _report(host: _Host) -> HostReport:
    lines = tuple(
        ReportLine(step.resource, step.status, tuple(Change(one.field, one.before, one.after) for one in step.changes), step.risk)
        for step in host.steps
        if step.status in {*EXIT_CODES, "skipped"}
    )
    notes = tuple(Note(note.resource, note.text) for note in host.notes)
    return HostReport(host.host, host.status, lines, notes, _error(host.error), host.execs, logins=host.fresh_logins)


def _error(error: _Error | None) -> NovaopsError | None:
    return NovaopsError(error.what, why=error.why, fix=error.fix) if error else None


def errors(merged: Mapping[str, Any]) -> list[NovaopsError]:
    """What is wrong with whole parts, to be shown to people."""
    found = [(_Error.model_validate(error), error["file"]) for error in merged.get("errors", ())]
    return [NovaopsError(f"{file}: {error.what}" if file else error.what, why=error.why, fix=error.fix) for error, file in found]


def junit(merged: Mapping[str, Any]) -> bytes:
    """JUnit XML: a suite for each host, a case for each resource, and an error for what has none."""
    shown = visible.document(merged)
    root = ET.Element("testsuites", name="novaops")
    for host in shown["hosts"]:
        suite = ET.SubElement(root, "testsuite", name=host["host"])
        for step in host["steps"]:
            _case(suite, host["host"], step["resource"], step["status"], step.get("message") or "")
        if error := host.get("error"):
            _broken(suite, host["host"], words(host["status"]), error)
        _count(suite)
    if wrong := shown.get("errors"):
        suite = ET.SubElement(root, "testsuite", name="novaops")
        for error in wrong:
            _broken(suite, "novaops", error["file"] or error["code"], error)
        _count(suite)
    text = ET.tostring(root, encoding="unicode")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + _NOT_XML.sub("?", text).encode("utf-8", "replace") + b"\n"


def _case(suite: ET.Element, host: str, resource: str, status: str, said: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=host, name=resource)
    if status == "skipped":
        ET.SubElement(case, "skipped")
    elif EXIT_CODES.get(status, 1):
        ET.SubElement(case, "failure", type=status, message=words(status)).text = said


def _broken(suite: ET.Element, host: str, name: str, error: Mapping[str, str]) -> None:
    case = ET.SubElement(suite, "testcase", classname=host, name=name)
    ET.SubElement(case, "error", type=error["code"], message=error["what"]).text = "\n".join(filter(None, map(error.get, ("why", "fix"))))


def _count(suite: ET.Element) -> None:
    suite.set("tests", str(len(suite)))
    for kind in ("failure", "error", "skipped"):
        suite.set(f"{kind}s" if kind != "skipped" else kind, str(len(suite.findall(f"testcase/{kind}"))))
