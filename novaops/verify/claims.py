"""Which sections can be verified, and by which file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import novaops
from novaops.engine import own_file
from novaops.errors import NovaopsError, UsageError
from novaops.shell import lines_of

FEATURES = Path(novaops.__file__).parent / "features"


@dataclass(frozen=True)
class Feature:
    """The checks of a section: those that come with novaops, or the user's own."""

    name: str
    file: Path

    @property
    def shipped(self) -> bool:
        return self.file.is_relative_to(FEATURES)

    @cached_property
    def module(self) -> ModuleType:
        """Raises UsageError where the user's own file is no check."""
        if self.shipped:
            return importlib.import_module(f"novaops.features.{self.name}.checks")
        module = own_file.load(self.file, "check", ("entries", "observe"))
        if not any(name.startswith("test_") for name in vars(module)):
            raise UsageError(f"the check {self.file} has no test_… function")
        return module

    def entries(self, settings: Any, folder: Path) -> dict[str, Any]:
        """What of the section is verified, by name, in the order written. `folder` is the inventory's, for those who ask for it.

        Raises UsageError where the user's own file is broken.
        """
        module = self.module
        try:
            wants_folder = "folder" in inspect.signature(module.entries).parameters
            named: Iterable[tuple[str, Any]] = module.entries(settings, **({"folder": folder} if wants_folder else {}))
            return dict(named)
        except NovaopsError:
            raise
        except Exception as error:
            if self.shipped:
                raise
            raise UsageError(f"entries() of the check {self.file} went wrong", why=f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Claim:
    """A test function as the sentence it claims."""

    function: Callable[..., None]

    @property
    def sentence(self) -> str:
        said = inspect.getdoc(self.function) or self.function.__name__.removeprefix("test_").replace("_", " ")
        first = lines_of(said)[0]
        return first[0].lower() + first[1:]

    @property
    def after_reboot(self) -> bool:
        return "rebooted" in inspect.signature(self.function).parameters

    def about(self, entry: Any) -> bool:
        """Whether it is claimed of this entry."""
        when: Callable[[Any], bool] | None = getattr(self.function, "applies", None)
        return when is None or when(entry)


def find(section: str, folder: Path) -> Feature | None:
    """The checks of `section`: the user's own in the inventory's `folder` first. None where nothing verifies it."""
    if not section.isidentifier() or section.startswith("_"):
        return None
    files = (folder / "checks" / f"{section}.py", FEATURES / section / "checks.py")
    return next((Feature(section, file) for file in files if file.is_file()), None)


def known(folder: Path) -> list[str]:
    """Every section that can be verified, with the inventory in `folder`."""
    names = {file.parent.name for file in FEATURES.glob("*/checks.py")} | {file.stem for file in folder.glob("checks/*.py")}
    return sorted(name for name in names if find(name, folder))


Entries = Mapping[Feature, Mapping[str, Any]]
"""What is verified of a host."""
