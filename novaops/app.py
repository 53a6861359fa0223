"""Every verb put together. Nothing heavy is imported here: `novaops --help` must be as fast as typer itself."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from novaops.cli.options import GLOBAL_OPTIONS, Options, say, with_global_options
from novaops.errors import NotWritten, UsageError

if TYPE_CHECKING:
    from novaops import features, lab  # noqa: F401 - what VERBS names, for those who follow the imports

VERBS = {
    "init": ("cli.init", "Write an inventory.yaml, ready to edit: a commented example, or the hosts of an inventory of Ansible's."),
    "plan": ("cli.apply", "Show what apply would change."),
    "apply": ("cli.apply", "Make hosts as the inventory wants them, and prove it."),
    "verify": ("cli.verify", "Check independently whether hosts are as the inventory wants them."),
    "history": ("cli.history", "What novaops did to a host, the newest run first."),
    "undo": ("cli.history", "Take a run back, and prove it: of a group each host's newest one."),
    "host": ("features.host.cli", "Hosts: list, look at, trust."),
    "disk": ("features.disk.cli", "Data disks: format, mount, fstab, grow."),
    "login": ("features.login.cli", "Password logins over ssh: allow, deny, status."),
    "proxy": ("features.proxy.cli", "Reverse proxies with nginx: deploy, status, remove."),
    "tunnel": ("features.tunnel.cli", "Tunnels over ssh: up, status, down, open."),
    "vpn": ("features.vpn.cli", "OpenVPN for named routes only: up, status, down, lint; and servers."),
    "api": ("features.api.cli", "LLM APIs: which routes a host has to one, and questions to its models."),
    "eve": ("features.eve.cli", "EVE-NG: check, install, status, images, labs."),
    "report": ("cli.report", "Reports of --json."),
    "lab": ("lab.cli", "Throwaway hosts on this machine, to rehearse on."),
}
"""Where each verb is, and what --help says of it: only the one that is called is imported."""


class _Commands(MutableMapping[str, Any]):
    """The verbs as typer's commands, each made when it is asked for: to make all of them takes as long as to import typer."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(name, import_module(f"novaops.{VERBS[name][0]}"))
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in VERBS

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]


def _command(name: str, module: Any) -> Any:
    """What a module adds to the command line: a group of its own, or single verbs."""
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer()
        group.callback()(lambda: None)
        module.register(group)
        return typer.main.get_group(group).commands[name]
    made = typer.main.get_group(group)
    made.name = name
    return made


class Tree(TyperGroup):
    """All verbs. Its help is written from the table."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": _Commands()})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        room = formatter.width - 6 - max(map(len, VERBS))
        with formatter.section("Commands"):
            formatter.write_dl([(name, TyperCommand(name, help=text).get_short_help_str(room)) for name, (_, text) in VERBS.items()])


app = typer.Typer(
    name="novaops",
    cls=Tree,
    help="Take a Linux host from “I can ssh into it” to “it does its job, and I can prove it”.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback form
    if wanted:
        from novaops import __version__

        typer.echo(f"novaops {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")]


@app.callback()
@with_global_options
def root(context: typer.Context, *, version: Version = False) -> None:
    """Take a Linux host from “I can ssh into it” to “it does its job, and I can prove it”."""
    del version
    context.obj = Options(**{name: context.params[name] for name in GLOBAL_OPTIONS})


def main() -> None:
    """The console script. Two liberties of a process that lives for a second: no garbage collection while hundreds of
    modules are loaded, and no tidying up of them at the end. Together they are a fifth of a check of a near host.
    """
    gc.disable()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # who ignores it goes on ignoring it
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C, the state of each host is shown
    # What cryptography has to say of somebody's certificate is for its authors: a finding of ours says it, or nobody can help it.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"novaops\.")
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _closed(name))
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except OSError as error:  # of typer's own words, or of what was still to be written
        code = not_written(NotWritten(error))
    except NotWritten as error:
        code = not_written(error)
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _closed(name: str) -> TextIO:
    """In place of a stream that was closed, so that no other file takes its number. What is written to such a standard output fails."""
    number = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
    return open(number, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: PTH123 - till the end; it has no path


def not_written(error: NotWritten) -> int:
    """The exit code, after saying why. Who closed a pipe has seen enough, and is told nothing more."""
    from novaops.cli import output
    from novaops.engine import report

    if not isinstance(error.__cause__, BrokenPipeError):
        for _, text in report.error_lines(error):
            output.complain(text)
    return error.exit_code


def run(words: list[str]) -> int:
    """The exit code of a command line. A wrong one is a document too where --json asks for one."""
    options = Options(json="--json" in words)
    # Our models have no plugins. To look for some, pydantic reads the metadata of every package that is installed beside it.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    try:
        own = words[: words.index("--")] if "--" in words else words  # what follows -- is not ours
        refuse_empty(own)
        refuse_twice(own)
        return int(app(words, prog_name="novaops", standalone_mode=False) or 0)
    except typer.TyperException as error:
        if options.json:
            say(options, UsageError(error.format_message(), fix="novaops --help shows how"))
        else:
            show = getattr(error, "show", None)
            show() if show else typer.echo(str(error), err=True)
        return error.exit_code
    except UsageError as error:
        say(options, error)
        return error.exit_code
    except typer.Abort:
        typer.echo("Interrupted.", err=True)
        return 130


NARROWING = ("--limit", "--only", "--shard")
"""Options that leave out some of what is meant."""


def refuse_twice(words: list[str]) -> None:
    """Raises UsageError for an option that narrows and is there twice: the last one alone would count, and widen the first."""
    said = [word.partition("=")[0] for word in words]
    if twice := next((option for option in NARROWING if said.count(option) > 1), None):
        fix = "say it once" + ("" if twice == "--shard" else f": {twice} with commas has all that one of them names")
        raise UsageError(
            f"{twice} is given twice", why="Each leaves something out, and only one would count. Nothing was contacted.", fix=fix
        )


def refuse_empty(words: list[str]) -> None:
    """Raises UsageError for an empty word: it never stands for what is meant where nothing is said."""
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not word.strip() or (equals and option.startswith("--") and not value.strip()):
            before = f" after {words[number - 1]}" if number else ""
            raise UsageError(
                f"{option} has an empty value" if option.strip() else f"there is an empty word{before}",
                why="An unset variable of the shell leaves an empty word. Nothing was contacted.",
                fix="say what is meant there, or leave it out",
            )
