"""Where a connection comes from, as the host sees it."""

from __future__ import annotations

import pytest

from novaops.errors import HostFailed
from novaops.ssh.session import Output, Session
from novaops.ssh.target import Target
from novaops.verify import reach


def test_where_the_connection_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Target("lab", "192.0.2.1"))
    said = iter(["198.51.100.1 50000 192.0.2.1 2222\n", "fe80::1%eth0 50000 fe80::2%eth0 22\n", "\n"])
    monkeypatch.setattr(session, "run", lambda *_, **__: Output(0, next(said), ""))
    assert reach.endpoints(session) == ("198.51.100.1", "50000", "192.0.2.1", "2222")
    assert reach.endpoints(session) == ("fe80::1", "50000", "fe80::2", "22")
    with pytest.raises(HostFailed, match="does not tell where this connection comes from"):
        reach.endpoints(session)
