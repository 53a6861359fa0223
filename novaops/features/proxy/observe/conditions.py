"""Conditions of claims: where one does not hold, the claim is skipped with the reason. Each includes those above it."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from novaops.features.proxy.observe.site import ObservedSite, Pool
from novaops.providers import proof
from novaops.verify.http_answer import HttpAnswer


def takes_connections(seen: ObservedSite) -> None:
    port = seen.wanted.site.port
    if why := seen.ports.get(port):
        pytest.skip(f"port {port} of {seen.address} takes no connections: {why}")


def has_a_name(seen: ObservedSite) -> None:
    takes_connections(seen)
    if not seen.wanted.names:
        pytest.skip(f"{', '.join(seen.wanted.site.domain)} is a pattern, and names nothing that could be asked for")


def was_asked(seen: ObservedSite) -> None:
    has_a_name(seen)
    if not seen.tried:
        pytest.skip("its certificate is turned down, so nothing else was asked")


def lets_this_machine_in(seen: ObservedSite) -> None:
    was_asked(seen)
    if not seen.inside:
        pytest.skip(f"this machine comes from {seen.here}, and not from {', '.join(seen.wanted.auth.addresses)}")


def pools(seen: ObservedSite) -> tuple[Pool, ...]:
    lets_this_machine_in(seen)
    return seen.pools


def streamed(seen: ObservedSite) -> HttpAnswer:
    """The answer that streams."""
    lets_this_machine_in(seen)
    stream = seen.wanted.stream
    if not stream:
        pytest.skip("the provider has no request that streams")
    if not seen.wanted.key_is_known:
        pytest.skip("without a key no API streams: test_key: gives one for proofs")
    answer = seen.tried["stream"]
    assert answer.status, f"{stream} should stream, but {answer.trouble}"
    own = own_error(answer)
    assert own is None, f"{stream} should stream, but the site itself answers {answer.status}: {own}"
    if answer.status != HTTPStatus.OK:
        pytest.skip(f"the API answers {answer.status} to the request that streams: {answer.text[:200]}")
    return answer


def own_error(answer: HttpAnswer) -> str | None:
    """The message of an error of the proxy's own; None for an answer of the API's."""
    error = proof.own_error(answer.text)
    return None if error is None else error.message
