"""The files of a tunnel on its client: its key, what ssh and the check read, and its units. A running unit takes a change up at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novaops.features.tunnel.client import TunnelClient
from novaops.features.tunnel.facts.state import PROBES
from novaops.features.tunnel.paths import UNITS, USER, config_file, header, key_file, unit
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.key_pair import KeyPair
from novaops.features.tunnel.resources.pinned_host_keys import PinnedHostKeys
from novaops.features.tunnel.settings import ResolvedForward
from novaops.formats.names import bracketed, pair
from novaops.model.plan import Resource
from novaops.resources.file import File

_RESTART_IF_RUNNING = """\
systemctl daemon-reload || exit
systemctl cat -- "$1" >/dev/null 2>&1 || exit 0
case $1 in *.socket) systemctl stop -- "${1%.socket}.service" 2>/dev/null ;; esac # or it is refused
systemctl try-restart -- "$1"
"""
"""A new file starts no unit: that is for when the gateway accepts the key."""


def client_files(client: TunnelClient) -> Iterator[Resource]:
    """What is to be there, in the order in which it is written; then the removal of what the tunnel had before and needs no more."""
    name = client.name
    key_pair = [config_file(name, suffix) for suffix in ("key", "key.pub")]
    pinned = PinnedHostKeys(name, client.gateway, _restart(unit(name)))
    conf = File(config_file(name, "conf"), _ssh_config(client), check=("ssh", "-G", "-F", "{}", "gateway"), then=_restart(unit(name)))
    others = [*_check_files(client), *_units(client), *_alias_units(client)]
    yield from (KeyPair(name, client.comment), pinned)
    # A connection keeps the permissions that its key had when it was made: first the gateway's line, then this.
    yield client.after_permission(conf)
    yield from others
    yield StaleTunnelFiles(name, (*key_pair, pinned.path, *(file.path for file in (conf, *others))), client.gateway)


def _restart(name: str) -> tuple[str, ...]:
    return ("sh", "-c", _RESTART_IF_RUNNING, "again", name)


def _ssh_config(client: TunnelClient) -> str:
    address, port = client.reached_at
    return _render(
        client,
        "ssh_config",
        address=address,
        port=port,
        user=USER,
        key=key_file(client.name),
        known_hosts=config_file(client.name, "known_hosts"),
        forwards=[line for forward in client.forwards for line in forward.ssh_forwards],
    )


def _check_files(client: TunnelClient) -> Iterator[File]:
    text = _render(
        client,
        "forwards",
        via=client.gateway,
        supervisor=client.entry.supervisor,
        direction="-R" if client.entry.reverse else "-L",
        forwards=list(map(_columns, client.forwards)),
    )
    yield File(config_file(client.name, "forwards"), text)
    yield File(config_file(client.name, "check"), _render(client, "check", functions=PROBES), "0755", check=("sh", "-n", "{}"))


def _columns(forward: ResolvedForward) -> tuple[str, ...]:
    """A line of the .forwards file, as templates/tunnel/forwards.j2 names its columns; - for none."""
    address, port = forward.probe_address
    url = forward.check if forward.kind != "tcp" else "-"
    alias = (forward.local_alias, str(forward.port)) if forward.transparent else ("-", "-")
    return (bracketed(address), str(port), forward.kind, url, forward.target, forward.listens, *alias)


def _units(client: TunnelClient) -> Iterator[File]:
    name = client.name
    conf = config_file(name, "conf")
    service = _render(client, "service", via=client.gateway, supervisor=client.entry.supervisor, user=USER, config=conf)
    yield File(f"{UNITS}/{unit(name)}", service, then=_restart(unit(name)))
    check = _render(client, "check.service", script=config_file(name, "check"))
    yield File(f"{UNITS}/{unit(name, 'check')}", check, then=("systemctl", "daemon-reload"))
    timer = unit(name, "check", "timer")
    yield File(f"{UNITS}/{timer}", _render(client, "check.timer", every=client.entry.every), then=_restart(timer))


def _alias_units(client: TunnelClient) -> Iterator[File]:
    """A local alias listens at the target's own port. That needs root, so systemd does it, and passes on to the tunnel's listener."""
    for part, forward in client.aliased:
        socket, service = unit(client.name, part, "socket"), unit(client.name, part)
        text = _render(client, "front.socket", target=forward.target, listen=pair(forward.local_alias, forward.port))
        yield File(f"{UNITS}/{socket}", text, then=_restart(socket))
        listener = pair(*forward.probe_address)
        text = _render(client, "front.service", target=forward.target, socket=socket, user=USER, listener=listener)
        yield File(f"{UNITS}/{service}", text, then=_restart(service))


def _render(client: TunnelClient, template: str, **values: Any) -> str:
    return str(client.host.templates.render(f"tunnel/{template}.j2", head=header(client.name), name=client.name, **values))
