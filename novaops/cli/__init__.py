"""The command line: one file per noun, and no logic in any of them."""

from __future__ import annotations

from novaops.cli.app import main

__all__ = ["main"]
