"""novaops report: what several commands printed, as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Options, verb
from novaops.errors import UsageError

app = typer.Typer(help="Reports of --json.", no_args_is_help=True, rich_markup_mode=None)

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="A document that apply, plan, verify or undo printed with --json.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results there as JUnit XML too.")]


@verb(app)
def merge(options: Options, files: Files, *, junit: Junit = None) -> int:
    """Make one report of several, as of the shards of a command. Exit code: that of the whole."""
    from novaops.cli import output
    from novaops.engine import merge as merging
    from novaops.verify.selection import refuse_unwritable

    if options.limit is not None:
        raise UsageError("--limit does not go with report merge: the report is of all hosts", fix="give --limit to the commands themselves")
    if junit is not None:
        refuse_unwritable(junit)
    known, _ = options.known()
    merged = merging.merge([merging.read(file) for file in files], known.hosts)
    if junit is not None:
        junit.write_bytes(merging.junit(merged))
    if options.json:
        output.document(merged)
    else:
        output.show_merged(merging.reports(merged), merging.errors(merged))
    return int(merged["exit_code"])
