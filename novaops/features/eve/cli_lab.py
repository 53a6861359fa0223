"""novaops eve lab: up, down, status, connect, validate."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the group `lab`."""
    del app
