"""novaops host: list the hosts, show what they are, trust their keys."""

from __future__ import annotations

from typing import Annotated

import typer

from novaops.cli.options import Check, Hosts, Options, verb

app = typer.Typer(help="Hosts: list, look at, trust.", no_args_is_help=True, rich_markup_mode=None)


@verb(app)
def ls(options: Options, hosts: Hosts = None) -> int:
    """The hosts of the inventory and their sections. Contacts nothing."""
    from novaops.cli import output

    known, _ = options.known()
    found = known.find(hosts or [])
    if options.json:
        listed = [
            {
                "host": host.name,
                "address": host.address,
                "port": host.port or host.access.port,
                "user": host.access.user,
                "groups": sorted(host.groups),
                "sections": list(host.sections),
            }
            for host in found
        ]
        output.document({"hosts": listed, "exit_code": 0})
        return 0
    rows = [
        (
            *(host.name, host.address, str(host.port or host.access.port or ""), host.access.user or ""),
            *(" ".join(sorted(host.groups)), " ".join(host.sections)),
        )
        for host in found
    ]
    output.table(("HOST", "ADDRESS", "PORT", "USER", "GROUPS", "SECTIONS"), rows)
    return 0


@verb(app)
def facts(options: Options, hosts: Hosts = None) -> int:
    """What a host says of itself: system, cloud, processors, memory, disks."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.host import status

    reports, started = ask_hosts(options, hosts or [], status.questions(), status.facts_details)
    return show_rows(options, reports, started, ("FACT", "VALUE"), status.facts_rows)


@verb(app)
def check(options: Options, hosts: Hosts = None) -> int:
    """What works on a host, what will not, and why: system, sudo, tools, idle disks, nested virtualization."""
    from novaops.cli.query import on_hosts, show_rows
    from novaops.engine.query import silent
    from novaops.features.host.check import check_host
    from novaops.model import finding

    reports, started = on_hosts(options, hosts or [], lambda target: check_host(target, silent))
    code = show_rows(options, reports, started, finding.HEADERS, finding.rows)
    return code or int(any(finding.has_problem(report.details) for report in reports))


@verb(app)
def trust(
    options: Options,
    hosts: Hosts = None,
    *,
    fingerprint: Annotated[str, typer.Option(help="Trust the key only if this is its fingerprint (SHA256:…).")] = "",
    check: Check = False,
) -> int:
    """Show a host's key and add it to known_hosts: one line more, nothing else in the file is touched."""
    from novaops.cli import output
    from novaops.cli.query import on_hosts
    from novaops.errors import UsageError
    from novaops.features.host.trust import trust as trust_one

    known, _ = options.known()
    found = known.find(hosts or [])
    if fingerprint and len(found) > 1:
        raise UsageError(
            f"--fingerprint is of one host's key, and {len(found)} hosts are meant",
            why=f"They are {', '.join(host.name for host in found)}.",
            fix=f"novaops host trust {found[0].name} --fingerprint {fingerprint}",
        )

    reports, started = on_hosts(options, hosts or [], lambda target: trust_one(target, fingerprint, check=check))
    return output.show(options, reports, started)


@verb(app)
def forget(options: Options, hosts: Hosts = None) -> int:
    """End the connections that --persist keeps: to these hosts, or all there are."""
    from novaops.cli import output
    from novaops.cli.options import TIMEOUT
    from novaops.ssh import kept

    ended: dict[str, int] = {}
    number = others = 0
    if hosts or options.limit:
        known, _ = options.known()
        for host in known.find(hosts or []):
            ended[host.name], others = kept.forget(kept.destinations(host.target(TIMEOUT)))
        number = sum(ended.values())
    else:
        number, others = kept.forget(None)
    if options.json:
        listed = [{"host": name, "ended": its} for name, its in ended.items()]
        output.document({"hosts": listed, "ended": number, "others": others, "exit_code": 0})
        return 0
    output.line(f"{number} connection{'' if number == 1 else 's'} ended" if number else "no connection was kept")
    if others:
        output.line(f"to other destinations {others} {'is' if others == 1 else 'are'} kept; novaops host forget ends all")
    return 0


@verb(app)
def ssh_config(options: Options, hosts: Hosts = None) -> int:
    """The inventory as a piece of ssh_config: novaops host ssh-config >> ~/.ssh/config.d/novaops."""
    from novaops.cli import output
    from novaops.features.host.ssh_config import block

    known, playbooks = options.known()
    found = known.find(hosts or [])
    if options.json:
        output.document({"hosts": [{"host": host.name, "ssh_config": block(host, playbooks.templates)} for host in found], "exit_code": 0})
    else:
        output.lines("\n\n".join(block(host, playbooks.templates) for host in found))
    return 0
