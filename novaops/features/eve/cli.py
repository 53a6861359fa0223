"""novaops eve: EVE-NG, from the question whether a host can run it to a lab that answers. `check` and `status` are here."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import Hosts, Options, verb
from novaops.features.eve import cli_image, cli_install, cli_lab
from novaops.features.eve.web_login import WebLogin

app = typer.Typer(help="EVE-NG: check, install, status, images, labs.", no_args_is_help=True, rich_markup_mode=None)


@verb(app)
def check(
    options: Options,
    hosts: Hosts = None,
    *,
    nodes: Annotated[int | None, typer.Option(min=1, help="How many nodes are to run at once.")] = None,
    image_class: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="Of which class: host, router, switch, large-router, firewall, datacenter."),
    ] = None,
    months: Annotated[int | None, typer.Option(min=1, help="What it costs for so many months of 30 days.")] = None,
    credit: Annotated[float | None, typer.Option(min=0, metavar="USD", help="And whether this credit is enough.")] = None,
    licensed: Annotated[bool, typer.Option("--licensed", help="There is, or will be, a licence of EVE-NG's.")] = False,
) -> int:
    """Can a host run EVE-NG and its nodes, how many, at what price, and what is to change at its provider? Exit 1 where it cannot."""
    from novaops.cli import output
    from novaops.cli.query import on_hosts, show_rows
    from novaops.features.eve.candidate import Wish
    from novaops.features.eve.check import advice_lines, check_host
    from novaops.features.eve.sizing import class_named
    from novaops.model import finding

    wish = Wish(class_named(image_class), nodes, months, credit, licensed)
    reports, started = on_hosts(options, hosts or [], lambda target: check_host(target, wish), section="eve")
    code = show_rows(options, reports, started, finding.HEADERS, finding.rows)
    if not options.json:
        for lines in dict.fromkeys(advice_lines(report.details) for report in reports):
            for line in lines:
                output.line(line)
    return code


@verb(app)
def status(options: Options, hosts: Hosts = None, *, web: WebLogin) -> int:
    """What EVE-NG is there, and whether it works: services, images, nodes, default passwords. Exit 1 where something is wrong."""
    from novaops.cli import output
    from novaops.cli.query import on_hosts, show_rows
    from novaops.features.eve.status_session import status_host
    from novaops.model import finding

    known, _ = options.known()
    access = {host.name: web.known_access(host) for host in known.find(hosts or [], "eve")}
    reports, started = on_hosts(
        options, hosts or [], lambda target: status_host(target, access[target.name], web.web_port, output.complain), section="eve"
    )
    return show_rows(options, reports, started, finding.HEADERS, finding.rows)


for module in (cli_install, cli_image, cli_lab):
    module.register(app)
