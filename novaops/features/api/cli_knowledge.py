"""novaops api knowledge: knowledge bases of one's own, and at a provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Options, verb
from novaops.features.api.access import ApiFlags

if TYPE_CHECKING:
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.llm.protocol import Passage

app = typer.Typer(
    help="Knowledge bases: of your own on this machine, or at a provider that has them.", no_args_is_help=True, rich_markup_mode=None
)

Base = Annotated[str, typer.Argument(metavar="KB", help="NAME for one of your own, PROVIDER/ID for one at a provider.")]
Count = Annotated[int, typer.Option("--count", min=1, max=50, help="How many passages.")]


def at_provider(api: ApiFlags, provider: str) -> ApiFlags:
    """The flags, for that provider. Raises UsageError where they name another one."""
    from novaops.errors import UsageError

    if api.provider not in {None, provider}:
        raise UsageError(f"the knowledge base is at {provider}, and --provider says {api.provider}")
    api.provider = provider
    return api


def _refuse_unasked(api: ApiFlags, why: str) -> None:
    """Raises UsageError where flags say how an API is asked, and none is."""
    from novaops.errors import UsageError

    if said := [f"--{name}".replace("_", "-") for name in api.given()]:
        raise UsageError(f"{', '.join(said)}: no API is asked", why=why, fix=f"the same without {' and '.join(said)}")


def _refuse_others(api: ApiFlags, name: str) -> None:
    """Raises UsageError where the flags are not for what makes the vectors of a base of one's own."""
    from novaops.errors import UsageError
    from novaops.features.api.knowledge import base

    provider = base.describe(name).embeddings.partition("/")[0]
    if not provider:
        _refuse_unasked(api, f"{name} is on this machine, and has no vectors.")
    elif api.provider not in {None, provider}:
        what = f"the vectors of {name} are of {provider}, and --provider says {api.provider}"
        raise UsageError(what, fix=f"--provider {provider}, or none")


@verb(app, begins_runs=False)
def ls(
    options: Options, kb: Annotated[str | None, typer.Argument(metavar="KB", help="What is in this one.")] = None, *, api: ApiFlags
) -> int:
    """Your own knowledge bases, with --provider those there; with KB the documents in it."""
    from novaops.features.api.cli_shared import reached, show
    from novaops.features.api.knowledge import base
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.remote import stores
    from novaops.formats.size import human

    ref = BaseRef.parse(kb) if kb else None
    if ref is None and (api.provider or api.upstream):
        with reached(options, api) as http:
            bases = stores.bases(http).list()
            there = [(f"{http.name}/{each.id}", each.name, str(each.files), each.said or each.state) for each in bases]
            return show(options, "bases", bases, ("KB", "NAME", "FILES", "STATE"), there, provider=http.name)
    if ref is None or not ref.provider:
        _refuse_unasked(api, "Your own knowledge bases are on this machine; --provider lists those there.")
    if ref is None:
        own = base.list_bases()
        listed = [
            (one.name, "", "", "", one.trouble)
            if one.trouble
            else (one.name, str(one.documents), str(one.passages), human(one.size), one.embeddings or "none")
            for one in own
        ]
        return show(options, "bases", own, ("KB", "DOCUMENTS", "PASSAGES", "SIZE", "VECTORS"), listed)
    if ref.provider:
        with reached(options, at_provider(api, ref.provider)) as http:
            files = stores.bases(http).files(ref.name)
            return show(options, "files", files, ("ID", "NAME", "STATE"), [(one.id, one.name, one.said or one.state) for one in files])
    documents = base.list_documents(ref.name)
    rows = [(one.name, human(one.size), str(one.passages), one.added) for one in documents]
    return show(options, "documents", documents, ("DOCUMENT", "SIZE", "PASSAGES", "ADDED"), rows)


@verb(app, begins_runs=False)
def create(
    options: Options,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How it is called.")],
    *,
    api: ApiFlags,
    embeddings: Annotated[
        str,
        typer.Option(metavar="PROVIDER/MODEL", help="Search by meaning too, with vectors of this model (pip install 'novaops[vectors]')."),
    ] = "",
) -> int:
    """An empty knowledge base: on this machine, or with --provider there."""
    from novaops.cli import output
    from novaops.engine.report import typed
    from novaops.errors import UsageError
    from novaops.features.api.cli_shared import reached
    from novaops.features.api.knowledge import base
    from novaops.features.api.remote import stores

    if api.provider or api.upstream:
        if embeddings:
            raise UsageError("--embeddings is for a knowledge base of your own", why="A provider takes a model of its own.")
        with reached(options, api) as http:
            made = f"{http.name}/{stores.bases(http).create(name).id}"
    else:
        _refuse_unasked(api, "The knowledge base is made on this machine.")
        if embeddings:
            _check_embeddings(options, embeddings)
        base.create(name, embeddings)
        made = name
    if options.json:
        output.document({"kb": made, "status": "changed", "exit_code": 0})
    else:
        output.line(typed(f"~ {made}  changed  made; next: novaops api knowledge add {made} FILE", options.to_type()))
    return 0


def _check_embeddings(options: Options, setting: str) -> None:
    """Raises UsageError unless it is PROVIDER/MODEL, of a provider that there is."""
    from novaops.errors import UsageError
    from novaops.providers.loader import load

    provider, _, model = setting.partition("/")
    if not (provider and model):
        raise UsageError(f"--embeddings {setting} is not like PROVIDER/MODEL", fix="--embeddings openai/text-embedding-3-small")
    known, _ = options.known()
    load(provider, [Path(known.file).parent / "providers"] if known.file else [])


@verb(app, begins_runs=False)
def add(
    options: Options,
    kb: Base,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="json, jsonl, txt, md, pdf or docx.")],
    *,
    api: ApiFlags,
) -> int:
    """Put documents in. The same file again changes nothing; another one of its name takes its place in a base of your own."""
    from novaops.cli import output
    from novaops.features.api.cli_shared import interrupted
    from novaops.features.api.knowledge.ask import BaseRef

    ref = BaseRef.parse(kb)
    done: list[dict[str, object]] = []
    adding = _added_there if ref.provider else _added_here
    try:
        for document, status, more, notes in adding(options, ref.provider, ref.name, files, api):
            done.append({"document": document, "status": status, "notes": [*notes]})
            if not options.json:
                output.line(f"{'~' if status == 'changed' else '✓'} {document}  {status}  {more}".rstrip())
                for note in notes:
                    output.line(f"    note: {note}")
    except KeyboardInterrupt:
        return interrupted("The same command goes on: what is in already is not put in again.")
    if options.json:
        output.document({"kb": str(ref), "documents": done, "exit_code": 0})
    return 0


Added = tuple[str, str, str, Sequence[str]]
"""Document, status, what else is said of it, notes."""


def _added_here(options: Options, _: str, name: str, files: Sequence[Path], api: ApiFlags) -> Iterator[Added]:
    from novaops.features.api.cli_shared import embedder_of
    from novaops.features.api.knowledge import base

    _refuse_others(api, name)
    _of_different_names(files)
    with embedder_of(options, base.describe(name).embeddings, api) as embedder:
        for path in files:
            added = base.add_document(name, path, embedder=embedder)
            count = f"{added.passages} passage{'s' if added.passages != 1 else ''}" if added.passages else ""
            yield added.document, added.status, count, added.notes


def _of_different_names(files: Sequence[Path]) -> None:
    """Raises UsageError where one file would take the place of another one: in a base a document is known by its name."""
    from novaops.errors import UsageError

    first: dict[str, Path] = {}
    for path in files:
        other = first.setdefault(path.name, path)
        if path.absolute() != other.absolute():
            why = "A document is known by its file's name: the second would take the place of the first."
            raise UsageError(f"{other} and {path} have one name", why=why, fix="copy one to another name, and add that")


def _added_there(options: Options, provider: str, name: str, files: Sequence[Path], api: ApiFlags) -> Iterator[Added]:
    from novaops.cli import output
    from novaops.features.api.cli_shared import reached, sending
    from novaops.features.api.remote.adding import KNOWLEDGE, add_to_base, check_files

    with reached(options, at_provider(api, provider)) as http:
        check_files(http, list(files), KNOWLEDGE)
        for path in files:
            with sending(path.name) as sent:
                added = add_to_base(http, name, path, tell=output.complain, sent=sent)
            yield path.name, added.status, added.file.id, ()


@verb(app, begins_runs=False)
def rm(
    options: Options,
    kb: Base,
    documents: Annotated[list[str] | None, typer.Argument(metavar="DOCUMENT", help="Names, or ids at a provider.")] = None,
    *,
    api: ApiFlags,
    whole: Annotated[bool, typer.Option("--whole", help="Delete the knowledge base with all that is in it.")] = False,
) -> int:
    """Take documents out; with --whole delete the knowledge base."""
    from novaops.cli import output
    from novaops.errors import UsageError
    from novaops.features.api.cli_shared import reached
    from novaops.features.api.knowledge import base
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.remote import stores

    ref = BaseRef.parse(kb)
    if bool(documents) == whole:
        raise UsageError("which documents?", fix=f"novaops api knowledge rm {ref} DOCUMENT, or --whole for the knowledge base itself")
    if not ref.provider:
        _refuse_unasked(api, f"{ref} is on this machine.")
    if ref.provider:
        with reached(options, at_provider(api, ref.provider)) as http:
            there = stores.bases(http)
            if whole:
                there.remove(ref.name)
            for document in documents or ():
                there.take_out(ref.name, document)
    elif whole:
        base.remove(ref.name)
    else:
        base.remove_documents(ref.name, documents or ())
    if options.json:
        output.document({"kb": str(ref), "deleted": documents or [str(ref)], "exit_code": 0})
    for document in () if options.json else documents or [str(ref)]:
        output.line(f"~ {document}  changed  deleted")
    return 0


@verb(app, begins_runs=False)
def search(
    options: Options,
    kb: Base,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Any text; it has no special characters.")],
    *,
    api: ApiFlags,
    count: Count = 5,
) -> int:
    """The passages that fit a text best: those whose key it names, then those that have its words, or its meaning."""
    from novaops.cli import output
    from novaops.features.api.knowledge.ask import BaseRef

    ref = BaseRef.parse(kb)
    if not ref.provider:
        _refuse_others(api, ref.name)
    found = passages(options, ref, text, api, count)
    if options.json:
        listed = [{**vars(each), "source": each.source} for each in found]
        output.document({"kb": str(ref), "passages": listed, "exit_code": 0})
        return 0
    for number, each in enumerate(found, 1):
        output.line(f"[{number}] {each.source}  (by {each.found_by})")
        output.lines("\n".join(f"    {line}" for line in each.text.split("\n")))
    if not found:
        output.complain("Nothing fits.")
    return 0


def passages(options: Options, ref: BaseRef, text: str, api: ApiFlags, count: int) -> list[Passage]:
    """Of either kind of base. Raises UsageError where the provider searches only to answer."""
    from novaops.features.api.cli_shared import embedder_of, reached
    from novaops.features.api.knowledge import base
    from novaops.features.api.knowledge.search import search as own
    from novaops.features.api.remote import stores

    if ref.provider:
        with reached(options, at_provider(api, ref.provider)) as http:
            return list(stores.bases(http).search(ref.name, text, count))
    with embedder_of(options, base.describe(ref.name).embeddings, api) as embedder:
        return own(ref.name, text, count, embedder=embedder)
