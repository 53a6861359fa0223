"""`novaops lab`: throwaway hosts on this machine, to rehearse on."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import Options, verb

app = typer.Typer(help="Throwaway hosts on this machine, to rehearse on.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The host's name in the lab.")]


@verb(app)
def up(  # noqa: PLR0913 - each is an option
    options: Options,
    *,
    kind: Annotated[str | None, typer.Option(help="vm, or container (needs root) [default: vm; container with --count].")] = None,
    name: Annotated[str, typer.Option(help="What it is called, in lab.yaml too.")] = "lab",
    release: Annotated[str, typer.Option(help="Debian's release: bookworm or trixie.")] = "bookworm",
    disk: Annotated[
        list[str] | None, typer.Option(metavar="SIZE[,serial=S][,bus=B][,ro]", help="A blank disk (VM); bus is virtio, scsi or nvme.")
    ] = None,
    nested: Annotated[bool, typer.Option("--nested/--no-nested", help="Let the VM run VMs itself.")] = False,
    cloud: Annotated[str | None, typer.Option(help="Look like a host of google, alibaba or oracle (VM).")] = None,
    memory: Annotated[int, typer.Option(min=256, metavar="MIB", help="Its memory (VM).")] = 512,
    count: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="A fleet: N hosts in lab.yaml, all of them ports of one container.")
    ] = None,
) -> int:
    """Make a host, or start the one of that name; it is in lab.yaml and trusted when this ends."""
    from novaops.cli import output
    from novaops.lab.disk import parse_disk
    from novaops.lab.lab import Lab
    from novaops.lab.recipe import kind_named

    lab = Lab()
    disks = tuple(parse_disk(text) for text in disk or [])
    with output.progress([name]) as tell:
        host = lab.up(
            name,
            kind_named(kind or ("container" if count else "vm")),
            release,
            disks,
            nested=nested,
            cloud=cloud,
            memory_mb=memory,
            count=count or 0,
            on_progress=lambda doing: tell(name, doing),
        )
    if options.json:
        output.document({**host.as_json(), "exit_code": 0})
    else:
        output.line(f"{name}: {host.kind} at {host.address} port {host.port}; log in with: novaops lab ssh {name}")
        output.line(
            f"{lab.inventory.name} leads to {f'its {count} ports' if count else 'it'}: novaops host facts {name} -i {lab.inventory.name}"
        )
    return 0


@verb(app)
def ls(options: Options) -> int:
    """The lab's hosts."""
    from novaops.cli import output
    from novaops.lab.lab import Lab

    hosts = [host.as_json() for host in Lab().hosts()]
    if options.json:
        output.document({"hosts": hosts, "exit_code": 0})
    else:
        columns = ("name", "kind", "release", "address", "port", "state", "disks")
        output.table(columns, [[str(host[column]) for column in columns] for host in hosts])
    return 0


@verb(app)
def reset(options: Options, name: Name) -> int:
    """Put a host back to what it was right after it was made."""
    from novaops.cli import output
    from novaops.lab.lab import Lab

    with output.progress([name]) as tell:
        host = Lab().reset(name, on_progress=lambda doing: tell(name, doing))
    if options.json:
        output.document({**host.as_json(), "exit_code": 0})
    else:
        output.line(f"{name}: pristine again")
    return 0


@verb(app)
def ssh(
    options: Options,
    name: Name,
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="Run this there instead of a shell.")] = None,
    user: Annotated[str, typer.Option(help="root, nova, operator or plain.")] = "root",
) -> int:
    """Log in to a host, or run a command there."""
    import os

    from novaops.lab.lab import Lab

    del options
    words = Lab().host(name).ssh_command(*(command or []), user=user)
    os.execv(words[0], words)  # noqa: S606 - the ssh client takes this process's place, terminal and all


@verb(app)
def down(
    options: Options, name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this one; without it, all.")] = None
) -> int:
    """Take a host, or the whole lab, away: processes, disks, network, lab.yaml."""
    from novaops.cli import output
    from novaops.lab.lab import Lab

    notes: list[str] = []
    gone = Lab().down(name, notes.append)
    if options.json:
        output.document({"down": gone, "notes": notes, "exit_code": 0})
    else:
        output.line(f"down: {', '.join(gone) or 'nothing was up'}")
        for note in notes:
            output.line(note)
    return 0
