"""Other web servers that are only stopped, and come again when the host boots."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.planner import make_plan, questions_of
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.proxy.facts.apache_listens import ApacheListens, Listen
from novaops.features.proxy.resources.nginx_service import OTHERS, NginxService
from novaops.model.plan import ListensAt, Plan
from novaops.model.question import Facts, Missing
from tests.unit.facts.test_facts import framed, outcome, read

RUNS, STOPPED = UnitFacts("loaded", "active", "enabled"), UnitFacts("loaded", "inactive", "enabled")
FAILED, OFF = UnitFacts("loaded", "failed", "enabled"), UnitFacts("loaded", "inactive", "disabled")
APACHE, ON_80 = "apache2.service", Listen("apache2.service", 80)


def planned(*listens: Listen, at: tuple[str, ...] = ("",), **others: UnitFacts) -> Plan:
    service = NginxService("nginx.service", places=tuple(ListensAt("nginx", port, address) for port in (80, 443) for address in at))
    answers: dict[Any, Any] = {UnitNamed("nginx.service"): RUNS, ApacheListens(): listens}
    answers |= {UnitNamed(name): others.get(name.removesuffix(".service"), Missing.ABSENT) for name in OTHERS}
    assert set(questions_of([service])) == set(answers)
    return make_plan([service], Facts(answers, {}))


@pytest.mark.parametrize("state", [STOPPED, FAILED])
def test_apache_that_is_only_stopped_comes_again(state: UnitFacts) -> None:
    plan = planned(ON_80, apache2=state)
    ((_, failure),) = plan.unproven
    assert failure.what == "apache2.service is enabled, and its configuration has Listen 80: it wants the port of nginx at the next boot"
    assert failure.fix == "systemctl disable apache2.service; or take the line out there"
    assert (plan.steps, plan.notes) == ((), ())


@pytest.mark.parametrize(
    ("listen", "state", "at"),
    [
        (ON_80, OFF, ("",)),
        (ON_80, RUNS, ("",)),
        (ON_80, UnitFacts("masked", "inactive", "masked"), ("",)),
        (Listen("httpd.service", 80), RUNS, ("",)),
    ],
)
def test_one_that_does_not_come_again_is_passed_over(listen: Listen, state: UnitFacts, at: tuple[str, ...]) -> None:
    plan = planned(listen, at=at, apache2=state)
    assert (plan.unproven, plan.notes) == ((), ())


@pytest.mark.parametrize(
    ("listen", "at"),
    [(Listen(APACHE, 8080), ("",)), (Listen(APACHE, 80, "127.0.0.1"), ("192.0.2.1",)), (Listen("httpd.service", 80), ("",))],
)
def test_one_that_may_want_other_ports_is_a_note(listen: Listen, at: tuple[str, ...]) -> None:
    plan = planned(listen, at=at, apache2=STOPPED, caddy=STOPPED)
    assert plan.unproven == ()
    assert [note.text.partition(",")[0] for note in plan.notes] == ["apache2.service is enabled", "caddy.service is enabled"]


def test_where_apache_listens(tmp_path: Path) -> None:
    """The script itself, by a shell."""
    for folder in ("apache2/sites-enabled", "httpd/conf.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apache2/ports.conf").write_text(
        "Listen 80\n# Listen 81\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n listen [::1]:8080 http\n"
    )
    (tmp_path / "apache2/sites-enabled/shop.conf").write_text("Listen *:82\nListen ${PORT}\n<VirtualHost *:82>\n</VirtualHost>\n")
    (tmp_path / "httpd/conf.d/x.conf").write_text("Listen 192.0.2.1:80\n")
    script = ApacheListens.script_one().replace("/etc/", f"{tmp_path}/")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert outcome(read([ApacheListens()], framed(ApacheListens(), done.stdout)), ApacheListens()) == (
        *(ON_80, Listen(APACHE, 8080, "::1"), Listen(APACHE, 82), Listen("httpd.service", 80, "192.0.2.1")),
    )
    assert outcome(read([ApacheListens()], framed(ApacheListens(), "apache2.service 80\n")), ApacheListens()) == "unknown"
