"""What hosts should have: how a playbook sees hosts, and the desired states of all hosts of a run brought together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from novaops.engine.inventory import Host, Inventory
from novaops.engine.templates import Templates
from novaops.errors import UsageError
from novaops.model.plan import Resource


@dataclass(frozen=True)
class HostView:
    """A host as a playbook sees it."""

    name: str
    address: str
    groups: frozenset[str]
    templates: Templates
    folder: Path
    """The inventory's: what a section names by a relative path is beside it. Without an inventory the current one."""
    own: Path | None = None
    """The inventory's folder, where there is an inventory: what of the user's own is in it may be used."""


class Peers(Mapping[str, Host]):
    """The other hosts as a playbook sees them: those of the inventory, and any user@address."""

    def __init__(self, known: Inventory) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Host:
        """Raises UsageError for what is no host, or a group."""
        if name in self._known.groups:
            raise UsageError(f"{name} is a group, where one host is needed")
        (host,) = self._known.meant(name)
        return host

    def __iter__(self) -> Iterator[str]:
        return iter(self._known.hosts)

    def __len__(self) -> int:
        return len(self._known.hosts)


@dataclass(frozen=True)
class DesiredState:
    """What the sections of one host want: of the host itself, and of other hosts."""

    own: Sequence[Resource]
    of_peers: Sequence[tuple[Host, Resource]] = ()


def first_things_first(wanted: Sequence[Resource]) -> list[Resource]:
    """Those that rest on nothing (`comes_first`), each once, before the others: packages in a row cost one call of the package manager."""
    first = dict.fromkeys(resource for resource in wanted if resource.comes_first)
    return [*first, *(resource for resource in wanted if not resource.comes_first)]


def bring_together(hosts: Iterable[Host], desired: Callable[[Host], DesiredState]) -> list[tuple[Host, list[Resource]]]:
    """Each host, and the peers that they bring in, with all that is wanted of it: by its own sections first, then by other hosts.

    Raises what `desired` raises, and UsageError for two that would listen at one port, before anything is contacted.
    """
    found = {host.name: host for host in hosts}
    resources: dict[str, list[Resource]] = {name: [] for name in found}
    of_peers: list[tuple[Host, Resource]] = []
    for host in list(found.values()):
        state = desired(host)
        resources[host.name] += state.own
        of_peers += state.of_peers
    for peer, resource in of_peers:
        found.setdefault(peer.name, peer)
        its = resources.setdefault(peer.name, [])
        if resource not in its:  # several hosts may want the same of one
            its.append(resource)
    together = [(host, without_yielding(resources[name])) for name, host in found.items()]
    for host, its in together:
        _refuse_one_port_twice(host, its)
    return together


def _refuse_one_port_twice(host: Host, wanted: Sequence[Resource]) -> None:
    """Raises UsageError that names both that would listen at one place of the host."""
    ports = [listener for resource in wanted for listener in resource.listens_at()]
    for first, second in itertools.combinations(ports, 2):
        if first.conflicts(second):
            raise UsageError(
                f"{host.name}: {first.what} and {second.what} would both listen at port {first.port}/{first.protocol}",
                why="Nothing was contacted: the inventory wants both.",
                fix="give one of them another port",
            )


def without_yielding(wanted: Sequence[Resource]) -> list[Resource]:
    """Without what one host wants removed (`yields_to_present`) and another host wants present."""
    present = {resource.id for resource in wanted if not resource.yields_to_present}
    return [resource for resource in wanted if resource.id not in present or not resource.yields_to_present]
