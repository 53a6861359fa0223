"""What tests of sites without a host have."""

from __future__ import annotations

import pytest

from tests.support.proxy_sites import ENV


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the references of the tests' sites lead to."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("novaops.formats.htpasswd.COST", 4)
