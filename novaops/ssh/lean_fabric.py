"""Fabric, loaded without what only its tasks and tests need: a sixth of the modules of a check."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def lean_fabric() -> Iterator[None]:
    """Imports in the block load Fabric without unittest.mock (and asyncio with it), and without a YAML parser of invoke's own.

    invoke has a context for tests made of mocks, which nobody here makes; and where it brings no parser, it takes PyYAML.
    """
    import yaml

    sys.modules.setdefault("invoke.vendor.yaml", yaml)
    stand_in = ModuleType("unittest.mock")
    stand_in.Mock = object  # type: ignore[attr-defined]
    used = sys.modules.setdefault(stand_in.__name__, stand_in)
    try:
        yield
    finally:
        if used is stand_in:
            del sys.modules[stand_in.__name__]
