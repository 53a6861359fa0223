"""What has to wait on a tunnel's client until the gateway accepts its key."""

from __future__ import annotations

from functools import partial

from novaops.features.tunnel.facts.ends import AuthorizedKeys, TunnelKey
from novaops.model.plan import Resource
from novaops.model.question import Facts, Missing
from novaops.resources.after_peer import AfterPeer


def after_permission(resource: Resource, name: str, gateway: str, key_line: str) -> AfterPeer:
    """`resource`, once the gateway has `key_line`, in which {} stands for the key, with the key of this host."""
    ready = partial(is_permitted, name=name, gateway=gateway, key_line=key_line)
    return AfterPeer(resource, gateway, AuthorizedKeys(), f"{gateway}'s permission", ready, (TunnelKey(name),))


def is_permitted(facts: Facts, name: str, gateway: str, key_line: str) -> bool:
    """Whether the gateway has `key_line`, in which {} stands for the key, with the key of this host."""
    key = facts[TunnelKey(name)]
    return key is not Missing.ABSENT and key_line.replace("{}", key.public) in facts.of(gateway).known(AuthorizedKeys()).lines
