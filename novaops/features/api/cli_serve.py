"""novaops api serve: a small model on this machine, for as long as the command runs."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from novaops.cli.options import Options, verb

_PORT = 8765
"""That of providers/local.yaml."""


def register(app: typer.Typer) -> None:
    verb(app, begins_runs=False)(serve)


def serve(
    options: Options,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0 takes any free one.")] = _PORT,
    key: Annotated[str | None, typer.Option(metavar="SOURCE", help="The key that clients send; without it one is made and kept.")] = None,
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="A model in the GGUF format [default: SmolLM2-135M].")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads; more than there are idle processors make it slower.")] = 1,
    tokens: Annotated[int, typer.Option("--tokens", min=256, help="Tokens of a question with its answer.")] = 4096,
) -> int:
    """Serve a small model on loopback, in OpenAI's language, until Ctrl-C: no account, no internet. `--provider local` asks it."""
    from novaops.cli import output
    from novaops.engine.report import typed
    from novaops.engine.secret_source import resolve
    from novaops.features.api.llm.protocol import sendable
    from novaops.features.api.local_model import LocalModel, kept_key, model_file, serving
    from novaops.providers.loader import load

    file, name = model_file(model)
    source = key or load("local").key.source or ""
    secret = sendable(resolve(key), key) if key else kept_key(Path(source.removeprefix("file:")).expanduser())
    ends = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # the server's threads inherit it, so that this one is told
    try:
        with serving(LocalModel(file, name, secret, port=port, threads=threads, context=tokens)) as url:
            if options.json:
                output.document({"url": f"{url}/v1", "model": name, "key": source, "exit_code": 0})
            else:
                upstream = "" if port == _PORT else f" --upstream {url}/v1"
                output.line(f"{name} answers at {url}/v1; the key is in {source}")
                own_key = f" --key {shlex.quote(key)}" if key else ""
                asks = f"novaops api chat --provider local{upstream}{own_key} TEXT asks it. Ctrl-C ends it."
                output.line(typed(asks, options.to_type()))
            sys.stdout.flush()
            signal.sigwait(ends)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0
