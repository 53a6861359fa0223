"""The sh that works with a VPN server's authority."""

from __future__ import annotations

from novaops.features.vpn.paths import SERVERS, SOCKETS
from novaops.shell import sh_file

YEARS = 3650
"""Days: how long the authority, the server's certificate and the list of revoked certificates are good. They end together, or are
renewed before."""


def pki_script(body: str) -> str:
    """`body` with the functions of server_pki.sh before it."""
    return f"SERVERS={SERVERS} SOCKETS={SOCKETS} YEARS={YEARS}\n{sh_file(__package__, 'server_pki.sh')}{body}"
