"""novaops eve lab: up, down, status, connect, validate."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Check, Options, verb
from novaops.features.eve.web_login import WebLogin, one_host

if TYPE_CHECKING:
    from novaops.engine.report import HostReport
    from novaops.features.eve.lab_run import LabRun
    from novaops.features.eve.topology import Topology

DEFAULT_FILE = Path("topology.yml")

lab = typer.Typer(help="Labs of routers on EVE-NG: up, status, connect, validate, down.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The lab: nodes and links.")]
OnHost = Annotated[
    str | None,
    typer.Option("--host", metavar="HOST", help="Where EVE-NG is [default: host: in the file, else that with a section eve]."),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds that the nodes may take until their consoles answer.")]
Keep = Annotated[bool, typer.Option("--keep", help="Only stop the nodes: the lab stays, with what is on their disks.")]


def register(app: typer.Typer) -> None:
    """Add the group `lab`."""
    app.add_typer(lab, name="lab")


@verb(lab)
def up(options: Options, file: File = DEFAULT_FILE, *, host: OnHost = None, wait: Wait = 300.0, check: Check = False, web: WebLogin) -> int:
    """Make the lab that the file describes, start its nodes, and wait until each of them answers."""
    return _on_lab(options, file, host, web, lambda run: run.up(check=check), wait, changing=not check)


@verb(lab)
def down(
    options: Options, file: File = DEFAULT_FILE, *, host: OnHost = None, keep: Keep = False, check: Check = False, web: WebLogin
) -> int:
    """Stop the nodes and delete the lab, with what is on their disks. A lab or node that is not of the file stays."""
    return _on_lab(options, file, host, web, lambda run: run.down(check=check, keep=keep), changing=not check)


@verb(lab)
def validate(options: Options, file: File = DEFAULT_FILE, *, host: OnHost = None, web: WebLogin) -> int:
    """Does every node answer, and does every line of validate: hold? Exit 1 where not."""
    return _on_lab(options, file, host, web, lambda run: run.validate())


@verb(lab)
def status(options: Options, file: File = DEFAULT_FILE, *, host: OnHost = None, web: WebLogin) -> int:
    """Each node of the file: whether it runs, and its console. Exit 1 where one does not run."""
    from dataclasses import replace

    from novaops.cli import output
    from novaops.cli.query import show_rows
    from novaops.engine.report import typed
    from novaops.features.eve import lab_status

    started = time.monotonic()
    reports = [_report(options, file, host, web, lambda run: run.details.update(lab_status.details(run.topology, run.found())))]
    judged = [replace(one, status="failed") if not one.error and not lab_status.is_up(one.details) else one for one in reports]
    code = show_rows(options, judged, started, lab_status.HEADERS, lab_status.rows)
    if not options.json and not judged[0].error:
        output.line(typed(lab_status.advice(judged[0].details, _said(file, host)), options.to_type()))
    return code


@verb(lab)
def connect(
    options: Options,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node of the lab.")],
    file: File = DEFAULT_FILE,
    *,
    host: OnHost = None,
    web: WebLogin,
) -> int:
    """Join this terminal and the console of a node, until Ctrl-]."""
    from novaops.cli import output
    from novaops.engine.report import typed_error
    from novaops.features.eve import console

    def work(run: LabRun) -> None:
        port = run.console_port(node)
        output.complain(f"{node}: Ctrl-] ends this.")
        console.attach(run.session, port)

    report = _report(options, file, host, web, work, quiet=True)
    if report.error:
        typed_error(report.error, options.to_type(), report.host)
        raise report.error
    return 0


def _read(file: Path) -> Topology:
    """Raises UsageError."""
    from novaops.errors import UsageError
    from novaops.features.eve import topology

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "It is not UTF-8."
        raise UsageError(
            f"the lab cannot be read: {file}", why=why or "", fix="name the file of the lab; docs/eve.md has an example"
        ) from None
    return topology.parse(text, str(file))


def _on_lab(
    options: Options,
    file: Path,
    word: str | None,
    web: WebLogin,
    work: Callable[[LabRun], None],
    wait: float = 0,
    *,
    changing: bool = False,
) -> int:
    """Do that to the lab, and show how it went."""
    from novaops.cli import output

    started = time.monotonic()
    report = _report(options, file, word, web, work, wait)
    return output.show(options, options.noted([report]), started, changing=changing)


def _report(
    options: Options,
    file: Path,
    word: str | None,
    web: WebLogin,
    work: Callable[[LabRun], None],
    wait: float = 0,
    *,
    quiet: bool = False,
) -> HostReport:
    from novaops.cli import output
    from novaops.engine.query import silent
    from novaops.features.eve.lab_session import run_lab

    topology, said = _read(file), _said(file, word)
    host, target = one_host(options, word or topology.host)
    access = web.access(host)
    if quiet:
        return run_lab(target, access, topology, work, silent, output.complain, said=said)
    with output.progress([host.name]) as tell:
        return run_lab(target, access, topology, work, tell, lambda text: tell(host.name, text), wait, said)


def _said(file: Path, word: str | None) -> str:
    """See LabRun."""
    from novaops.shell import quote

    return "".join(f" {one}" for one in (file != DEFAULT_FILE and quote(str(file)), word and f"--host {quote(word)}") if one)
