"""Which of a name's addresses is connected to, and from where."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from novaops.errors import Unreachable
from novaops.ssh.client_config import Destination, Local, parse
from novaops.ssh.early_connect import dial

LOCAL = Local("/home/me", "me", 1000, "box.example")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port of 127.0.0.1 where something listens. The name `dual.example` has ::1 before it, `4first.example` after it."""
    real = socket.getaddrinfo

    def resolved(host: str, port: int, family: int = 0, *rest: Any) -> Any:
        both: list[tuple[int, Any]] = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
        if host == "4first.example":
            both.reverse()
        elif host != "dual.example":
            return real(host, port, family, *rest)
        return [(one, socket.SOCK_STREAM, 6, "", address) for one, address in both if family in (0, one)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("line", ["", "bindaddress 127.0.0.1", "bindaddress localhost", "addressfamily inet"])
def test_the_next_address_is_tried(port: int, line: str) -> None:
    with dial(parse(Destination("dual.example"), LOCAL, f"port {port}\n{line}\n"), 5) as made:
        assert made.getpeername() == ("127.0.0.1", port)


def test_an_address_that_this_machine_has_not(port: int) -> None:
    with pytest.raises(Unreachable) as error:
        dial(parse(Destination("dual.example"), LOCAL, f"port {port}\nbindaddress 192.0.2.1\n"), 5)
    assert error.value.what == "BindAddress 192.0.2.1 cannot be used"
    assert error.value.fix == "give an address that this machine has, IPv4 or IPv6 as the host's"


@pytest.mark.usefixtures("port")
@pytest.mark.parametrize("host", ["dual.example", "4first.example"])
def test_a_port_where_nothing_listens_is_not_its_fault(host: str) -> None:
    """Whichever of the two addresses BindAddress does not go with."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        dial(parse(Destination(host), LOCAL, f"port {free}\nbindaddress 127.0.0.1\n"), 5)
