"""novaops api files: files at a provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Options, verb
from novaops.features.api.access import ApiFlags

app = typer.Typer(
    help="Files at a provider: for its knowledge bases, for fine-tuning, for batches.", no_args_is_help=True, rich_markup_mode=None
)

Paths = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="json, jsonl, txt, md, pdf, docx; what the provider takes for the purpose.")
]


@verb(app, begins_runs=False)
def ls(options: Options, *, api: ApiFlags) -> int:
    """The files that the provider keeps for this key."""
    from novaops.features.api.cli_shared import reached, show
    from novaops.features.api.remote import stores
    from novaops.formats.size import human

    with reached(options, api) as http:
        found = stores.files(http)[0].list()
        rows = [(file.id, file.name, human(file.size) if file.size else "", file.purpose, file.said or file.state) for file in found]
        return show(options, "files", found, ("ID", "NAME", "SIZE", "PURPOSE", "STATE"), rows, provider=http.name)


@verb(app, begins_runs=False)
def add(
    options: Options,
    files: Paths,
    *,
    api: ApiFlags,
    purpose: Annotated[str, typer.Option(help="knowledge, fine-tune, batch, …: what the files are for.")] = "knowledge",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the provider is done with them.")] = False,
) -> int:
    """Check files, send them, and wait until the provider is done with them. One that is there already is not sent again."""
    from novaops.cli import output
    from novaops.features.api.cli_shared import interrupted, reached, sending
    from novaops.features.api.remote.adding import AddedFile, add_file, check_files

    done: list[AddedFile] = []
    try:
        with reached(options, api) as http:
            check_files(http, files, purpose)
            for path in files:
                with sending(path.name) as sent:
                    added = add_file(http, path, purpose, tell=output.complain, sent=sent, wait=not no_wait)
                done.append(added)
                if not options.json:
                    glyph = "~" if added.status == "changed" else "✓"
                    output.line(f"{glyph} {path.name}  {added.status}  {added.file.id}  {added.file.said or added.file.state}")
    except KeyboardInterrupt:
        return interrupted("The same command goes on: what was sent whole is not sent again.")
    if options.json:
        listed = [{"status": each.status, **vars(each.file)} for each in done]
        output.document({"provider": http.name, "files": listed, "exit_code": 0})
    return 0


@verb(app, begins_runs=False)
def rm(
    options: Options, ids: Annotated[list[str], typer.Argument(metavar="ID", help="As api files ls shows them.")], *, api: ApiFlags
) -> int:
    """Delete files at the provider."""
    from novaops.cli import output
    from novaops.features.api.cli_shared import reached
    from novaops.features.api.remote import stores

    with reached(options, api) as http:
        store = stores.files(http)[0]
        for number in ids:
            store.remove(number)
            if not options.json:
                output.line(f"~ {number}  changed  deleted")
    if options.json:
        output.document({"provider": http.name, "deleted": ids, "exit_code": 0})
    return 0
