"""Files of the user's own beside the inventory: playbooks, checks, templates, providers.

Some of them are code, and the others say where secrets go. So they count only where nobody else can write them.
"""

from __future__ import annotations

import grp
import importlib.machinery
import importlib.util
import os
import pwd
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, ModuleType

from novaops.errors import NovaopsError, UsageError

_PACKAGE = Path(__file__).parents[1]

KINDS = ("playbooks", "templates", "providers", "checks")
"""The folders beside an inventory that are looked into."""


class _FromSource(importlib.machinery.SourceFileLoader):
    """Without __pycache__: what lies there would run in the place of the file that was looked at."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the form that import wants
        return self.source_to_code(self.get_data(self.path), self.path)


def load(file: Path, kind: str, needed: Iterable[str]) -> ModuleType:
    """The module in `file`, a playbook or a check as `kind` says. Raises UsageError where it cannot be loaded or lacks a name."""
    name = f"novaops_{kind}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_FromSource(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic and dataclasses look up the types of a class in its module
    try:
        spec.loader.exec_module(module)
    except NovaopsError:
        raise
    except Exception as error:
        raise UsageError(f"the {kind} {file} cannot be loaded", why=f"{type(error).__name__}: {error}") from error
    for wanted in needed:
        if not hasattr(module, wanted):
            raise UsageError(f"the {kind} {file} has no {wanted}")
    return module


def shipped(kind: str) -> Path:
    """The folder of that name that comes with novaops: inside the wheel, or beside the package in a checkout."""
    inside = _PACKAGE / "shipped" / kind
    return inside if inside.exists() else _PACKAGE.parent / kind


def overriding(folder: Path) -> list[Path]:
    """The files beside an inventory in `folder` that take the place of one that comes with novaops.

    Raises UsageError where somebody else can write one of the folders that are looked into, or a file in them.
    """
    return [file for kind in KINDS for file in _own(folder, kind) if _counterpart(kind, file.relative_to(folder / kind)).is_file()]


def _own(folder: Path, kind: str) -> Iterator[Path]:
    top = folder / kind
    if not top.is_dir() or top.resolve() in {shipped(kind).resolve(), (_PACKAGE / kind).resolve()}:
        return
    refuse_of_others(top, f"the {kind} beside the inventory")
    seen = {top.resolve()}
    for place, folders, files in os.walk(top, onerror=_unreadable, followlinks=True):
        below = {Path(place, name).resolve(): name for name in folders if name != "__pycache__"}
        folders[:] = sorted(below[real] for real in below.keys() - seen)
        seen |= below.keys()
        for name in (*folders, *sorted(files)):
            refuse_of_others(Path(place, name), f"a file of the {kind} beside the inventory")
        yield from (Path(place, name) for name in sorted(files))


def _unreadable(error: OSError) -> None:
    raise UsageError(f"cannot read {error.filename}", why=error.strerror or str(error)) from None


def _counterpart(kind: str, file: Path) -> Path:
    """Where novaops has a file of that name for the same purpose."""
    if kind == "checks":
        return _PACKAGE / "features" / file.stem / "checks.py"
    return (_PACKAGE / kind if kind == "providers" else shipped(kind)) / file


def refuse_of_others(path: Path, what: str) -> None:
    """Raises UsageError where anybody but root and this user can change what stands at `path`, or put something else there.

    That is said of each folder above it too, also of those that a symbolic link leads to. A sticky folder such as /tmp may be above it:
    what is in there is renamed by its owner alone.
    """
    real = path.resolve()
    for place in dict.fromkeys((*reversed((path.absolute(), *path.absolute().parents)), *reversed((real, *real.parents)))):
        try:
            found = place.lstat()
        except FileNotFoundError:
            return  # a link that leads nowhere
        except OSError as error:
            raise UsageError(f"cannot read {place}", why=error.strerror or str(error)) from None
        if found.st_uid not in {0, os.geteuid()}:
            raise _refusal(what, path, place, f"is {_owner(found.st_uid)}'s", "chown", _owner(os.geteuid()))
        above = place not in {path.absolute(), real}
        if stat.S_ISLNK(found.st_mode) or (above and found.st_mode & stat.S_ISVTX):
            continue
        if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _private(found.st_gid)):
            raise _refusal(what, path, place, f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})", "chmod", "go-w")


def _private(gid: int) -> bool:
    """Whether a group is this user's alone, as Ubuntu makes one for each user and lets its umask give it write access."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    others = (account.pw_name for account in pwd.getpwall() if account.pw_gid == gid and account.pw_uid != user.pw_uid)
    return (user.pw_gid, user.pw_name) == (gid, group.gr_name) and not {*group.gr_mem, *others} - {user.pw_name}


def _refusal(what: str, path: Path, place: Path, wrong: str, *fix: str) -> UsageError:
    why = f"{place} {wrong}. What stands there runs, or gets your secrets."
    return UsageError(f"{what} is not trusted: {path}", why=why, fix=f"look at it, then: {shlex.join((*fix, str(place)))}")


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
