"""Which sections can be verified, and by which file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import novaops

FEATURES = Path(novaops.__file__).parent / "features"


@dataclass(frozen=True)
class Feature:
    """The checks of a section."""

    name: str
    file: Path

    @cached_property
    def module(self) -> ModuleType:
        return importlib.import_module(f"novaops.features.{self.name}.checks")

    def entries(self, settings: Any, folder: Path) -> dict[str, Any]:
        """What of the section is verified, by name, in the order written. `folder` is the inventory's, for who asks for it."""
        wants_folder = "folder" in inspect.signature(self.module.entries).parameters
        named: Iterable[tuple[str, Any]] = self.module.entries(settings, **({"folder": folder} if wants_folder else {}))
        return dict(named)


@dataclass(frozen=True)
class Claim:
    """A test function as the sentence it claims."""

    function: Callable[..., None]

    @property
    def sentence(self) -> str:
        said = inspect.getdoc(self.function) or self.function.__name__.removeprefix("test_").replace("_", " ")
        first = said.splitlines()[0]
        return first[0].lower() + first[1:]

    @property
    def after_reboot(self) -> bool:
        return "rebooted" in inspect.signature(self.function).parameters

    def about(self, entry: Any) -> bool:
        """Whether it is claimed of this entry."""
        when: Callable[[Any], bool] | None = getattr(self.function, "applies", None)
        return when is None or when(entry)


def find(section: str) -> Feature | None:
    """The feature that verifies `section`; None for one that nothing verifies."""
    file = FEATURES / section / "checks.py"
    return Feature(section, file) if section.isidentifier() and not section.startswith("_") and file.is_file() else None


def known() -> Iterator[str]:
    """Every section that can be verified."""
    yield from sorted(file.parent.name for file in FEATURES.glob("*/checks.py"))


Entries = Mapping[Feature, Mapping[str, Any]]
"""What is verified of a host."""
