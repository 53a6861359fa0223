"""What all verbs share: the global options, accepted before and after the verb, and the one place where errors end."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.engine.guard import LEAST, SECONDS
from novaops.errors import InternalError, NotWritten, NovaopsError, UsageError

if TYPE_CHECKING:
    from novaops.engine.converge import RunOptions
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.engine.report import HostReport
    from novaops.secret import Secret
    from novaops.ssh.target import Target

PARALLEL = 16
TIMEOUT = 30.0
_LONGEST = 86_400
"""Seconds: a day."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

Hosts = Annotated[list[str] | None, typer.Argument(metavar="HOST", help="Names or groups of the inventory, or user@address[:port].")]
OneHost = Annotated[str, typer.Argument(metavar="HOST", help="A name of the inventory, a group (all its hosts), or user@address[:port].")]
SingleHost = Annotated[str, typer.Argument(metavar="HOST", help="A name of the inventory, or user@address[:port]; no group.")]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit 3 if something would change.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show what changes inside files.")]
Guard = Annotated[
    int, typer.Option(min=LEAST, help="Seconds the host waits for a fresh login before it rolls back what could lock somebody out.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail at once when another run is at work on the host.")]


Serial = Annotated[
    str | None, typer.Option(metavar="N|N%", help="Work in batches of so many hosts. A batch begins when the one before it has ended.")
]
StopAfter = Annotated[int | None, typer.Option(min=1, metavar="N", help="Begin no host any more once so many have failed.")]
Shard = Annotated[str | None, typer.Option(metavar="I/N", help="The I-th of N parts of the hosts only; the others are for other machines.")]

Executor = Annotated[
    str | None, typer.Option(metavar="dask://HOST:PORT", help="Let the workers of a dask cluster work on the hosts (docs/fleet.md).")
]

Only = Annotated[str | None, typer.Option("--only", metavar="SECTION,...", help="These sections only.")]


def sections(only: str | None, known: Iterable[str]) -> list[str] | None:
    """The sections that --only names; None where it is not given. Raises UsageError for an unknown one, and where it names none."""
    if only is None:
        return None
    from novaops.formats import names

    named = names.words(only)
    unknown = [name for name in named if name not in known]
    if unknown or not named:
        what = f"there is no section {unknown[0]}" if unknown else f'--only "{only}" names no section'
        raise UsageError(what, fix=f"there are {', '.join(known)}")
    return named


class Group:
    """Options that belong together: a class whose annotated attributes are options. A verb with a parameter of it has them all.

    No dataclass: making a dozen of them takes a third of the time that importing typer takes, at each start.
    """

    def __init__(self, **said: Any) -> None:
        for name in self.names():
            setattr(self, name, said.get(name, getattr(self, name)))

    @classmethod
    def names(cls) -> list[str]:
        """Its options, in the order written."""
        return [name for base in reversed(cls.__mro__) for name in inspect.get_annotations(base)]

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        annotations = {name: one for base in cls.__mro__ for name, one in inspect.get_annotations(base, eval_str=True).items()}
        return [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(cls, name), annotation=annotations[name])
            for name in cls.names()
        ]


class Run(Group):
    """How a run is to go: what every verb takes that changes something."""

    check: Check = False
    diff: Diff = False
    no_wait: NoWait = False

    def options(self) -> RunOptions:
        from novaops.engine.converge import RunOptions

        return RunOptions(self.check, not self.no_wait)


class RollingRun(Run):
    """The same for a verb that many hosts at once are given to."""

    serial: Serial = None
    stop_after: StopAfter = None
    shard: Shard = None

    def options(self) -> RunOptions:
        from novaops.engine.rollout import read

        return replace(super().options(), rollout=read(self.serial, self.stop_after, self.shard))


class GuardedRun(RollingRun):
    """The same for a verb that may do what could lock somebody out."""

    guard: Guard = SECONDS

    def options(self) -> RunOptions:
        return replace(super().options(), guard=self.guard)


class Flags(Group):
    """The keys of a section's entry, as options."""

    def given(self) -> dict[str, Any]:
        """Those that were said, by key."""
        return {name: value for name in self.names() if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Options:
    """The global options as given; what was not given is None, False or 0."""

    inventory: Path | None = None
    json: bool = False
    verbose: int = 0
    parallel: int | None = None
    timeout: float | None = None
    ask_sudo_password: bool = False
    limit: str | None = None
    persist: str | None = None

    def over(self, before: Options) -> Options:
        """These, with what only `before` has: options given after the verb win over those before it."""
        missing = {f.name: getattr(before, f.name) for f in fields(self) if not getattr(self, f.name)}
        return replace(self, **missing)

    def to_type(self) -> str:
        """The global options that a command which we give has to have."""
        from novaops.shell import join

        return join(("-i", str(self.inventory))) if self.inventory else ""

    def known(self) -> tuple[Inventory, Playbooks]:
        """The inventory and the playbooks, read once. Raises InventoryError."""
        return self._known

    @functools.cached_property
    def _known(self) -> tuple[Inventory, Playbooks]:
        from novaops.engine import inventory
        from novaops.engine import playbooks as desired
        from novaops.engine.limit import Limit

        file = inventory.found(self.inventory)
        playbooks = desired.Playbooks(file and file.parent)
        for own in playbooks.overriding:
            from novaops.cli import output

            output.complain(f"{own} is used in the place of the one that comes with novaops")
        known = inventory.load(file, list(playbooks.by_name))
        if self.limit is None:
            return known, playbooks
        limit = Limit.read(self.limit, known)
        if limit.gone:
            from novaops.cli import output

            output.complain(limit.gone)
        return replace(known, limit=limit), playbooks

    def noted(self, reports: Iterable[HostReport]) -> list[HostReport]:
        """The reports; for a machine with a note of each of novaops's files that is not used, and of hosts that a limit has and the
        inventory has not. People were told before.
        """
        from novaops.model.plan import Note

        if not self.json:
            return list(reports)
        known, playbooks = self.known()
        notes = [Note(str(own), "is used in the place of the one that comes with novaops") for own in playbooks.overriding]
        notes += [Note("--limit", known.limit.gone)] if known.limit and known.limit.gone else []
        return [replace(one, notes=(*one.notes, *notes)) for one in reports]

    def sudo_password(self) -> Secret | None:
        """Asked once, before anything is contacted. The one question novaops asks, and only where a flag says so."""
        return self._sudo_password

    @functools.cached_property
    def _sudo_password(self) -> Secret | None:
        if not self.ask_sudo_password:
            return None
        import getpass

        from novaops.secret import Secret

        try:
            return Secret(getpass.getpass("sudo password: "))
        except (EOFError, OSError):
            raise UsageError(
                "there is nobody to ask for the sudo password",
                fix="write sudo_password: env:NAME in the inventory instead",
            ) from None

    def targets(self, hosts: list[Host], *, changing: bool = False) -> dict[str, Target]:
        """How to reach each host, by name. Raises UsageError when a secret cannot be had, or so many connections, or they cannot be kept.

        A sudo password is read where sudo asks for it; with `changing`, one that is not there is found before any host is changed.
        """
        from novaops.engine.parallel import make_room

        make_room(min(len(hosts), self.parallel or PARALLEL))
        password, persist = self.sudo_password(), self.persist_seconds()
        targets = {host.name: host.target(self.timeout or TIMEOUT, password, persist) for host in hosts}
        if changing and password is None:
            for host in hosts:
                host.need_sudo_password(targets[host.name])
        if any(target.persist for target in targets.values()):
            from novaops.ssh import kept

            kept.check_folder()
        return targets

    def persist_seconds(self) -> int | None:
        """None where it is not given. Raises UsageError; every verb looks, also one that keeps no connection."""
        if self.persist is None:
            return None
        from novaops.formats import names

        try:
            return names.duration(self.persist)
        except ValueError as error:
            raise UsageError(f"--persist {self.persist}", why=str(error), fix="--persist 60s") from None


def _global_parameters() -> dict[str, inspect.Parameter]:
    panel = "Global options"
    annotations: dict[str, tuple[Any, Any]] = {
        "inventory": (
            Annotated[
                Path | None,
                typer.Option("-i", "--inventory", help="The inventory [default: ./inventory.yaml].", rich_help_panel=panel),
            ],
            None,
        ),
        "json": (Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=panel)], False),
        "verbose": (
            Annotated[int, typer.Option("-v", "--verbose", count=True, help="More words; -vv for tracebacks.", rich_help_panel=panel)],
            0,
        ),
        "parallel": (
            Annotated[int | None, typer.Option("--parallel", min=1, help=f"Hosts at once [default: {PARALLEL}].", rich_help_panel=panel)],
            None,
        ),
        "timeout": (
            Annotated[
                float | None,
                typer.Option(
                    "--timeout", min=0.1, max=_LONGEST, help=f"Seconds a host may be silent [default: {TIMEOUT:g}].", rich_help_panel=panel
                ),
            ],
            None,
        ),
        "limit": (
            Annotated[
                str | None,
                typer.Option(
                    "--limit",
                    metavar="HOST,...",
                    help="Of the hosts that are meant only these; @failed: what failed last.",
                    rich_help_panel=panel,
                ),
            ],
            None,
        ),
        "persist": (
            Annotated[
                str | None,
                typer.Option(
                    "--persist", metavar="TIME", help="Keep connections for so long, for the next call: 60s.", rich_help_panel=panel
                ),
            ],
            None,
        ),
        "ask_sudo_password": (
            Annotated[bool, typer.Option("--ask-sudo-password", help="Ask once for the sudo password.", rich_help_panel=panel)],
            False,
        ),
    }
    return {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in annotations.items()
    }


GLOBAL_OPTIONS = _global_parameters()


def with_global_options(function: Callable[..., None]) -> Callable[..., None]:
    """`function`, taking the global options as well; it finds them in its context's `params`."""

    @functools.wraps(function)
    def call(**values: Any) -> None:
        function(**{name: value for name, value in values.items() if name not in GLOBAL_OPTIONS})

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
    ]
    call.__signature__ = inspect.Signature([*own, *GLOBAL_OPTIONS.values()])  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in [*own, *GLOBAL_OPTIONS.values()]}
    return call


def verb(
    app: typer.Typer, name: str | None = None, *, begins_runs: bool = True
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Make a function a verb of `app`. It gets the global options as its first argument and returns the exit code.

    `begins_runs`: whether it may change a host, where its run goes on after Ctrl-C.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        groups = {p.name: p.annotation for p in own if isinstance(p.annotation, type) and issubclass(p.annotation, Group)}
        members = {name: group.parameters() for name, group in groups.items()}
        own = [one for parameter in own for one in members.get(parameter.name, [parameter])]

        def call(context: typer.Context, **values: Any) -> None:
            options = Options(**{name: context.params[name] for name in GLOBAL_OPTIONS}).over(context.find_root().obj)
            said = dict(values)
            whole = {name: group(**{one.name: values.pop(one.name) for one in members[name]}) for name, group in groups.items()}

            def work() -> int | None:
                refuse_endless(said)
                options.persist_seconds()
                return function(options, **values, **whole)

            raise typer.Exit(guarded(options, work, begins_runs=begins_runs))

        call.__doc__ = function.__doc__
        call.__name__ = function.__name__
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
                *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
            ]
        )
        app.command(name or function.__name__.replace("_", "-"))(with_global_options(call))
        return function

    return decorate


def refuse_endless(said: Mapping[str, Any]) -> None:
    """Raises UsageError for a number of an option that is none to count with. What has no upper bound takes inf."""
    for name, value in said.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')} {value} is no finite number", fix="say a number, or leave it out")


def guarded(options: Options, work: Callable[[], int | None], *, begins_runs: bool = True) -> int:
    """The exit code of `work`. Whatever goes wrong ends here, as a sentence; but for NotWritten, which nobody could read in the results."""
    try:
        return work() or 0
    except NotWritten:
        raise
    except NovaopsError as error:
        say(options, error)
        return error.exit_code
    except KeyboardInterrupt as stop:
        from novaops.cli import output
        from novaops.engine.report import as_json, typed
        from novaops.engine.rollout import Interrupted

        if isinstance(stop, Interrupted):  # of a verb that only looks
            told = sum(report.status != "not_begun" for report in stop.reports)
            output.complain("")
            output.complain(f"Interrupted. Of {len(stop.reports)} hosts {told} had answered.")
            if options.json:
                output.document(as_json(output.prepare(options, stop.reports), INTERRUPTED))
            return INTERRUPTED
        follow = typed("novaops history HOST shows how it ended", options.to_type())
        goes_on = f" A run that was begun on a host goes on there by itself: {follow}." if begins_runs else ""
        output.complain("")
        output.complain(f"Interrupted.{goes_on}")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the promise is: never a traceback without -vv
        say(options, InternalError(error))
        return 1


def say(options: Options, error: NovaopsError) -> None:
    """An error that ends a call: as sentences on stderr, or as the one document."""
    from novaops.cli import output
    from novaops.engine import report

    report.typed_error(error, options.to_type())
    if options.verbose > 1:
        output.trace(error)
    if options.json:
        output.document(report.no_hosts_json(error))
        return
    for _, text in report.error_lines(error):
        output.complain(text)
