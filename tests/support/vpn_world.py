"""Addresses of this machine that are no neighbours of the lab's hosts: for an API in another country."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def outside(bridge: str, count: int = 2) -> Iterator[list[str]]:
    """So many addresses, which the bridge's hosts reach by their default route. Each lab has its own."""
    third = hashlib.sha256(bridge.encode()).digest()[0]
    addresses = [f"198.18.{third}.{number}" for number in range(10, 10 + count)]
    for address in addresses:
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", bridge], check=True)
    try:
        yield addresses
    finally:
        for address in addresses:
            subprocess.run(["ip", "address", "del", f"{address}/32", "dev", bridge], check=False)
