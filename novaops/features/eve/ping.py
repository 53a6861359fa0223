"""What consoles print for a ping that was answered, by the one that was asked. Pure.

An error of a host on the way names that host, and how many bytes it sent: `36 bytes from 10.0.0.1: Destination Host Unreachable`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

_ANYBODY = r"[0-9A-Za-z.:_-]+"
"""A name was asked: what it stands for, the node knows."""

_ANSWERED = (
    # Linux, BSD, Junos, NX-OS, EOS, VyOS; VPCS, which has no colon
    r"bytes from (?:\S+ \()?{address}(?:%\w+)?\)?[:,]? (?:icmp_)?seq=\d+(?![^\n]*(?:unreach|exceed))[^\n]*\n",
    r"echos to {address},[\s\S]*success rate is [1-9]",  # IOS, IOS XE, IOS XR, ASA
    r"^\s*\d+ {address} +\d+ +\d+ +\d\S*[ \r]*\n",  # MikroTik: SEQ HOST SIZE TTL TIME, and no STATUS
    r"reply from {address}: bytes=\d",  # VRP, Windows
)


def answered(address: str) -> str:
    """The regular expression of an answer by this address, or by what this name stands for."""
    return "(?im)" + "|".join(one.replace("{address}", _forms(address)) for one in _ANSWERED)


def _forms(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return _ANYBODY
    return f"(?:{'|'.join(re.escape(one) for one in dict.fromkeys((address, found.compressed, found.exploded)))})"
