"""novaops eve install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Flags, GuardedRun, OneHost, Options, verb

if TYPE_CHECKING:
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks

Source = typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: the password of the web user admin.")


class InstallFlags(Flags):
    web_password: Annotated[str | None, Source] = None
    release: Annotated[str | None, typer.Option(metavar="jammy|noble", help="The release of Ubuntu that the host must have.")] = None
    data: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="The disk for the images: auto (the one blank disk), or as in `disk mount`.")
    ] = None
    open: Annotated[list[int] | None, typer.Option("--open", metavar="PORT", help="Open to everybody; may be given several times.")] = None
    kernel: Annotated[str | None, typer.Option(help="eve: boot EVE-NG's own kernel; as-is: stay [default: eve].")] = None
    network: Annotated[str | None, typer.Option(help="pnet0: the card becomes eth0 in the bridge pnet0; as-is [default: pnet0].")] = None
    nested: Annotated[str | None, typer.Option(help="not-required: install where no node can run [default: required].")] = None
    reboot: Annotated[bool | None, typer.Option("--reboot/--no-reboot", help="Whether to boot EVE-NG's kernel now.")] = None
    retry_kernel: Annotated[bool | None, typer.Option("--retry-kernel", help="Boot a kernel again that did not come up.")] = None


class RepositoryFlags(Flags):
    fingerprint: Annotated[str | None, typer.Option(help="Of the repository's signing key.")] = None
    url: Annotated[str | None, typer.Option(help="The repository.")] = None
    suite: Annotated[str | None, typer.Option(help="Its suite.")] = None
    package: Annotated[str | None, typer.Option(help="The package to install.")] = None
    key: Annotated[str | None, typer.Option(metavar="URL", help="Where the signing key is.")] = None


def register(app: typer.Typer) -> None:
    """Add `install`."""
    verb(app)(install)


def install(options: Options, host: OneHost, *, flags: InstallFlags, repository: RepositoryFlags, run: GuardedRun) -> int:
    """Install EVE-NG: no wizard, no password that everybody knows, no open port that was not asked for. It reboots the host once."""
    from novaops.cli.section_verb import converge_hosts

    given: dict[str, Any] = flags.given()
    if of_it := repository.given():
        given["repository"] = of_it

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        return playbooks.desired(known, found, settings={"eve": playbooks.by_name["eve"].section_with(known, found, given)})

    return converge_hosts(options, [host], run.options(), wanted=wanted, section="eve", diff=run.diff)
