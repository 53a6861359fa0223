"""How a server was made, as its files on the host have it: what no flag names stays so. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

from novaops.errors import UsageError
from novaops.facts.file import FileAt, text_at
from novaops.features.vpn.facts.server_profile import remote
from novaops.features.vpn.paths import ServerPaths
from novaops.model.question import Facts

_NETWORK = re.compile(r"^server (\S+) (\S+)$", re.MULTILINE)
_REACHES = re.compile(r" ip daddr != \{ ([0-9./, ]+) \} drop$", re.MULTILINE)
_EVERYWHERE = IPv4Network("0.0.0.0/0")


def questions(name: str) -> tuple[FileAt, FileAt, FileAt]:
    """The files that say it."""
    paths = ServerPaths(name)
    return FileAt(f"{paths.folder}/remote"), FileAt(paths.configuration), FileAt(paths.forward_script)


def settings(name: str, facts: Facts) -> dict[str, Any]:
    """The settings of its entry; without those that its files do not say, and {} where there never was such a server.

    A server that was removed has kept what its clients' profiles say of it: address, port and protocol.
    """
    said, configuration, script = (text_at(question.path, facts) for question in questions(name))
    found: dict[str, Any] = {}
    with suppress(ValueError):  # somebody else has written there
        found |= zip(("address", "port", "protocol"), remote(said).split(" "), strict=True)
    if server := _NETWORK.search(configuration):
        with suppress(ValueError):
            found["network"] = str(IPv4Network(f"{server[1]}/{server[2]}"))
    if script:
        limited = _REACHES.search(script)
        found["reaches"] = limited[1].split(", ") if limited else []
    return found


def reaching(now: Sequence[str] | None, more: Sequence[str], less: Sequence[str]) -> list[str]:
    """Where clients may go: where they may now, but not in `less`, and in `more`. [] is everywhere; None: there is no server yet.

    Raises UsageError where that is nowhere or not known, or where `more` adds nothing; ValueError where one is no network.
    """
    if now is None and less:
        why, fix = "The host has no such server, or did not say.", "say where they may: --reaches CIDR,..."
        raise UsageError("--remove-reaches: where clients may go now is not known", why=why, fix=fix)
    left = [] if now is None else [IPv4Network(one) for one in now] or [_EVERYWHERE]
    for one in map(IPv4Network, less):
        left = [part for network in left for part in _without(network, one)]
    if _EVERYWHERE in left and more and str(_EVERYWHERE) not in more:
        fix = f"leave the rest out: --remove-reaches {_EVERYWHERE} --reaches {','.join(more)}"
        raise UsageError("--reaches: clients may go everywhere now", why="By flags one adds, and nothing is left to add.", fix=fix)
    every = list(dict.fromkeys([*left, *map(IPv4Network, more)]))
    found = [one for one in every if not any(one != other and one.subnet_of(other) for other in every)]
    if not found:
        fix = "say where they may: --reaches CIDR,...; or take the server away: --remove"
        raise UsageError("--remove-reaches: clients could go nowhere", fix=fix)
    return [] if _EVERYWHERE in found else [str(one) for one in found]


def _without(network: IPv4Network, other: IPv4Network) -> Sequence[IPv4Network]:
    if network.subnet_of(other):
        return ()
    return sorted(network.address_exclude(other)) if other.subnet_of(network) else (network,)
