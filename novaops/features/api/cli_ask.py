"""novaops api ask: a model answers from a knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Options, verb
from novaops.features.api.access import ApiFlags
from novaops.features.api.cli_chat import ParameterFlags
from novaops.features.api.cli_knowledge import Base, Count

if TYPE_CHECKING:
    from novaops.features.api.access import Access
    from novaops.features.api.chat import Asked
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.llm.protocol import ChatRequest, Passage


def register(app: typer.Typer) -> None:
    verb(app, begins_runs=False)(ask)


def ask(
    options: Options,
    kb: Base,
    text: Annotated[str, typer.Argument(metavar="TEXT|-", help="The question; - reads it from standard input.")],
    *,
    api: ApiFlags,
    parameters: ParameterFlags,
    model: Annotated[str | None, typer.Option(help="Without it the inventory's, or the one in the provider's file.")] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="How the model is to behave.")] = None,
    count: Count = 5,
) -> int:
    """Answer from a knowledge base. The passages that the model got are shown with their source."""
    from novaops.cli import output
    from novaops.features.api.access import choose, opened
    from novaops.features.api.chat import Printer, text_of
    from novaops.features.api.chat import ask as asked_of
    from novaops.features.api.cli_knowledge import at_provider
    from novaops.features.api.knowledge import base
    from novaops.features.api.knowledge.ask import BaseRef
    from novaops.features.api.llm.chat import ChatClient
    from novaops.features.api.llm.protocol import ChatRequest, Message, Parameters

    ref = BaseRef.parse(kb)
    question = text_of(text)
    if not ref.provider:
        base.describe(ref.name)  # the API's key is asked for only where there is something to ask about
    access = choose(options, at_provider(api, ref.provider) if ref.provider else api)
    api.provider = access.name  # its key is not for the provider of a base's vectors
    messages = [Message("system", text_of(system, file=True))] if system else []
    wanted = model or access.model or access.route.provider.model
    request = ChatRequest((*messages, Message("user", question)), wanted, Parameters(**parameters.given()))
    request, passages = _informed(options, ref, request, question, api, count, access)
    with opened(access, options.timeout, output.complain) as http:
        client = ChatClient(http)
        client.check(request)
        if options.json:
            return _document(options, asked_of(client, request, lambda _: None), ref, request, access, passages)
        printer = Printer(several=(request.parameters.n or 1) > 1, reasoning=options.verbose > 0)
        asked = asked_of(client, request, printer.show)
    printer.end(asked, f"{access.name} {request.model} by {access.route.name}")
    _show(options, asked, passages)
    return asked.exit_code


def _informed(
    options: Options, ref: BaseRef, request: ChatRequest, question: str, api: ApiFlags, count: int, access: Access
) -> tuple[ChatRequest, list[Passage]]:
    """The request with passages that were searched for, or with the base's id where the provider searches on the way to an answer."""
    from dataclasses import replace

    from novaops.features.api.cli_knowledge import passages
    from novaops.features.api.knowledge.ask import with_passages

    if ref.provider and access.route.provider.searches_to_answer:
        return replace(request, knowledge=(ref.name,), passages=count), []
    return with_passages(request, passages(options, ref, question, api, count), ref)


def _show(options: Options, asked: Asked, passages: list[Passage]) -> None:
    from novaops.cli import output
    from novaops.cli.options import say

    if asked.error:
        say(options, asked.error)
    sources = [each.source for each in passages] or [each.source or each.text for each in asked.answer.passages]
    if sources:
        output.line("")
    for number, source in enumerate(sources, 1):
        output.line(f"[{number}] {source}")


def _document(options: Options, asked: Asked, ref: BaseRef, request: ChatRequest, access: Access, passages: list[Passage]) -> int:
    from novaops.cli import output
    from novaops.engine import report

    if asked.error:
        report.typed_error(asked.error, options.to_type())
    answer = asked.answer.document()
    own = [{"text": each.text, "source": each.source, "found_by": each.found_by} for each in passages]
    output.document(
        {
            "kb": str(ref),
            "provider": access.name,
            "model": request.model,
            "route": access.route.name,
            **answer,
            "passages": own or answer["passages"],
            **asked.timing.document(),
            "notes": asked.notes,
            "stopped": asked.stopped,
            "error": report.error_json(asked.error),
            "exit_code": asked.exit_code,
        }
    )
    return asked.exit_code
