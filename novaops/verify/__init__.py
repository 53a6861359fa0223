"""Independent verification with testinfra: what a host does, seen with questions other than those the engine asks.

A section is verified by its checks: `checks/NAME.py` beside the inventory, else `features/NAME/checks.py` of novaops.
Such a file has

    entries(settings)            what of the section is verified: pairs of a name and an entry. With a second parameter
                                 `folder` it is given the inventory's folder too
    observe(host, entries)       what is found of each entry, in their order, on a testinfra host. Hosts are observed in
                                 parallel. Raises HostFailed where it cannot find out: that is never reported as drift
    test_…(seen)                 one claim each, about what was found of one entry. The docstring completes a sentence
                                 that begins with the entry's name; a failing assert says what was expected and found.
                                 A test may ask for `host` too
    before_reboot(host, seen)    optional: leaves something that should survive a reboot. `seen` is all that was found
    after_reboot(host, seen)     with it: what is found afterwards. A test that asks for `rebooted` gets it

Checks use no facts and no resources of the engine (import-linter enforces it). They share what both must mean the same by: a
section's settings and what follows from them, the paths of the files that the engine writes, the providers' data and what counts as
an answer of theirs (`providers.proof`), how a running sshd was started (`formats.sshd_options`), and the ssh session.

What checks need can be imported from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from novaops.errors import HostFailed
from novaops.verify.backend import output

__all__ = ["HostFailed", "applies", "output"]

Test = TypeVar("Test", bound=Callable[..., None])


def applies(when: Callable[[Any], bool]) -> Callable[[Test], Test]:
    """Decorator: the test is made only of entries for which `when` is true."""

    def decorate(test: Test) -> Test:
        test.applies = when  # type: ignore[attr-defined]
        return test

    return decorate
