"""A reverse tunnel whose client is gone without a word: the next session gets the port on the gateway, also while it is used there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from novaops.lab.host import LabHost
from novaops.lab.lab import Lab
from novaops.lab.process import wait_until
from tests.lab.conftest import Novaops
from tests.lab.tunnel.test_tunnel import Tunnels, before, statuses, write
from tests.support.links import HEALING_S, inside, inside_holds, moved, say

pytestmark = pytest.mark.long

PORTS = {"auto": 9000, "plain": 9001}
"""Where each tunnel listens on the gateway, by its name."""

USER = 'while sleep 6; do for port in 9000 9001; do timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; head -c 7 <&3"; done; done'


def works(gateway: LabHost, port: int) -> bool:
    """Whether the client's sshd greets through the tunnel."""
    return inside_holds(gateway, f"timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 7 <&3' | grep -q SSH-2.0")


def holder(gateway: LabHost, port: int) -> str:
    """The process that listens there; "" for none. To look does not use the port."""
    return inside(gateway, f"ss -H -t -l -n -p 'sport = :{port}' | grep -o 'pid=[0-9]*' || true").strip()


def healed(gateway: LabHost, fault: str, old: dict[str, str]) -> None:
    """Both have another session, which works, in time."""
    began, took = time.monotonic(), dict[str, float]()

    def taken_over() -> bool:
        now = holders(gateway)
        took.update({name: time.monotonic() - began for name in PORTS if name not in took and now[name] not in {"", old[name]}})
        return len(took) == len(PORTS)

    in_time = wait_until(taken_over, HEALING_S)
    say(f"{fault}: healed in {took}")
    assert in_time, f"{fault}: after {HEALING_S} s only these are back: {took}"
    assert all(works(gateway, port) for port in PORTS.values())


def holders(gateway: LabHost) -> dict[str, str]:
    return {name: holder(gateway, port) for name, port in PORTS.items()}


@pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
def test_the_next_session_takes_the_port_over(
    container: LabHost, newer: LabHost, lab: Lab, novaops: Novaops, tmp_path: Path, *, used: bool
) -> None:
    def entry(name: str, supervisor: str) -> dict[str, Any]:
        to = {"to": "127.0.0.1:22", "listen": PORTS[name], "reverse": True}
        return {"name": name, "via": "newer", "supervisor": supervisor, **to}

    entries = [entry("auto", "autossh"), entry("plain", "systemd")]
    was = before(newer)
    tunnel = Tunnels(novaops, write(tmp_path, container, newer, entries))
    tunnel("up")
    assert statuses(tunnel("up")) == {"box": "unchanged", "newer": "unchanged"}
    if used:
        inside(newer, f"systemd-run -q --unit=user sh -c '{USER}'")
    old = holders(newer)
    with moved(container, lab):
        healed(newer, "the client's address changed", old)
        old = holders(newer)
    healed(newer, "the client's address changed back", old)
    inside(newer, "systemctl stop user 2>/dev/null; true")
    told = inside(newer, "journalctl -q -b -u novaops-tunnels -o cat")
    assert "its session is ended" in told
    assert statuses(tunnel("up")) == {"box": "unchanged", "newer": "unchanged"}
    tunnel("down")
    assert before(newer) == was
