"""Python files of the user's own beside the inventory, loaded by path: playbooks and checks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from novaops.errors import NovaopsError, UsageError


def load(file: Path, kind: str, needed: Iterable[str]) -> ModuleType:
    """The module in `file`, a playbook or a check as `kind` says. Raises UsageError where it cannot be loaded or lacks a name."""
    spec = importlib.util.spec_from_file_location(f"novaops_{kind}_{file.stem}", file)
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
    for name in needed:
        if not hasattr(module, name):
            raise UsageError(f"the {kind} {file} has no {name}")
    return module
