"""Which stores a provider has, by the words of its data file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from novaops.errors import UsageError
from novaops.features.api.llm.http import Http
from novaops.features.api.remote.openai import OpenAiFiles, VectorStores
from novaops.features.api.remote.protocol import BaseStore, FileStore
from novaops.features.api.remote.sensenova import SenseNovaBases, SenseNovaFiles
from novaops.providers.loader import Files, Provider

_FILES: Mapping[str, Callable[[Http], FileStore]] = {"openai": OpenAiFiles, "sensenova": SenseNovaFiles}
_BASES: Mapping[str, Callable[[Http], BaseStore]] = {"openai": VectorStores, "sensenova": SenseNovaBases}
_SEARCHED = frozenset({"openai"})
_OWN = "a knowledge base of your own needs no provider: novaops api knowledge create NAME"


def files(http: Http) -> tuple[FileStore, Files]:
    """Raises UsageError where the provider's file names none."""
    form = form_of(http.provider, http.name)
    return _FILES[form.form](http), form


def form_of(provider: Provider, name: str) -> Files:
    """How files are kept there. Raises UsageError where the provider's file does not say."""
    if provider.files is None:
        why = "Its file in providers/ names no form of files."
        raise UsageError(f"novaops handles no files at {name}", why=why, fix=_OWN)
    return provider.files


def bases(http: Http) -> BaseStore:
    """Raises UsageError where the provider's file names none."""
    form = http.provider.knowledge
    if form is None:
        why = "Its file in providers/ names no form of knowledge bases."
        raise UsageError(f"novaops knows no knowledge bases at {http.name}", why=why, fix=_OWN)
    return _BASES[form](http)


def searched(provider: Provider) -> bool:
    """Whether its knowledge bases can be searched without a question."""
    return provider.knowledge in _SEARCHED


def scheme(form: Files, name: str, purpose: str, kind: str) -> str:
    """The provider's word for a purpose, for a file whose name ends so. Raises UsageError for one that it does not have."""
    word = form.purposes.get(f"{purpose}{kind}", form.purposes.get(purpose))
    if word is None:
        known = ", ".join(dict.fromkeys(each.partition(".")[0] for each in form.purposes))
        why = f"Its file in providers/ names words for {known}."
        raise UsageError(f"novaops sends {name} no files for {purpose}", why=why, fix="--purpose says which")
    return word
