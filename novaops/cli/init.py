"""novaops init: an inventory to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Options, verb


def register(app: typer.Typer) -> None:
    verb(app)(init)


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")]
Schema = Annotated[bool, typer.Option("--schema", help="Print the inventory's JSON Schema instead, for editors.")]


def init(options: Options, folder: Folder = Path(), *, schema: Schema = False) -> int:
    """Write a commented inventory.yaml, ready to edit."""
    if schema:
        from novaops.cli import output

        _, playbooks = options.known()
        output.document(playbooks.schema())
        return 0
    from novaops.engine.playbooks import shipped
    from novaops.errors import UsageError

    file = folder / "inventory.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(shipped("inventory.yaml").read_text("utf-8"))
    except FileExistsError:
        raise UsageError(f"{file} is there already", fix="it is left as it is; give another folder") from None
    except OSError as error:
        raise UsageError(f"cannot write {file}", why=error.strerror or str(error)) from None
    if options.json:
        from novaops.cli import output

        output.document({"hosts": [], "file": str(file), "exit_code": 0})
    else:
        typer.echo(f"{file} is written. Edit it, then: novaops -i {file} plan")
    return 0
