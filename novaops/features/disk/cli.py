"""novaops disk: data disks, from idle to mounted and proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Flags, Hosts, OneHost, Options, RollingRun, verb
from novaops.engine.scope import Scope

if TYPE_CHECKING:
    from novaops.cli.section_verb import Desired
    from novaops.features.disk.settings import Disk

app = typer.Typer(help="Data disks: format, mount, fstab, grow.", no_args_is_help=True, rich_markup_mode=None)

MOUNT = Scope("disk", "path", ("mounted", "defined"), default="mounted")
GROW = Scope("disk", "path", ("mounted",), default="mounted")
UNMOUNT = Scope("disk", "path", ("unmounted", "absent"), default="mounted")

Path = Annotated[str | None, typer.Option("--path", help="The mount point; without it each one that the inventory wants mounted.")]
GrowPath = Annotated[str | None, typer.Option("--path", help="The mount point, also /; without it each that the inventory wants mounted.")]
GonePath = Annotated[str | None, typer.Option("--path", help="The mount point; without it each one that the inventory wants gone.")]


@verb(app)
def ls(options: Options, hosts: Hosts = None) -> int:
    """Every disk: size, what is on it, where it is mounted, and which sit idle."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.disk import status as disks

    reports, started = ask_hosts(options, hosts or [], disks.questions(), disks.details)
    return show_rows(options, reports, started, ("DEVICE", "SIZE", "CONTENT", "STATE", "NAME"), disks.rows)


class DiskFlags(Flags):
    device: Annotated[
        str | None, typer.Option(help="auto (the one blank disk), a path, LABEL=…, a serial, or its name in the cloud's console.")
    ] = None
    filesystem: Annotated[str | None, typer.Option(help="ext4, xfs or btrfs [default: ext4].")] = None
    label: Annotated[str | None, typer.Option(help="The file system's label.")] = None
    options: Annotated[str | None, typer.Option("--options", help="Mount options, with commas between them.")] = None
    owner: Annotated[str | None, typer.Option(help="USER or USER:GROUP of the mounted folder.")] = None
    wipe: Annotated[
        str | None, typer.Option(metavar="ID", help="Lose what is on the disk with this identity, as a refusal printed it.")
    ] = None


@verb(app)
def mount(options: Options, host: OneHost, *, path: Path = None, flags: DiskFlags, run: RollingRun) -> int:
    """Format a blank disk, mount it, write fstab, and prove it. A disk that holds anything is never formatted."""
    return _converge(options, host, path, {"state": "mounted", **flags.given()}, run, MOUNT)


@verb(app)
def grow(options: Options, host: OneHost, *, path: GrowPath = None, run: RollingRun) -> int:
    """Let the file system, and each layer beneath it, fill the disk, after the provider made that larger."""
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.desired import DesiredState
    from novaops.features.disk.resources.growth import growths

    if path == "/":  # of which no section says anything: it is no data disk
        return converge_hosts(options, [host], run.options(), wanted=lambda *_: DesiredState(growths([path])), diff=run.diff)

    def growth(_: object, __: object, settings: list[Disk]) -> DesiredState:
        return DesiredState(growths(disk.path for disk in settings))

    return _converge(options, host, path, {}, run, GROW, growth)


@verb(app)
def unmount(options: Options, host: OneHost, *, path: GonePath = None, run: RollingRun) -> int:
    """Unmount, and take the line out of fstab. The data stays on the disk, untouched."""
    return _converge(options, host, path, {"state": "absent"}, run, UNMOUNT)


def _converge(
    options: Options, host: str, path: str | None, flags: dict[str, Any], run: RollingRun, scope: Scope, desired: Desired | None = None
) -> int:
    from novaops.cli.section_verb import converge_entries

    return converge_entries(options, [host], run, scope, path, flags, desired)
