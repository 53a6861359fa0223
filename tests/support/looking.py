"""Many wishes, one look: what novaops would do with each of them, for the price of a single probe of the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from novaops.engine.planner import make_plan, questions_of
from novaops.engine.playbooks import Playbooks
from novaops.engine.query import ask
from novaops.engine.run import Outcome, carry_out, new_run
from novaops.errors import NovaopsError, Refused
from novaops.facts.runs import LastRun
from novaops.lab.vm import VirtualMachine
from novaops.model.plan import FreshLogin, Plan, Resource, Step
from novaops.model.question import Facts
from novaops.ssh.session import Session
from novaops.ssh.target import Target


def target(host: VirtualMachine) -> Target:
    return Target(host.name, host.address, host.port, host.user, str(host.identity), str(host.known_hosts))


def resources(entry: Mapping[str, Any]) -> list[Resource]:
    """What one entry of `disk:` stands for."""
    module = Playbooks(Path("/nowhere")).by_name["disk"].module
    return list(module.desired(None, TypeAdapter(module.Settings).validate_python([entry]), {}))


def look(host: VirtualMachine, entries: Sequence[Mapping[str, Any]]) -> Facts:
    """What has to be known for all the entries: one exec."""
    with Session(target(host)) as session:
        return ask(session, questions_of([resource for entry in entries for resource in resources(entry)]))


def plans(facts: Facts, entries: Sequence[Mapping[str, Any]]) -> list[Plan]:
    """What would be done for each entry, as if it were the only one."""
    return [make_plan(resources(entry), facts) for entry in entries]


def refusal(plan: Plan) -> Refused:
    """The one reason for which a wish is refused."""
    reasons = {str(error): error for _, error in plan.refusals}
    assert len(reasons) == 1, f"one refusal expected: {plan}"
    return next(iter(reasons.values()))


class Nobody:
    """Watches a run and says nothing."""

    def step(self, number: int, step: Step) -> None: ...
    def waiting(self, holder: str) -> None: ...
    def lost(self, error: NovaopsError) -> None: ...
    def guarded(self, login: FreshLogin, seconds: int) -> None: ...
    def taking_back(self, why: str) -> None: ...


def carried_out(host: VirtualMachine, wanted: Sequence[Resource], meddle: Callable[[], object] = lambda: None) -> Outcome:
    """The outcome of a plan that was made before `meddle` and carried out after it."""
    with Session(target(host)) as session:
        facts = ask(session, [LastRun(), *questions_of(wanted)])
        plan = make_plan(wanted, facts)
        assert plan.steps
        assert not plan.refusals
        meddle()
        return carry_out(session, new_run(plan.steps, facts.known(LastRun()).after, wait=True), Nobody())


def written(host: VirtualMachine) -> dict[str, int]:
    """How often each data disk was written to since the VM's start, as qemu counts it."""
    host.run("sync")
    counts = {}
    for line in host.monitor("info blockstats").splitlines():
        name, _, fields = line.partition(":")
        if name.startswith("disk") and name != "disk0":
            counts[name] = sum(int(field.split("=")[1]) for field in fields.split() if field.startswith("wr_operations="))
    return counts
