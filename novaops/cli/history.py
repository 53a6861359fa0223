"""novaops history, novaops undo: what was done to a host, and taking it back."""
from __future__ import annotations

import typer


def register(app: typer.Typer) -> None: ...
