"""The second pair of eyes: testinfra looks at behaviour, and shares nothing with the engine that made it so.

A feature is verified by a file of its name here, `verify/disk.py` for `disk:`, which has

    entries(settings)            what of the section is looked at: pairs of a name and an entry
    observe(host, entries)       what is seen of each entry, on a testinfra host: few execs; many hosts are looked at at once
    test_…(seen)                 one claim each. The docstring completes a sentence that begins with the entry's name,
                                 and a failing assert says what was expected and what was found
    before_reboot(host, seen)    only where something is to survive a reboot: leaves a mark
    after_reboot(host, seen)     what is found afterwards; tests get it as `rebooted`

`observe` raises HostFailed where it could not see: that is no drift, and never reported as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., None])


def applies(when: Callable[[Any], bool]) -> Callable[[Test], Test]:
    """A test that is made only for the entries for which `when` is true."""

    def decorate(test: Test) -> Test:
        test.applies = when  # type: ignore[attr-defined]
        return test

    return decorate
