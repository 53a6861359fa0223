"""The script that puts up the rules of a VPN server, run with programs that only keep rules in files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.own_file import shipped
from novaops.engine.templates import Templates

OFFICE = {"network": "10.86.0.0/24", "reaches": ()}
PROGRAMS = {
    "ip": """case "$1 $2" in
  "rule ") cat ip 2>/dev/null ;;
  "rule add") shift 3; pref=$1; shift; echo "$pref:\t$*" >>ip ;;
  "rule del") shift 3; pref=$1; shift; grep -v -x -F -e "$pref:\t$*" ip >kept; mv kept ip ;;
esac""",
    "iptables": """shift 2; verb=$1; shift; [ "$verb" != -I ] || { chain=$1; shift 2; set -- "$chain" "$@"; }
case $verb in
  -C) grep -q -x -F -e "-A $*" filter ;;
  -I) echo "-A $*" >>filter ;;
  -D) grep -v -x -F -e "-A $*" filter >kept; mv kept filter ;;
esac""",
    "iptables-save": "echo '*filter'; cat filter; echo COMMIT",
    "firewall-cmd": """case $* in
  *--add-source=*) echo "saddr ${3#*=} " >>zone ;;
  *--remove-source=*) grep -v -F -e "saddr ${3#*=} " zone >kept; mv kept zone ;;
esac; case $* in *--state*) [ -e zone ] ;; esac""",
    "nft": 'case $* in "list table inet firewalld") cat zone 2>/dev/null ;; esac',
}


class Host:
    """One whose server runs: its device is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in PROGRAMS.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{text}\n".replace("\\t", "\t"))
            program.chmod(0o755)
        (folder / "filter").write_text(":FORWARD DROP [0:0]\n")
        (folder / "ip_forward").write_text("1\n")

    def up(self, **entry: Any) -> None:
        text = Templates([shipped("templates")]).render(
            "vpn/server/forward.sh.j2", name="vpn", device="lo", table="t", passed="0x40000000", kept=f"{self.folder}/before", **entry
        )
        places = {"PATH=": f"PATH={self.folder}/bin:", "/run/": f"{self.folder}/", "/proc/sys/net/ipv4/": ""}
        for there, here in places.items():
            assert there in text
            text = text.replace(there, here)
        done = subprocess.run(["sh", "-c", text, "forward", "up"], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @property
    def rules(self) -> list[str]:
        return sorted(line for name in ("ip", "filter", "zone") if (self.folder / name).exists() for line in self.of(name))

    def of(self, name: str) -> list[str]:
        return (self.folder / name).read_text().splitlines()


@pytest.mark.parametrize("zone", ["", "saddr 192.168.0.0/24 \n"])
@pytest.mark.parametrize("before", [{"network": "10.87.0.0/24", "reaches": ()}, {"network": "10.86.0.0/24", "reaches": ("192.0.2.0/24",)}])
def test_rules_are_those_of_the_settings_and_none_of_those_before(before: dict[str, Any], zone: str, tmp_path: Path) -> None:
    """The network that clients had may be somebody else's by now: it must neither be shut out nor let in."""
    hosts = []
    for name in ("changed", "new"):
        (tmp_path / name).mkdir()
        hosts.append(Host(tmp_path / name))
        if zone:
            (tmp_path / name / "zone").write_text(zone)
    changed, new = hosts
    changed.up(**before)
    changed.up(**OFFICE)
    new.up(**OFFICE)
    assert changed.rules == new.rules
    changed.up(**OFFICE)
    assert changed.rules == new.rules


def test_other_rules_stay(tmp_path: Path) -> None:
    host = Host(tmp_path)
    others = ["-A FORWARD -s 10.87.0.0/24 -j ACCEPT", "-A FORWARD -s 10.87.0.0/24 -m comment --comment novaops-vpn-other -j ACCEPT"]
    with (tmp_path / "filter").open("a") as file:
        file.writelines(f"{line}\n" for line in others)
    (tmp_path / "ip").write_text("0:\tfrom all lookup local\n8601:\tfrom all to 10.99.0.0/24 fwmark 0/0x40000000 blackhole\n")
    host.up(network="10.87.0.0/24", reaches=())
    host.up(**OFFICE)
    assert set(others) < set(host.rules)
    assert {"0:\tfrom all lookup local", "8601:\tfrom all to 10.99.0.0/24 fwmark 0/0x40000000 blackhole"} < set(host.rules)
