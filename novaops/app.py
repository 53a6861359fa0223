"""Every verb put together. Nothing heavy is imported here: `novaops --help` must be as fast as typer itself."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from contextlib import suppress
from typing import Annotated

import typer

from novaops.cli import apply, history, init, verify
from novaops.cli.options import GLOBAL_OPTIONS, Options, say, with_global_options
from novaops.errors import UsageError
from novaops.features.api import cli as api
from novaops.features.disk import cli as disk
from novaops.features.eve import cli as eve
from novaops.features.host import cli as host
from novaops.features.login import cli as login
from novaops.features.proxy import cli as proxy
from novaops.features.tunnel import cli as tunnel
from novaops.features.vpn import cli as vpn
from novaops.lab import cli as lab

app = typer.Typer(
    name="novaops",
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


init.register(app)
app.add_typer(host.app, name="host")
app.add_typer(disk.app, name="disk")
app.add_typer(login.app, name="login")
app.add_typer(proxy.app, name="proxy")
app.add_typer(tunnel.app, name="tunnel")
app.add_typer(vpn.app, name="vpn")
app.add_typer(api.app, name="api")
app.add_typer(eve.app, name="eve")
apply.register(app)
verify.register(app)
history.register(app)
app.add_typer(lab.app, name="lab")


def main() -> None:
    """The console script. Two liberties of a process that lives for a second: no garbage collection while hundreds of
    modules are loaded, and no tidying up of them at the end. Together they are a fifth of a check of a near host.
    """
    gc.disable()
    # What cryptography has to say of somebody's certificate is for its authors: a finding of ours says it, or nobody can help it.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"novaops\.")
    code = run(sys.argv[1:])
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(words: list[str]) -> int:
    """The exit code of a command line. A wrong one is a document too where --json asks for one."""
    options = Options(json="--json" in words)
    try:
        refuse_empty(words)
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


def refuse_empty(words: list[str]) -> None:
    """Raises UsageError for an empty word: it never stands for what is meant where nothing is said. What follows -- is not ours."""
    own = words[: words.index("--")] if "--" in words else words
    for number, word in enumerate(own):
        option, equals, value = word.partition("=")
        if not word.strip() or (equals and option.startswith("--") and not value.strip()):
            before = f" after {own[number - 1]}" if number else ""
            raise UsageError(
                f"{option} has an empty value" if option.strip() else f"there is an empty word{before}",
                why="An unset variable of the shell leaves an empty word. Nothing was contacted.",
                fix="say what is meant there, or leave it out",
            )
