"""novaops api chat and models: a model asked from this machine, by any route."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Flags, Options, verb
from novaops.features.api.access import ApiFlags

if TYPE_CHECKING:
    from novaops.errors import NovaopsError
    from novaops.features.api.access import Access
    from novaops.features.api.chat import Asked
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.llm.protocol import ChatRequest, Client

Text = Annotated[
    str | None, typer.Argument(metavar="TEXT|-", help="The question; - reads it from standard input. Without it, a conversation.")
]


class ParameterFlags(Flags):
    """How the answer is made. A provider that does not have one says so."""

    temperature: Annotated[float | None, typer.Option(min=0, help="0: the likeliest words; higher: more varied ones.")] = None
    top_p: Annotated[float | None, typer.Option("--top-p", min=0, max=1, help="Only the likeliest words that have this share.")] = None
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="The most tokens of an answer.")] = None
    repetition_penalty: Annotated[
        float | None, typer.Option("--repetition-penalty", min=0, help="Above 1: words that were said become unlikelier.")
    ] = None
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many answers.")] = None
    seed: Annotated[int | None, typer.Option(help="The same number gives the same answer, as far as the provider can.")] = None
    user: Annotated[str | None, typer.Option(help="Whom the provider is told that it answers.")] = None


class ContentFlags(Flags):
    """What the model is given besides the question."""

    model: Annotated[str | None, typer.Option(help="Without it the inventory's, or the one in the provider's file.")] = None
    system: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="How the model is to behave.")] = None
    background: Annotated[str | None, typer.Option("--context", metavar="TEXT|@FILE", help="What the answer is to be based on.")] = None
    knowledge: Annotated[
        list[str] | None, typer.Option(metavar="KB", help="A knowledge base, NAME or PROVIDER/ID, as for api ask; again for more.")
    ] = None


def register(app: typer.Typer) -> None:
    verb(app, begins_runs=False)(chat)
    verb(app, begins_runs=False)(models)


def chat(
    options: Options,
    text: Text = None,
    *,
    api: ApiFlags,
    parameters: ParameterFlags,
    content: ContentFlags,
    web_search: Annotated[bool, typer.Option("--web-search", help="Let the model search the web, where the provider does.")] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Wait for the whole answer.")] = False,
) -> int:
    """Ask a model; with a terminal and no text, talk with it. The answer streams to stdout, what it cost is on stderr."""
    from novaops.cli import output
    from novaops.errors import UsageError
    from novaops.features.api.access import choose, opened
    from novaops.features.api.chat import STOPPED, text_of
    from novaops.features.api.llm.chat import ChatClient, body
    from novaops.features.api.llm.protocol import ChatRequest, Message, Parameters

    if text is None and (options.json or not sys.stdin.isatty()):
        raise UsageError("there is no question", fix="novaops api chat TEXT, or - to read it from standard input")
    system = [Message("system", text_of(content.system, file=True))] if content.system else []
    question = [Message("user", text_of(text))] if text else []
    access = choose(options, api)
    api.provider = access.name  # its key is not for the provider of a base's vectors
    searched, ids = _bases(content.knowledge or (), access)
    request = ChatRequest(
        (*system, *question),
        content.model or access.model or access.route.provider.model,
        Parameters(**parameters.given()),
        not no_stream,
        text_of(content.background, file=True) if content.background else "",
        ids,
        web_search=web_search,
    )
    body(request, access.route.provider, access.name)  # what the provider does not have is refused before a route is opened
    talk = _once if question else _conversation
    try:
        with opened(access, options.timeout, output.complain) as http:
            client = _informed(ChatClient(http), options, searched, api) if searched else ChatClient(http)
            return talk(options, client, request, access)
    except KeyboardInterrupt:
        output.complain("")
        output.complain("Stopped.")
        return STOPPED


def _bases(words: Sequence[str], access: Access) -> tuple[list[BaseRef], tuple[str, ...]]:
    """The bases that are searched from here, and the ids of those that the provider searches. Raises UsageError for what is none."""
    if not words:
        return [], ()
    from novaops.errors import UsageError
    from novaops.features.api.knowledge import base
    from novaops.features.api.knowledge.ask import BaseRef

    searched, ids = [], []
    for ref in map(BaseRef.parse, words):
        if not ref.provider:
            base.describe(ref.name)
            searched.append(ref)
        elif ref.provider != access.name:
            raise UsageError(f"the knowledge base {ref} is at {ref.provider}, and {access.name} is asked", fix=f"--provider {ref.provider}")
        elif access.route.provider.searches_to_answer:
            ids.append(ref.name)
        else:
            searched.append(ref)
    return searched, tuple(ids)


def _informed(client: Client, options: Options, bases: Sequence[BaseRef], api: ApiFlags) -> Client:
    """One that gets the passages of these bases for each question."""
    from novaops.features.api.cli_knowledge import passages
    from novaops.features.api.knowledge.ask import InformedClient, in_turn
    from novaops.features.api.knowledge.search import COUNT

    return InformedClient(client, lambda text: in_turn([passages(options, base, text, api, COUNT) for base in bases]))


def _once(options: Options, client: Client, request: ChatRequest, access: Access) -> int:
    from novaops.cli import output
    from novaops.cli.options import say
    from novaops.features.api.chat import Printer, ask

    if options.json:
        asked = ask(client, request, lambda _: None)
        output.document(_document(options, asked, request, access))
        return asked.exit_code
    printer = Printer(several=(request.parameters.n or 1) > 1, reasoning=options.verbose > 0, sources=True)
    asked = ask(client, request, printer.show)
    printer.end(asked, _of(request, access))
    if asked.error:
        say(options, asked.error)
    return asked.exit_code


def _conversation(options: Options, client: Client, request: ChatRequest, access: Access) -> int:
    from contextlib import suppress

    from novaops.cli.options import say
    from novaops.features.api.chat import converse

    gc.enable()  # the console script turned it off for verbs that last a second
    with suppress(ImportError):
        import readline  # noqa: F401 - input() edits lines and remembers them with it

    def complain(error: NovaopsError) -> None:
        say(options, error)

    return converse(client, request, _of(request, access), reasoning=options.verbose > 0, say=complain)


def models(options: Options, *, api: ApiFlags) -> int:
    """The models that the provider offers for this key."""
    from novaops.cli import output
    from novaops.features.api.access import choose, opened
    from novaops.features.api.llm.chat import ChatClient

    access = choose(options, api)
    with opened(access, options.timeout, output.complain) as http:
        found = ChatClient(http).models()
    if options.json:
        output.document({"provider": access.name, "route": access.route.name, "models": found, "exit_code": 0})
    else:
        for one in found:
            output.line(one)
    return 0


def _of(request: ChatRequest, access: Access) -> str:
    return f"{access.name} {request.model} by {access.route.name}"


def _document(options: Options, asked: Asked, request: ChatRequest, access: Access) -> dict[str, object]:
    from novaops.engine import report

    if asked.error:
        report.typed_error(asked.error, options.to_type())
    return {
        "provider": access.name,
        "model": request.model,
        "route": access.route.name,
        **asked.answer.document(),
        **asked.timing.document(),
        "notes": asked.notes,
        "stopped": asked.stopped,
        "error": report.error_json(asked.error),
        "exit_code": asked.exit_code,
    }
