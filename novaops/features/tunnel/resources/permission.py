"""What has to wait on a tunnel's client until the gateway lets its key in."""

from __future__ import annotations

from functools import partial

from novaops.features.tunnel.facts.ends import AuthorizedKeys, TunnelKey
from novaops.model.plan import Resource
from novaops.model.question import Facts, Missing
from novaops.resources.after_peer import AfterPeer


def after_permission(resource: Resource, name: str, via: str, line: str) -> AfterPeer:
    """`resource`, once the gateway has `line` for the key that is here. {} stands in it for the key."""
    ready = partial(is_permitted, name=name, via=via, line=line)
    return AfterPeer(resource, via, AuthorizedKeys(), f"{via}'s permission", ready, (TunnelKey(name),))


def is_permitted(facts: Facts, name: str, via: str, line: str) -> bool:
    """Whether the gateway has `line`, in which {} stands for the key, with the key that is here."""
    key = facts[TunnelKey(name)]
    return key is not Missing.ABSENT and line.replace("{}", key.public) in facts.of(via).known(AuthorizedKeys()).lines
