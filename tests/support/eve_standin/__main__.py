"""The stand-in as a program, on a host."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from .server import Server, serve_for_ever
from .state import VERSIONS, Eve


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path("/opt/unetlab"))
    parser.add_argument("--edition", choices=sorted(VERSIONS), default="community")
    parser.add_argument("--licensed", action="store_true")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--tls-port", type=int, default=443)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--database", action="store_true", help="passwords are in EVE-NG's database")
    parser.add_argument("--consoles", type=int, default=32768 + 128)
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    eve = Eve(said.root, said.edition, licensed=said.licensed, ports=said.consoles, database=said.database)
    try:
        if said.certificate:
            Server(eve, said.tls_port, tls=(said.certificate, said.key), address=said.address)
            Server(eve, said.port, leads_to=said.tls_port, address=said.address)
        else:
            Server(eve, said.port, address=said.address)
        serve_for_ever()
    finally:
        eve.close()


def _stop(*_: Any) -> None:
    sys.exit(0)


main()
