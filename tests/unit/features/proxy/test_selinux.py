"""SELinux as its tools on RHEL describe it, and what is put right. No host with it is at hand: the real thing was not tried."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.engine.planner import make_plan
from novaops.features.proxy.facts.selinux import Selinux, SelinuxState
from novaops.features.proxy.resources.selinux import HttpdMayConnect, HttpPort
from novaops.model.action import Command
from novaops.model.plan import Plan, Resource
from novaops.model.question import Facts, Missing
from tests.unit.facts.test_facts import framed, outcome, read

SEMANAGE = """\
SELinux Port Type              Proto    Port Number

afs3_callback_port_t           tcp      7001
ephemeral_port_t               tcp      32768-60999
http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
http_cache_port_t              udp      3130
http_port_t                    tcp      80, 81, 443, 488, 8008, 8009
http_port_t                    tcp      8443, 9000
unreserved_port_t              tcp      61000-65535, 1024-32767
"""
PORTS = {
    "afs3_callback_port_t": ((7001, 7001),),
    "ephemeral_port_t": ((32768, 60999),),
    "http_cache_port_t": ((8080, 8080), (8118, 8118), (8123, 8123), (10001, 10010)),
    "http_port_t": tuple((port, port) for port in (80, 81, 443, 488, 8008, 8009, 8443, 9000)),
    "unreserved_port_t": ((61000, 65535), (1024, 32767)),
}
OFF_LINE = "httpd_can_network_connect --> off\n"
OFF, ON = {"httpd_can_network_connect": False}, {"httpd_can_network_connect": True}


def answer(stdout: str) -> Any:
    return outcome(read([SelinuxState()], framed(SelinuxState(), stdout)), SelinuxState())


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        ("absent\n", "absent"),
        ("Enforcing\nhttpd_can_network_connect --> off\nno semanage\nend\n", Selinux("enforcing", OFF)),
        (f"Enforcing\nhttpd_can_network_connect --> on\n{SEMANAGE}ports\nend\n", Selinux("enforcing", ON, PORTS)),
        ("Permissive\nhttpd_can_network_connect --> off\nno semanage\nend\n", Selinux("permissive", OFF)),
        ("Disabled\nno semanage\nend\n", Selinux("disabled")),
        (f"Permissive\nSELINUX=enforcing\n{OFF_LINE}{SEMANAGE}ports\nend\n", Selinux("permissive", OFF, PORTS, "enforcing")),
        (
            f"Permissive\nSELINUX=\nSELINUX= Enforcing #\nSELINUX=disabled\n{OFF_LINE}no semanage\nend\n",
            Selinux("permissive", OFF, None, "enforcing"),
        ),
        ("Disabled\nSELINUX=permissive\nno semanage\nend\n", Selinux("disabled", at_boot="permissive")),
        ("Enforcing\nhttpd_can_network_connect --> off\n", "unknown"),
        ("Enforcing\nend\n", "unknown"),
        ("Enforcing\nhttpd_can_network_connect --> off\nend\n", "unknown"),
        ("Enforcing\nno semanage\nen\n", "unknown"),
        ("nonsense\nno semanage\nend\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_the_host_says(stdout: str, expected: Any) -> None:
    assert answer(stdout) == expected


@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=20)
def test_garbage_is_never_absent(garbage: str) -> None:
    assert answer(garbage.replace("absent", "") or "%") == "unknown"


def planned(resource: Resource, found: Selinux | Missing) -> Plan:
    return make_plan([resource], Facts({SelinuxState(): found}, {}))


def commands(plan: Plan) -> list[tuple[str, str]]:
    """Each with its undo."""
    assert plan.refusals == ()
    actions = [action for step in plan.steps for action in step.actions]
    return [(" ".join(a.words), " ".join(a.undo.words)) for a in actions if isinstance(a, Command) and a.undo]


def test_nginx_may_connect() -> None:
    on, off = (f"setsebool -P httpd_can_network_connect {value}" for value in ("on", "off"))
    assert commands(planned(HttpdMayConnect(), Selinux("enforcing", OFF))) == [(on, off)]
    for found in (Selinux("enforcing", ON), Selinux("enforcing"), Selinux("permissive", OFF), Selinux("disabled", OFF), Missing.ABSENT):
        assert not planned(HttpdMayConnect(), found)


@pytest.mark.parametrize(("port", "named"), [(8444, True), (443, False), (8080, False), (10005, False), (40000, True), (444, True)])
def test_a_port_without_a_name_gets_one(port: int, *, named: bool) -> None:
    add, delete = (f"semanage port {option} -t http_port_t -p tcp {port}" for option in ("-a", "-d"))
    assert commands(planned(HttpPort(port), Selinux("enforcing", OFF, PORTS))) == ([(add, delete)] if named else [])
    assert not planned(HttpPort(port), Selinux("permissive", OFF, PORTS))


def test_a_port_of_another_service_is_refused() -> None:
    ((_, refusal),) = planned(HttpPort(7001), Selinux("enforcing", OFF, PORTS)).refusals
    assert refusal.what == "SELinux keeps nginx from port 7001: it is of type afs3_callback_port_t"
    assert refusal.fix == "choose another port, or give it away: semanage port -m -t http_port_t -p tcp 7001"


@pytest.mark.parametrize(("port", "number"), [(443, 0), (80, 0), (8444, 1)])
def test_without_semanage_it_is_said(port: int, number: int) -> None:
    plan = planned(HttpPort(port), Selinux("enforcing", OFF))
    assert not plan
    assert len(plan.notes) == number
    assert all(f"nginx listen on port {port} could not be told" in note.text for note in plan.notes)
    assert planned(HttpPort(port), Selinux("permissive", OFF)).notes == ()
    assert planned(HttpPort(port), Selinux("enforcing", OFF, PORTS)).notes == ()


def test_what_enforces_after_the_next_boot_counts() -> None:
    found = Selinux("permissive", OFF, PORTS, "enforcing")
    (on, _), (add, _) = (commands(planned(resource, found))[0] for resource in (HttpdMayConnect(), HttpPort(8444)))
    assert (on, add) == ("setsebool -P httpd_can_network_connect on", "semanage port -a -t http_port_t -p tcp 8444")
    assert not planned(HttpdMayConnect(), Selinux("permissive", OFF, at_boot="permissive"))


def test_what_is_disabled_until_then_can_only_be_told() -> None:
    plan = planned(HttpdMayConnect(), Selinux("disabled", at_boot="enforcing"))
    assert not plan
    assert [note.text.partition(":")[0] for note in plan.notes] == ["SELinux is disabled, and enforcing from the next boot on"]
    assert planned(HttpdMayConnect(), Selinux("disabled", at_boot="disabled")).notes == ()


@pytest.mark.parametrize(
    ("mode", "config", "listed"),
    [
        ("Enforcing", None, True),
        ("Enforcing", "SELINUX=permissive", True),
        ("Permissive", "# SELINUX=enforcing\nSELINUX=enforcing\nSELINUXTYPE=targeted", True),
        ("Permissive", "#SELINUX=enforcing\nSELINUX=permissive", False),
        ("Permissive", None, False),
        ("Disabled", "SELINUX=enforcing", False),
    ],
)
def test_the_ports_are_listed_where_they_matter(tmp_path: Path, mode: str, config: str | None, *, listed: bool) -> None:
    """The script itself, by a shell, with tools that say what those of a host would."""
    off = "echo 'httpd_can_network_connect --> off'"
    tools = f"getenforce() {{ echo {mode}; }}; getsebool() {{ {off}; }}; semanage() {{ echo '{SEMANAGE}'; }}\n"
    file = tmp_path / "config"
    if config is not None:
        file.write_text(config)
    script = tools + SelinuxState.script_one().replace("/etc/selinux/config", str(file))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    found = answer(done.stdout)
    assert isinstance(found, Selinux)
    assert (found.mode, found.booleans, found.ports is not None) == (mode.lower(), OFF, listed)
    assert found.at_boot == next((line[8:] for line in (config or "").split("\n") if line.startswith("SELINUX=")), "")


def test_the_narrowest_range_names_a_port() -> None:
    found = Selinux("enforcing", ports={"wide_port_t": ((1, 99),), "narrow_port_t": ((7, 8),), "reserved_port_t": ((1, 511),)})
    assert found.types_of(7) == ("narrow_port_t", "wide_port_t")
