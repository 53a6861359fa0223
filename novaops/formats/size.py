"""Sizes as people read them."""

from __future__ import annotations


def human(size: int) -> str:
    """Bytes in binary units, at most one decimal: 20 GiB, 1.5 TiB, 512 B."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":  # noqa: PLR2004 - binary units
            break
        value /= 1024
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"
