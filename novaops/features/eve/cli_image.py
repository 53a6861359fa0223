"""novaops eve image: add, ls, rm."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Check, Group, Hosts, Options, SingleHost, verb
from novaops.features.eve.web_login import WebLogin, one_host

_PATIENCE = 300.0
"""Seconds that a node of an image may take until its console answers."""

image = typer.Typer(help="Images of routers and switches on EVE-NG: add, ls, rm.", no_args_is_help=True, rich_markup_mode=None)


class NameFlags(Group):
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="EVE-NG's template: vyos, vios, linux, … [default: as the file's name begins].")
    ] = None
    version: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What follows it in the image's name [default: as in the file's].")
    ] = None
    disk: Annotated[
        list[str] | None, typer.Option("--disk", metavar="NAME", help="The name of a disk, such as virtioa, one for each file in turn.")
    ] = None


def register(app: typer.Typer) -> None:
    """Add the group `image`."""
    app.add_typer(image, name="image")


@verb(image)
def add(
    options: Options,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="qcow2, vmdk, vhd, ova, raw or iso; a directory of them; .bin, .image, iourc.")
    ],
    host: SingleHost,
    *,
    name: NameFlags,
    start: Annotated[
        bool, typer.Option("--start", help="Also prove that a node of it starts and answers, in a lab that is gone after it.")
    ] = False,
    wait: Annotated[
        float | None, typer.Option(min=0, help=f"With --start: seconds until the node's console answers [default: {_PATIENCE:g}].")
    ] = None,
    check: Check = False,
    web: WebLogin,
) -> int:
    """Put an image where EVE-NG finds it, under the names that it wants, and prove that it does. What was cut goes on where it was."""
    from novaops.cli import output
    from novaops.engine.query import with_session
    from novaops.errors import UsageError
    from novaops.features.eve.image_add import ImageAdd
    from novaops.features.eve.image_names import Said
    from novaops.features.eve.image_source import ImageSource

    if wait is not None and not start:
        raise UsageError("--wait goes with --start")
    patience = _PATIENCE if wait is None else wait
    started = time.monotonic()
    found, target = one_host(options, host)
    access = web.access(found)
    step = 1 if output.colourful(sys.stderr) else 10
    with output.progress([found.name]) as progress:

        def tell(text: str) -> None:
            progress(found.name, text)

        with ImageSource(files, Said(name.template, name.version, tuple(name.disk or ())), tell) as source:
            prepared = source.look()
            report = with_session(
                target,
                progress,
                lambda session: ImageAdd(session, access, source, prepared, tell, check=check, start=start, wait=patience, step=step).run(),
            )
    return output.show(options, options.noted([report]), started, changing=not check)


@verb(image)
def ls(options: Options, hosts: Hosts = None) -> int:
    """The images of a host, and why nodes of one would not start: names, owners, modes."""
    from novaops.cli import output
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.eve import image_status
    from novaops.features.eve.facts.images import ImagesThere

    reports, started = ask_hosts(options, hosts or [], [ImagesThere()], image_status.details, section="eve")
    code = show_rows(options, reports, started, image_status.HEADERS, image_status.rows)
    if not options.json:
        for one in reports:
            if not one.error:
                output.line(f"{one.host}: {image_status.summary(one.details)}")
    return code


@verb(image)
def rm(
    options: Options,
    name: Annotated[str, typer.Argument(metavar="IMAGE", help="As `image ls` shows it.")],
    host: SingleHost,
    *,
    check: Check = False,
) -> int:
    """Delete an image. Refused while a lab names it."""
    from novaops.cli import output
    from novaops.engine.query import with_session
    from novaops.features.eve import image_remove

    started = time.monotonic()
    image_remove.kind_of(name)
    found, target = one_host(options, host)
    with output.progress([found.name]) as tell:
        report = with_session(target, tell, lambda session: image_remove.remove(session, name, check=check))
    return output.show(options, options.noted([report]), started, changing=not check)
