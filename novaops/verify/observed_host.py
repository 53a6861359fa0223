"""One host during a verification: observed feature by feature, rebooted at most once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from novaops.engine.query import Progress
from novaops.errors import HostFailed, NovaopsError, as_sentence
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from novaops.verify.claims import Entries, Feature

if TYPE_CHECKING:
    from testinfra.host import Host

    from novaops.verify.backend import Ran

Where = tuple[str, str]
"""A feature's name and an entry's."""


class ObservedHost:
    """Errors are kept as values: a host that cannot be observed must not stop the others."""

    def __init__(self, target: Target, entries: Entries, progress: Progress) -> None:
        self.name = target.name
        self.entries = entries
        self.session = Session(target)
        self.error: NovaopsError | None = None
        self.seconds = 0.0
        self.ended = False
        """Whether all was seen that can be, or why it cannot is known."""
        self.reboots = False
        """Whether it was rebooted."""
        self.ran: list[Ran] = []
        self._progress = progress
        self._seen: dict[Where, Any] = {}
        self._rebooted: dict[Where, Any] = {}
        self._host: Host | None = None

    def observe(self) -> None:
        """Connect, and run `observe` of each feature."""
        from novaops.verify.backend import testinfra_host

        started = time.monotonic()
        try:
            self._progress(self.name, "connecting")
            self.session.open()
            self._host, backend = testinfra_host(self.session)
            self.ran = backend.ran
            for feature, entries in self.entries.items():
                self._progress(self.name, f"looking at {feature.name}")
                self._seen |= self._call(feature, "observe", list(entries.values()))
        except Exception as error:  # noqa: BLE001 - one host's bug must not take the other hosts' checks away
            self.error = as_sentence(error)
        finally:
            self.session.close()  # most checks need no more, and thousands of hosts would have it open until the last one is seen
        self.seconds += time.monotonic() - started
        self.ended = True

    def reboot(self) -> None:
        """Reboot it, with `before_reboot` and `after_reboot` of each feature that has them."""
        from novaops.engine.reboot import reboot

        started = time.monotonic()
        marking = [feature for feature in self.entries if hasattr(feature.module, "before_reboot")]
        try:
            self._progress(self.name, "connecting")
            self.session.open()
            for feature in marking:
                self._call(feature, "before_reboot", self._all_seen(feature), gives=False)
            self._progress(self.name, "rebooting")
            self.reboots = True
            reboot(self.session)
            for feature in marking:
                self._progress(self.name, f"looking at {feature.name} after the reboot")
                self._rebooted |= self._call(feature, "after_reboot", self._all_seen(feature))
        except Exception as error:  # noqa: BLE001 - as above
            self.error = as_sentence(error)
        finally:
            self.session.close()
        self.seconds += time.monotonic() - started

    @property
    def host(self) -> Host:
        """The testinfra host. Raises the error that kept it from being reached."""
        if self.error is not None:
            raise self.error
        assert self._host is not None
        return self._host

    def seen(self, where: Where) -> Any:
        """What was found of an entry. Raises the error that prevented it."""
        return self._of(self._seen, where)

    def rebooted(self, where: Where) -> Any:
        """What was found of an entry after the reboot. Raises the error that prevented it."""
        return self._of(self._rebooted, where)

    def _of(self, found: dict[Where, Any], where: Where) -> Any:
        if where not in found and self.error is not None:
            raise self.error
        return found[where]

    def _all_seen(self, feature: Feature) -> list[Any]:
        return [self._seen[feature.name, name] for name in self.entries[feature]]

    def _call(self, feature: Feature, function: str, argument: list[Any], *, gives: bool = True) -> dict[Where, Any]:
        """What a function of the checks gives for each entry. Raises HostFailed for whatever goes wrong inside it, for this host only."""
        try:
            found = getattr(feature.module, function)(self._host, argument)
            return {(feature.name, name): one for name, one in zip(self.entries[feature], found, strict=True)} if gives else {}
        except NovaopsError:
            raise
        except Exception as error:
            raise HostFailed(
                f"verify itself went wrong with {feature.name}: {type(error).__name__}: {error}",
                fix="run it again with -vv and report what it prints",
            ) from error
