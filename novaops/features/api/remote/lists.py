"""Lists in the answers of a provider, page after page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from novaops.features.api.llm.protocol import ApiFailed
from novaops.features.api.llm.reading import fields, objects, text

Ask = Callable[[Mapping[str, str]], Any]
"""The answer to a request with these parameters."""


def pages(ask: Ask, provider: str, what: str, *keys: str) -> Iterator[dict[str, Any]]:
    """The objects of all pages of a list. Raises ApiFailed where they do not end, or a page is none."""
    after: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        document = ask(after)
        found = listed(document, provider, what, *keys)
        yield from found
        if not (fields(document).get("has_more") and found):
            return
        last = text(fields(document).get("last_id") or found[-1].get("id"))
        if last in seen:
            raise ApiFailed(f"{provider} says that a list has more, and sends the same page of it again")
        seen.add(last)
        after = {"after": last}


def listed(document: Any, provider: str, what: str, *keys: str) -> list[dict[str, Any]]:
    """The objects of the list under the first of the keys that has one. Raises ApiFailed where none has: nobody said that it is empty."""
    lists = (fields(document).get(key) for key in keys)
    found = next((each for each in lists if isinstance(each, list)), None)
    if found is None or (found and not objects(found)):
        raise ApiFailed(f"{provider} answers with no list of {what}", fix="is the URL of --upstream right?")
    return objects(found)
