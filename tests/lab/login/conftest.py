"""Hosts on which operator has a password."""

from __future__ import annotations

import pytest

from novaops.lab.host import LabHost
from tests.support.doors import with_operator_password


@pytest.fixture
def container(container: LabHost) -> LabHost:
    return with_operator_password(container)


@pytest.fixture
def newer(newer: LabHost) -> LabHost:
    return with_operator_password(newer)
