"""novaops eve image: add, ls, rm."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the group `image`."""
    del app
