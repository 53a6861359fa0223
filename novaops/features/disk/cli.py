"""novaops disk: data disks, from idle to mounted and proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Check, Diff, Hosts, NoWait, OneHost, Options, verb

if TYPE_CHECKING:
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks

app = typer.Typer(help="Data disks: format, mount, fstab, grow.", no_args_is_help=True, rich_markup_mode=None)

Path = Annotated[str | None, typer.Option("--path", help="The mount point; without it every entry of the host's disk: section.")]
NeededPath = Annotated[str | None, typer.Option("--path", help="The mount point; not needed when the inventory has just one.")]


@verb(app)
def ls(options: Options, hosts: Hosts = None) -> int:
    """Every disk: size, what is on it, where it is mounted, and which sit idle."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.disk import status as disks

    reports, started = ask_hosts(options, hosts or [], disks.questions(), disks.details)
    return show_rows(options, reports, started, ("DEVICE", "SIZE", "CONTENT", "STATE", "NAME"), disks.rows)


@verb(app)
def mount(  # noqa: PLR0913 - one option for each key of the section
    options: Options,
    host: OneHost,
    *,
    path: Path = None,
    device: Annotated[str | None, typer.Option(help="auto (the one blank disk), a path, UUID=…, a serial or by-id name.")] = None,
    filesystem: Annotated[str | None, typer.Option(help="ext4, xfs or btrfs [default: ext4].")] = None,
    label: Annotated[str | None, typer.Option(help="The file system's label.")] = None,
    mount_options: Annotated[str | None, typer.Option("--options", help="Mount options, with commas between them.")] = None,
    owner: Annotated[str | None, typer.Option(help="USER or USER:GROUP of the mounted folder.")] = None,
    wipe: Annotated[
        str | None, typer.Option(metavar="ID", help="Lose what is on the disk with this identity, as a refusal printed it.")
    ] = None,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
) -> int:
    """Format a blank disk, mount it, write fstab, and prove it. A disk that holds anything is never formatted."""
    flags = {
        "device": device,
        "filesystem": filesystem,
        "label": label,
        "options": mount_options,
        "owner": owner,
        "wipe": wipe,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    return _converge(options, host, path, {"state": "mounted", **given}, check=check, diff=diff, no_wait=no_wait)


@verb(app)
def grow(options: Options, host: OneHost, *, path: NeededPath = None, check: Check = False, no_wait: NoWait = False) -> int:
    """Let the file system fill its disk, after the provider made the disk larger."""
    return _converge(options, host, path, {"state": "mounted"}, check=check, diff=False, no_wait=no_wait, growth=True)


@verb(app)
def unmount(
    options: Options, host: OneHost, *, path: NeededPath = None, check: Check = False, diff: Diff = False, no_wait: NoWait = False
) -> int:
    """Unmount, and take the line out of fstab. The data stays on the disk, untouched."""
    return _converge(options, host, path, {"state": "absent"}, check=check, diff=diff, no_wait=no_wait)


def _converge(
    options: Options, host: str, path: str | None, flags: dict[str, Any], *, check: bool, diff: bool, no_wait: bool, growth: bool = False
) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        settings = playbooks.by_name["disk"].overridden(known, found, "path", path, flags)
        if growth:
            from novaops.engine.desired import DesiredState
            from novaops.features.disk.resources.growth import Growth

            return DesiredState([Growth(disk.path) for disk in settings])
        return playbooks.desired(known, found, settings={"disk": settings})

    return converge_hosts(options, [host], RunOptions(check, not no_wait), wanted=wanted, section="disk", diff=diff)
