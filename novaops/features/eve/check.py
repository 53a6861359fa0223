"""A host looked at for `eve check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from novaops.engine.query import ask, silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import NoRoot
from novaops.features.eve.advice import advise
from novaops.features.eve.budget import budget, disk_gb, machine_for
from novaops.features.eve.candidate import Candidate, Wish, candidate, questions
from novaops.features.eve.verdict import judge
from novaops.model.finding import Finding, has_problem
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def check_host(target: Target, wish: Wish) -> HostReport:
    """A report with what was found: one exec, or two where the login cannot become root."""

    def work(session: Session) -> HostReport:
        no_root = []
        try:
            facts = ask(session, questions())
        except NoRoot as error:
            facts = ask(session, questions(), root=False)
            no_root.append(Finding("root", "problem", f"{error.what}: {error.why}", error.fix))
        host = candidate(facts)
        found = details(host, wish, [*no_root, *judge(host, wish)])
        return HostReport(target.name, "failed" if has_problem(found) else "unchanged", details=found)

    return with_session(target, silent, work)


def details(host: Candidate, wish: Wish, findings: list[Finding]) -> dict[str, Any]:
    """What `eve check --json` says of a host."""
    edition, estimate = host.edition, budget(host, wish)
    return {
        "nested": host.nested.verdict,
        "findings": [asdict(one) for one in findings],
        "edition": edition.model_dump(include={"name", "title", "suite", "nodes", "licence_usd_a_year", "support"}) if edition else None,
        "installed": host.site.version or None,
        "capacity": {name: asdict(one) for name, one in host.capacities().items()},
        "cost": estimate.as_json() if estimate else None,
        "advice": _advice(host, wish),
    }


def _advice(host: Candidate, wish: Wish) -> dict[str, Any] | None:
    """What to do at the provider; None where it is not the provider who has to give more."""
    if not host.nested.at_provider:
        return None
    machine, _ = machine_for(host, wish)
    suite = host.edition.suite if host.edition and host.edition.support == "installed" else "jammy"
    return advise(host.machine.cloud, machine, suite, disk_gb(wish)).model_dump()


def advice_lines(found: dict[str, Any]) -> tuple[str, ...]:
    """The same for people, to be typed."""
    advice = found.get("advice")
    if advice is None:
        return ()
    title = f"{advice['title']} ({advice['known']}; not run by us): {advice['rule']}"
    new = ["A new VM:", *(f"    {line}" for line in advice["new"])] if advice["new"] else []
    existing = ["This VM:", *(f"    {line}" for line in advice["existing"])] if advice["existing"] else []
    return (title, *new, *existing, *advice["remarks"])
