"""The files and the commands that a page of docs/ shows, so that tests can run what people read."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Shown:
    """A command of the page, and what it is shown to print."""

    words: tuple[str, ...]
    output: str
    code: int


def files(page: str) -> Mapping[str, str]:
    """Every block that has a file's name above it, by that name."""
    return dict(re.findall(r"^`([^`\n]+)`\n\n```\w+\n(.*?)^```$", _text(page), re.MULTILINE | re.DOTALL))


def write_files(page: str, folder: Path) -> None:
    for name, text in files(page).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def load(file: Path) -> ModuleType:
    """A file as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"page_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(page: str) -> Sequence[Shown]:
    """The commands of every console block, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```$", _text(page), re.MULTILINE | re.DOTALL)
    return [_shown(part) for block in blocks for part in block.split("$ ")[1:]]


def comparable(output: str) -> str:
    """The output without what is different each time: seconds, ids of runs, blanks at the end of a line."""
    for pattern, same in ((r"\d+\.\d s\)", "1.0 s)"), (r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN"), (r" +$", "")):
        output = re.sub(pattern, same, output, flags=re.MULTILINE)
    return output


def _shown(part: str) -> Shown:
    command, _, output = part.partition("\n")
    code = re.search(r"^\(exit code (\d)\)\n\Z", output, re.MULTILINE)
    return Shown(tuple(command.split()), output[: code.start()] if code else output, int(code[1]) if code else 0)


def _text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")
