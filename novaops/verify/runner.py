"""Observes all hosts in parallel, then runs pytest over what was found, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from novaops.engine import parallel as fleet
from novaops.engine.query import Progress, silent
from novaops.errors import NotBegun, NovaopsError, Unknown
from novaops.shell import lines_of
from novaops.ssh.target import Target
from novaops.verify.claims import FEATURES, Entries
from novaops.verify.observed_host import ObservedHost
from novaops.verify.plugin import Check, Plugin


def verify(
    targets: Sequence[Target],
    entries: Mapping[str, Entries],
    progress: Progress,
    *,
    parallel: int,
    junit: Path | None = None,
    reboot: bool = False,
) -> list[tuple[ObservedHost, list[Check]]]:
    """Each host with its checks. `entries` is what is verified of each, by the host's name.

    Raises NovaopsError when pytest itself breaks; what goes wrong with a host is kept as its `error`. At Ctrl-C it raises Interrupted, with
    the checks of what was seen until then.
    """
    hosts = [ObservedHost(target, entries[target.name], progress) for target in targets]
    reboot_all = partial(fleet.each, work=ObservedHost.reboot, parallel=parallel)
    interrupted, seen = False, hosts
    with ExitStack() as stack:
        for observed in hosts:
            stack.callback(observed.session.close)
        try:
            fleet.each(hosts, ObservedHost.observe, parallel)
        except KeyboardInterrupt:
            interrupted, seen = True, [one for one in hosts if one.ended]
        plugin = Plugin(seen, reboot_all if reboot and not interrupted else None)
        try:
            _pytest(plugin, junit)
        except KeyboardInterrupt:
            interrupted = True
    found = [(one, [check for check in plugin.checks if check.case.observed is one]) for one in hosts]
    if interrupted:
        judged = plugin.judged
        raise Interrupted([one if one[0] in judged else _cut_short(*one) for one in found])
    return found


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and how each host stands: what was not judged to its end has an error that says so."""

    def __init__(self, found: list[tuple[ObservedHost, list[Check]]]) -> None:
        super().__init__()
        self.found = found


def _cut_short(before: ObservedHost, checks: list[Check]) -> tuple[ObservedHost, list[Check]]:
    """The host as another object, since a thread may still be at work on the first one."""
    now = ObservedHost(before.session.target, before.entries, silent)
    now.reboots, now.seconds, now.session.execs = before.reboots, before.seconds, before.session.execs
    now.error = NotBegun("interrupted")
    if before.reboots:
        now.error = Unknown("interrupted: it was told to reboot, and not looked at since", fix="novaops verify HOST looks at it again")
    return now, checks


def _pytest(plugin: Plugin, junit: Path | None) -> None:
    """One run that ignores whatever pytest would read from the user's folder, home and environment."""
    arguments = [
        *("--noconftest", "-c", os.devnull, "--rootdir", str(FEATURES)),
        *("--assert=plain", "--capture=no", "-p", "no:terminal"),
        *(part for name in ("cacheprovider", "warnings", "logging", "faulthandler") for part in ("-p", f"no:{name}")),
        *((f"--junitxml={junit.absolute()}", "-o", "junit_suite_name=novaops verify") if junit else ()),
    ]
    with _plain_environment():
        code = pytest.main(arguments, plugins=[plugin])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise NovaopsError(
            f"verify itself went wrong: pytest ended with {pytest.ExitCode(code).name}",
            why=(lines_of(plugin.internal_error.strip()) or [""])[-1],
            fix="run it again with -vv and report what it prints",
        )


@contextmanager
def _plain_environment() -> Iterator[None]:
    """The environment without pytest's variables, so without foreign plugins and options."""
    before = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_")}
    for name in before:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("PYTEST_")]:
            del os.environ[name]
        os.environ.update(before)
