"""A host that answers as a test wants, for the tests of `eve`."""

from __future__ import annotations

from typing import Any

from novaops.facts.guest_run import Ran
from novaops.facts.machine import MachineFacts
from novaops.facts.nearby import Near
from novaops.facts.nested import nested_virtualization
from novaops.features.eve.candidate import Candidate, Wish
from novaops.features.eve.facts.site import EveSite
from novaops.features.eve.sizing import GIB, class_named
from novaops.features.eve.verdict import judge
from novaops.model.finding import Finding

NEAR = Near(("10.0.0.1",), (("10.0.0.0/24", "eth0"),))
SITE = EveSite("", "", "/opt", 50 * GIB, 45 * GIB)
RAN = Ran("fast", 0.004)


def machine(**fields: Any) -> MachineFacts:
    """A VM of 4 processors and 16 GB with Ubuntu 22.04 that can run VMs."""
    usual: dict[str, Any] = dict.fromkeys(MachineFacts.__dataclass_fields__, "")
    usual |= {"os": "Ubuntu 22.04.5 LTS", "os_id": "ubuntu", "os_version": "22.04", "architecture": "x86_64", "virtualization": "kvm"}
    usual |= {"cpu_flag": "vmx", "kvm_module": "kvm_intel", "kvm_device": "character", "kvm_number": "10:232", "kvm_answer": "12"}
    usual |= {"processors": 4, "memory": int(15.6 * GIB)}
    return MachineFacts(**{**usual, **fields})


def host(run: Any = RAN, site: EveSite = SITE, near: Near | None = NEAR, caller: str = "", **fields: Any) -> Candidate:
    about = machine(**fields)
    return Candidate(about, nested_virtualization(about, run), site, near, caller)


def wish(image_class: str | None = None, **fields: Any) -> Wish:
    return Wish(class_named(image_class), **fields)


def found(subject: str, candidate: Candidate, wanted: Wish | None = None) -> list[Finding]:
    return [one for one in judge(candidate, wanted or wish()) if one.subject == subject]
