"""The networks that EVE-NG takes for bridges of its own, against those that a host reaches. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_network

from novaops.facts.nearby import Near
from novaops.features.eve.data import StrictModel, read


class TakenNetwork(StrictModel):
    device: str
    network: IPv4Network
    editions: tuple[str, ...]


class _Networks(StrictModel):
    date: object
    networks: tuple[TakenNetwork, ...]


@functools.cache
def taken_networks() -> tuple[TakenNetwork, ...]:
    return _Networks.model_validate(read("networks")).networks


def collisions(near: Near, caller: str, edition: str | None) -> Iterator[tuple[TakenNetwork, str]]:
    """Each network of an edition's that the host reaches something else by, and what that is in words. None: of any edition's."""
    reached = [
        *((network, f"{network} on {device}") for network, device in near.networks),
        *((network, f"{network} by a gateway on {device}") for network, device in near.routed),
        *((gateway, f"the gateway {gateway}") for gateway in near.gateways),
        *([(caller, f"you, who come from {caller}")] if caller else []),
    ]
    for taken in taken_networks():
        if edition is None or edition in taken.editions:
            own = {network for network, device in near.networks if device == taken.device}
            others = ((network, what) for network, what in reached if network not in own)
            yield from ((taken, what) for what in _within(others, taken.network))


def _within(reached: Iterable[tuple[str, str]], taken: IPv4Network) -> Iterator[str]:
    for network, what in reached:
        if ip_network(network, strict=False).overlaps(taken):
            yield what
