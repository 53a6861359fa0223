"""A host's journal in a folder of its own."""

from tests.unit.engine.conftest import host_state

__all__ = ["host_state"]
