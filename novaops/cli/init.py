"""novaops init: an inventory to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Options, verb


def register(app: typer.Typer) -> None:
    verb(app)(init)


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")]
FromAnsible = Annotated[
    Path | None,
    typer.Option("--from-ansible", metavar="FILE", help="Write the hosts and groups of this inventory of Ansible's (INI, YAML, JSON)."),
]
Schema = Annotated[bool, typer.Option("--schema", help="Print the inventory's JSON Schema instead, for editors.")]


def init(options: Options, folder: Folder = Path(), *, from_ansible: FromAnsible = None, schema: Schema = False) -> int:
    """Write an inventory.yaml, ready to edit: a commented example, or the hosts of an inventory of Ansible's."""
    if schema:
        from novaops.cli import output

        _, playbooks = options.known()
        output.document(playbooks.schema())
        return 0
    from novaops.engine.own_file import shipped
    from novaops.engine.playbooks import Playbooks
    from novaops.errors import UsageError
    from novaops.shell import quote

    file = folder / "inventory.yaml"
    named = quote(str(file))
    notes: tuple[str, ...] = ()
    if from_ansible is None:
        text = shipped("inventory.yaml").read_text("utf-8")
        said = f"{file} is written. Edit it, then: novaops -i {named} plan"
    else:
        from novaops.engine.from_ansible import convert

        made = convert(from_ansible, file, list(Playbooks(folder if file.exists() else None).by_name))
        text, notes = made.text, made.notes
        said = f"{file} is written, with {made.hosts} host{'' if made.hosts == 1 else 's'}. Look at it, then: novaops -i {named} host check"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", fix="it is left as it is; give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already", fix="it is left as it is; give another folder") from None
    except OSError as error:
        raise UsageError(f"cannot write {file}", why=error.strerror or str(error)) from None
    if options.json:
        from novaops.cli import output

        output.document({"hosts": [], "file": str(file), "notes": list(notes), "exit_code": 0})
    else:
        from novaops.cli import output

        for note in notes:
            output.line(f"! {note}")
        output.line(said)
    return 0
