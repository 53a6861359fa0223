"""Two names of one host in an inventory: what both declare of it is declared of one host. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

_KEYS = ("name", "path")
"""By which an entry of a list is known."""


def contradiction(form: Any, sections: Sequence[Any]) -> str | ValidationError:
    """What cannot be in both of two sections, which are valid each by itself; "" where all can.

    `form` is the section's. Entries of a list that only one has are the other's too, as if all were written under one name; so the error
    can be the form's own, of both together. What both have must be the same.
    """
    first, second = (TypeAdapter(form).validate_python(section) for section in sections)
    if not isinstance(first, list) or not isinstance(second, list):
        return _difference(first, second)
    known = {_key(entry): entry for entry in first}
    for entry in second:
        if said := _difference(known.get(_key(entry), entry), entry):
            return f"{_key(entry)}: {said}"
    new = [written for written, entry in zip(sections[1], second, strict=True) if _key(entry) not in known]
    try:
        TypeAdapter(form).validate_python([*sections[0], *new])
    except ValidationError as error:
        return error
    return ""


def _key(entry: Any) -> str:
    return next((str(found) for key in _KEYS if (found := getattr(entry, key, None))), repr(entry))


def _difference(one: Any, other: Any) -> str:
    if one == other:
        return ""
    if not isinstance(one, BaseModel) or not isinstance(other, BaseModel) or type(one) is not type(other):
        return "the two are not the same"
    keys = [field.alias or key for key, field in type(one).model_fields.items() if getattr(one, key) != getattr(other, key)]
    return f"{' and '.join(keys)} {'differs' if len(keys) == 1 else 'differ'}"
