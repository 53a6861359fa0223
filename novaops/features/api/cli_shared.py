"""What the verbs about files and knowledge bases share: a progress bar, where vectors come from, one table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from novaops.cli.options import Options
from novaops.features.api.access import ApiFlags

if TYPE_CHECKING:
    from novaops.features.api.llm.http import Http
    from novaops.features.api.remote.embeddings import Embeddings


@contextmanager
def reached(options: Options, flags: ApiFlags) -> Iterator[Http]:
    """The API that the flags and the inventory name. See `access.opened`."""
    from novaops.cli import output
    from novaops.features.api.access import choose, opened

    with opened(choose(options, flags), options.timeout, output.complain) as http:
        yield http


@contextmanager
def embedder_of(options: Options, setting: str, flags: ApiFlags) -> Iterator[Embeddings | None]:
    """The model of PROVIDER/MODEL, asked as the flags say where they are about that provider; None where the setting is empty."""
    if not setting:
        yield None
        return
    from novaops.features.api.remote.embeddings import Embeddings

    provider, _, model = setting.partition("/")
    with reached(options, flags.about(provider)) as http:
        yield Embeddings(http, model)


@contextmanager
def sending(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one file, on stderr, where that is a terminal."""
    from novaops.cli import output

    if not output.colourful(sys.stderr):
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from novaops.formats import visible

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(visible.line(name), total=None)
        yield lambda sent, total: bars.update(task, completed=sent, total=total)


def show(options: Options, key: str, found: Sequence[Any], columns: Sequence[str], rows: Sequence[Sequence[str]], **more: Any) -> int:
    """A list of dataclasses, as a table or as the one document."""
    from novaops.cli import output

    if options.json:
        output.document({**more, key: [asdict(each) for each in found], "exit_code": 0})
    elif rows:
        output.table(columns, rows)
    else:
        output.complain(f"There are no {key}.")
    return 0


def interrupted(said: str) -> int:
    from novaops.cli import output

    output.complain("")
    output.complain(f"Interrupted. {said}")
    return 130
