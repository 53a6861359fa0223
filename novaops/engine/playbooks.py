"""The playbooks: found, loaded, and asked which resources a host should have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from novaops.engine import inventory, own_file, two_names
from novaops.engine.desired import DesiredState, HostView, Peers, first_things_first
from novaops.engine.inventory import Host, Inventory
from novaops.engine.own_file import shipped
from novaops.engine.scope import Scope
from novaops.engine.templates import Templates
from novaops.errors import UsageError
from novaops.model.plan import Note, Resource

_FLAGS = {
    ("login", "name"): "user",
    ("proxy", "[key]"): "user",
    ("proxy", "basic"): "password",
    ("proxy", "keys"): "key",
    ("proxy", "limit"): "rate",
    ("proxy", "without"): "remove-user",
    ("tunnel", "check"): "ask",
}
"""Flags that have another name than the key they are for, by section and key; `[key]` is what a mapping has as a key."""

_FOR_ONE_TIME = ("state", "wipe")
"""Flags that need not be what the inventory says."""


@dataclass(frozen=True)
class Playbook:
    """One file of a playbooks folder. docs/adding-a-feature.md shows one being written.

    It has `Settings`, the form of its section, and `desired(host, settings, peers)`, which gives the resources of the host and does no I/O.
    Optional: `prepare(host, settings)`, which resolves what settings only name (secrets, files beside the inventory) and gives
    what `desired` gets as its settings; `desired_of_peers(host, settings, peers)`, which gives what is wanted of other hosts, as pairs of a
    host's name and a resource.
    """

    name: str
    file: Path

    @property
    def is_shipped(self) -> bool:
        """Whether it came with novaops."""
        return self.file.parent == shipped("playbooks")

    @cached_property
    def module(self) -> ModuleType:
        """Raises UsageError when the file is no playbook."""
        return own_file.load(self.file, "playbook", ("Settings", "desired"))

    def prepare(self, host: HostView, settings: Any) -> Any:
        """The settings with all that they only name. The one step between a section and its resources that may do I/O.

        Raises UsageError for what cannot be had.
        """
        prepare = getattr(self.module, "prepare", None)
        return settings if prepare is None else prepare(host, settings)

    def desired_of_peers(self, host: HostView, settings: Any, peers: Peers) -> Iterable[tuple[str, Resource]]:
        """What the section of `host` wants of other hosts."""
        desired = getattr(self.module, "desired_of_peers", None)
        return () if desired is None else desired(host, settings, peers)

    def settings(self, known: Inventory, host: Host) -> Any:
        """The host's section, read. Raises InventoryError."""
        try:
            return TypeAdapter(self.module.Settings).validate_python(host.sections[self.name])
        except ValidationError as error:
            raise inventory.invalid(known, host.places[self.name], error) from None

    def read(self, values: Mapping[str, Any], form: str = "Settings") -> Any:
        """Settings from what flags say, in the given form of the playbook. Raises UsageError that names the flag."""
        try:
            return TypeAdapter(getattr(self.module, form)).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise _usage(self.flag_of(values, _place(first)), first) from None

    def flag_of(self, flags: Mapping[str, Any], place: Sequence[str | int]) -> str:
        """The flag that says what is at this place of an entry, where `flags` are over it; "" where several do together."""
        key, *parts = [part for part in place if isinstance(part, str)] or [""]
        said = flags.get(key)
        if isinstance(said, dict) or (isinstance(said, list) and any(isinstance(each, dict) for each in said)):
            key = parts[-1] if parts[-1:] == ["[key]"] else (parts or [""])[0]
        flag = _FLAGS.get((self.name, key), key)
        return f"--{flag.replace('_', '-')}" if flag else ""

    def section_with(self, known: Inventory, host: Host, flags: Mapping[str, Any]) -> Any:
        """The host's section, which is one mapping, with `flags` over it. Raises UsageError that names the flag, or InventoryError."""
        written = host.sections.get(self.name)
        if not flags and self.name in host.sections:
            return self.settings(known, host)
        try:
            return TypeAdapter(self.module.Settings).validate_python(with_flags(written if isinstance(written, dict) else {}, flags))
        except ValidationError as error:
            first = error.errors()[0]
            if self.name in host.sections and not _is_said(flags, _place(first)):
                raise inventory.invalid(known, host.places[self.name], error) from None
            raise _usage(self.flag_of(flags, _place(first)), first) from None

    def overridden(
        self, known: Inventory, host: Host, key: str, value: str | None, flags: Mapping[str, Any], scope: Scope | None = None
    ) -> Any:
        """The one entry of the host's section whose `key` is `value`, with `flags` over it; a new one if there is none.

        Without `value` those that the verb's `scope` fits, each in its own state, [] where it fits none; all of them with the flags over
        them where there is no scope, or one that takes all. Raises UsageError that names the flag, or InventoryError that names the
        place, whichever is wrong, also for entries that contradict each other.
        """
        entries = self._entries(host)
        over = dict(flags)
        if value is None:
            if not entries:
                raise UsageError(f"say which: --{key}", why=f"{host.name} has no {self.name}: section to take it from.")
            chosen = entries
            if scope:
                chosen = [entry for entry in entries if not scope.leaves(entry)]
                over = over if scope.takes_all else {flag: said for flag, said in flags.items() if flag != "state"}
            if len(chosen) > 1 and flags.keys() - {"state"}:
                choices = ", ".join(str(entry.get(key)) for entry in chosen)
                raise UsageError(f"say which: --{key}", why=f"{host.name} has {len(chosen)}: {choices}.")
        else:
            chosen = [entry for entry in entries if _is_named(entry, key, value)] or [{key: value}]
        wanted = [with_flags(entry, over) for entry in chosen]
        try:
            found = TypeAdapter(self.module.Settings).validate_python(wanted)
        except ValidationError as error:
            raise self._wrong(known, host, key, chosen, over, error) from None
        self._refuse_contradictions(known, host, chosen, wanted)
        return found

    def refuse_two_names(self, known: Inventory, host: Host) -> None:
        """Raises InventoryError where the inventory has the host by another name too, with a section that contradicts this one."""
        for other in known.same_as(host) if self.name in host.sections else ():
            if self.name not in other.sections or host.sections[self.name] == other.sections[self.name]:
                continue
            self.settings(known, host), self.settings(known, other)  # what is wrong in one of them is no contradiction
            found = two_names.contradiction(self.module.Settings, [host.sections[self.name], other.sections[self.name]])
            if found:
                what = found if isinstance(found, str) else inventory.message(found.errors()[0])
                same = f"{host.name} and {other.name} are one host by their address, {host.address}"
                fix = "make them agree, or keep the section under one name; two hosts behind one address have ports of their own: port:"
                raise known.error(host.places[self.name], f"{same}, and contradict each other: {what}", fix)

    def remarks(self, host: Host, value: str | None, flags: Mapping[str, Any], scope: Scope) -> list[Note]:
        """What a verb of this scope has to say of the entries that it leaves, and of those whose declared state it contradicts."""
        notes = []
        for entry in self._entries(host):
            name = f"{self.name}:{entry.get(scope.key)}"
            if value is None and (why := scope.leaves(entry)):
                notes.append(Note(name, f"left as it is: {why}"))
            elif value is None or _is_named(entry, scope.key, value):
                other = (
                    [f"state: {scope.declared(entry)}"] if "state" in flags and not scope.agrees_with(entry) else self._other(entry, flags)
                )
                if other:
                    notes.append(Note(name, f"the inventory has {' and '.join(other)} for it, and apply makes it so again"))
        return notes

    def _other(self, entry: Mapping[str, Any], flags: Mapping[str, Any]) -> list[str]:
        """What of an entry the flags change for this one time."""
        keys = [key for key in flags if key not in _FOR_ONE_TIME]
        form = TypeAdapter(self.module.Settings)
        try:
            (declared,), (wanted,) = (
                form.validate_python([entry]),
                form.validate_python([with_flags(entry, {key: flags[key] for key in keys})]),
            )
        except ValidationError:  # the flags complete it
            return []
        return [f"another {key}" for key in keys if getattr(declared, key, None) != getattr(wanted, key, None)]

    def _entries(self, host: Host) -> list[dict[str, Any]]:
        written = host.sections.get(self.name) or []
        return [dict(entry) for entry in written if isinstance(entry, dict)] if isinstance(written, list) else []

    def _wrong(
        self, known: Inventory, host: Host, key: str, chosen: list[dict[str, Any]], flags: Mapping[str, Any], error: ValidationError
    ) -> UsageError:
        """The error of chosen entries with flags over them, with the flag or the place that it comes from."""
        entries = self._entries(host)
        first = error.errors()[0]
        number, place = _place(first)[:1], _place(first)[1:]
        said = _is_said(flags, place) if place else flags.keys() - {"state"}
        if chosen and chosen[0] in entries and not said:
            where = (*host.places[self.name], *(entries.index(chosen[int(each)]) for each in number), *place)
            return known.error(tuple(part for part in where if part != "[key]"), inventory.message(first))
        return _usage(self.flag_of(flags, place) if place and place[0] in {key, *flags} else "", first)

    def _refuse_contradictions(self, known: Inventory, host: Host, chosen: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
        """Raises InventoryError where the section contradicts itself, UsageError where it contradicts the flags."""
        entries = self._entries(host)
        if all(entry in chosen for entry in entries):
            return
        self.settings(known, host)
        together = [wanted[chosen.index(entry)] if entry in chosen else entry for entry in entries]
        together += [new for entry, new in zip(chosen, wanted, strict=True) if entry not in entries]
        try:
            TypeAdapter(self.module.Settings).validate_python(together)
        except ValidationError as error:
            raise UsageError(inventory.message(error.errors()[0]), why=f"That is with the other entries of {host.name}.") from None


def _place(error: Any) -> tuple[str | int, ...]:
    """Where a pydantic error is, without which form of a union it is of."""
    return tuple(part for part in error["loc"] if not str(part).startswith(("function-", "tagged-")))


def _is_said(flags: Mapping[str, Any], place: Sequence[str | int]) -> bool:
    """Whether the flags say what is at this place, and not the entry that they are over."""
    said: Any = flags
    for part in place:
        if not isinstance(said, Mapping):
            return True
        if part not in said:
            return False
        said = said[part]
    return True


def _usage(flag: str, first: Any) -> UsageError:
    return UsageError(f"{flag}: {inventory.message(first)}" if flag else inventory.message(first))


def _is_named(entry: Mapping[str, Any], key: str, value: str) -> bool:
    return str(entry.get(key)).rstrip("/") == value.rstrip("/")


def with_flags(entry: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with what flags say of it. Of a mapping they say a part: a second user is one more, not one instead."""
    inner = {
        key: with_flags(entry[key], value) for key, value in flags.items() if isinstance(value, dict) and isinstance(entry.get(key), dict)
    }
    return {**entry, **flags, **inner}


class Playbooks:
    """Every playbook there is: the user's own beside the inventory first, then the ones that come with novaops."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is the inventory's. Without an inventory it is None, and only what comes with novaops counts.

        Raises UsageError where somebody else can write what would be used beside the inventory.
        """
        self._folder = folder
        self.overriding = [] if folder is None else own_file.overriding(folder)
        """The user's files that take the place of one of novaops's."""
        self._folders = [*([folder / "playbooks"] if folder else []), shipped("playbooks")]
        self.templates = Templates([*([folder / "templates"] if folder else []), shipped("templates")])

    @cached_property
    def by_name(self) -> Mapping[str, Playbook]:
        found: dict[str, Playbook] = {}
        for folder in self._folders:
            for file in sorted(folder.glob("*.py")):
                if file.stem.isidentifier() and not file.stem.startswith("_"):
                    found.setdefault(file.stem, Playbook(file.stem, file))
        return found

    def schema(self) -> dict[str, Any]:
        """The inventory as a JSON Schema, for editors: the keys of a host, and the section of each playbook."""
        definitions: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        forms = {"access": inventory.Access, **{name: book.module.Settings for name, book in self.by_name.items()}}
        for name, form in forms.items():
            found = TypeAdapter(form).json_schema(ref_template="#/$defs/{model}")
            definitions.update(found.pop("$defs", {}))
            properties.update(found["properties"] if name == "access" else {name: found})
        definitions["api"] = TypeAdapter(inventory.ApiDefaults).json_schema()
        definitions["layer"] = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
        layer = {"$ref": "#/$defs/layer"}
        layers = {"type": ["object", "null"], "additionalProperties": layer}
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "novaops inventory",
            "type": "object",
            "properties": {"defaults": layer, "groups": layers, "hosts": layers, "api": {"$ref": "#/$defs/api"}},
            "additionalProperties": False,
            "$defs": definitions,
        }

    def desired(
        self, known: Inventory, host: Host, only: Iterable[str] | None = None, settings: Mapping[str, Any] | None = None
    ) -> DesiredState:
        """What the sections of `host` want, in the order they are written. `settings` take the place of what is written.

        Raises UsageError, InventoryError, Refused, before anything is contacted.
        """
        given = dict(settings or {})
        written = list(given) if settings is not None else list(host.sections)
        wanted = None if only is None else set(only)
        view = HostView(host.name, host.address, host.groups, self.templates, self._folder or Path(), self._folder)
        peers = Peers(known)
        own: list[tuple[bool, Resource]] = []
        of_peers: list[tuple[Host, Resource]] = []
        for section in (section for section in written if wanted is None or section in wanted):
            playbook = self.by_name[section]
            playbook.refuse_two_names(known, host)
            its = given[section] if section in given else playbook.settings(known, host)
            its = playbook.prepare(view, its)
            own += ((playbook.is_shipped, resource) for resource in playbook.module.desired(view, its, peers))
            of_peers += ((peers[name], resource) for name, resource in playbook.desired_of_peers(view, its, peers))
        # Novaops's own sections do not change where packages come from; what somebody else wrote may.
        runs = ((is_shipped, [resource for _, resource in run]) for is_shipped, run in groupby(own, key=lambda pair: pair[0]))
        return DesiredState([one for is_shipped, run in runs for one in (first_things_first(run) if is_shipped else run)], of_peers)

    def resources(
        self, known: Inventory, host: Host, only: Iterable[str] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[Resource]:
        """Of the desired state what is wanted of the host itself."""
        return list(self.desired(known, host, only, settings).own)
