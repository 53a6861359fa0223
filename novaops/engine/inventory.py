"""inventory.yaml: the hosts, how to log in to them, and their sections.

The content of a section is read by its playbook. Here it is kept unread, with the place where it was written.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from novaops.engine import last_run, own_file, secret_source
from novaops.engine.limit import Limit, shortened
from novaops.errors import InventoryError, UsageError
from novaops.formats import ansible, names, yaml_text
from novaops.formats.yaml_text import Document
from novaops.secret import Secret
from novaops.ssh.known_names import ssh_knows
from novaops.ssh.target import Target

DEFAULT_FILE = Path("inventory.yaml")

_ADDRESS = re.compile(r"\.|:.*:|^localhost(:|$)")
"""What a word has that can only be an address: a domain or an IP address. A port makes none of a bare name."""

_TOP = ("defaults", "groups", "hosts", "api")
_ELSEWHERE = {
    **dict.fromkeys(("hosts", "children", "members"), "a host or a group says which groups it is in: groups: [NAME]"),
    **dict.fromkeys(("proxyjump", "proxy_jump", "jump", "jump_host", "bastion"), "a jump host stands in ~/.ssh/config: ProxyJump"),
}
"""What others write into a host or a group, and how that is said here. A key that looks alike would lead astray."""

_SSH = 22

_NAME_ONE = "name it as user@address, or by its name in an inventory"


class Access(BaseModel):
    """The keys of a host, of `defaults` and of a group that say how to reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str | None = None
    port: Annotated[int | None, BeforeValidator(lambda value: None if value is None else names.port(value))] = None
    user: names.Login | None = None
    identity: str | None = None
    """The private key's file; without it ssh's own keys and agent are used."""
    known_hosts: str | None = None
    sudo_password: str | None = None
    """env:NAME, file:PATH or cmd:WORDS."""
    persist: names.Duration | None = None
    """How long a connection is kept for the next call, such as 60s."""
    groups: list[names.Name] = []


class ApiDefaults(BaseModel):
    """`api:` of the inventory: which API the verbs of `novaops api` talk to from this machine, unless a flag says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: names.Name | None = None
    upstream: str | None = None
    """Where the provider's API is for this user: https://HOST[:PORT]/PATH."""
    model: str | None = None
    key: secret_source.Reference | None = None
    key_id: secret_source.Reference | None = None
    """The id of an access key, whose secret is `key`."""
    route: str = "direct"
    """direct, HOST, or proxy:HOST/SITE."""


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    access: Access
    groups: frozenset[str]
    sections: Mapping[str, Any]
    """The content of each section, unread."""
    places: Mapping[str, yaml_text.Path]
    """Where each section was written: in the host, a group, or the defaults."""
    port: int | None = None

    def target(self, timeout: float, sudo_password: Secret | None = None, persist: int | None = None) -> Target:
        """`persist`, in seconds, wins over the inventory's. The inventory's sudo password is read where sudo asks for it.

        Raises UsageError where that password is no reference.
        """
        reference = self.access.sudo_password
        if sudo_password is None and reference:
            sudo_password = secret_source.when_needed(reference)
        return Target(
            *(self.name, self.address, self.port or self.access.port, self.access.user),
            *(self.access.identity, self.access.known_hosts, sudo_password),
            timeout=timeout,
            persist=names.duration(self.access.persist or "0s") if persist is None else persist,
        )

    def need_sudo_password(self, target: Target) -> None:
        """Read it now, but for one that a command says. Raises UsageError where it is not there."""
        if target.sudo_password is not None and not (self.access.sudo_password or "").startswith("cmd:"):
            target.sudo_password.reveal()


@dataclass(frozen=True)
class Inventory:
    file: str
    """"" when there is no inventory: hosts are then given as user@address."""
    hosts: Mapping[str, Host]
    groups: frozenset[str]
    document: Document = field(repr=False, default_factory=lambda: Document(None, {}))
    api: ApiDefaults = field(default_factory=ApiDefaults)
    limit: Limit | None = None
    """What --limit leaves of the hosts that are meant."""

    def find(self, words: Iterable[str], section: str | None = None) -> list[Host]:
        """The hosts with these names or in these groups, each once, in the inventory's order; without words every host with `section`.

        The words never mean more than they say, and a limit leaves some of what they mean. Raises UsageError for an empty one, for a
        group without hosts, for a name that is neither a host nor a group nor an address, and where the limit leaves no host.
        """
        found = self._found(list(words), section)
        return self.limit.of(found) if self.limit else found

    def _found(self, words: Sequence[str], section: str | None) -> list[Host]:
        if not words:
            found = [host for host in self.hosts.values() if section is None or section in host.sections]
            if not found:
                raise self._no_hosts(section)
            return found
        chosen: dict[str, Host] = {}
        for word in words:
            for host in self.meant(word):
                chosen.setdefault(host.name, host)
        return sorted(chosen.values(), key=self.order)

    def order(self, host: Host) -> int:
        """By which hosts are sorted: as the inventory has them. Those that are not in it come last, and stay as they are."""
        return self._order.get(host.name, len(self._order))

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.hosts)}

    def meant(self, word: str) -> Iterator[Host]:
        """The hosts that one word means, whatever the limit. Raises UsageError."""
        if not word.strip():
            raise UsageError("the name of a host is empty", why="An unset variable of the shell leaves an empty word.", fix=_NAME_ONE)
        if word == last_run.FAILED:
            raise UsageError(f"{word} is no host", fix=f"--limit {word} leaves, of the hosts that are meant, those that failed")
        if word in self.hosts:
            yield self.hosts[word]
        elif word in self.groups:
            members = [host for host in self.hosts.values() if word in host.groups]
            if not members:
                raise UsageError(f"the group {word} has no hosts", fix=f"give a host of {self.file} groups: [{word}]")
            yield from members
        elif "@" in word or (not self.file and (_ADDRESS.search(word) or ssh_knows(word.partition(":")[0]))):
            yield adhoc(word)
        elif not self.file:
            why = "There is no inventory, and ssh's own configuration does not name it."
            raise UsageError(f"there is no host {word}", why=why, fix=f"user@{word} reaches a host of that name; or {_NAME_ONE}")
        else:
            close = difflib.get_close_matches(word, [*self.hosts, *self.groups], 1)
            raise UsageError(
                f"{self.file} has no host or group {word}",
                why=f"Did you mean {close[0]}?" if close else f"It has {shortened(list(self.hosts)) or 'no hosts'}.",
                fix=f"user@{word} reaches a host that is not in the inventory",
            )

    def same_as(self, host: Host) -> list[Host]:
        """The same host by its other names: those with its address and port."""
        return [other for other in self._by_place.get(_place(host), ()) if other.name != host.name]

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, int], list[Host]]:
        found: dict[tuple[str, int], list[Host]] = {}
        for host in self.hosts.values():
            found.setdefault(_place(host), []).append(host)
        return found

    def _no_hosts(self, section: str | None) -> UsageError:
        if not self.file:
            return UsageError(
                "no host was named, and there is no inventory",
                fix="name one as user@address, or write one: novaops init",
            )
        what = f"no host with a {section}: section" if section and self.hosts else "no hosts"
        return UsageError(f"{self.file} has {what}", fix="add one, or name a host as user@address")

    def error(self, path: yaml_text.Path, message: str, fix: str = "") -> InventoryError:
        """An error about the value at `path`, with its line."""
        where = "".join(f"{part}: " for part in ["/".join(str(part) for part in path)] if part)
        return InventoryError(f"{self.file}: {where}{message}", why=f"{self.file}:{self.document.line(path)}", fix=fix)


def _place(host: Host) -> tuple[str, int]:
    return host.address.lower().rstrip("."), host.port or host.access.port or _SSH


def adhoc(word: str) -> Host:
    """A host that is not in the inventory: [user@]address[:port]. Raises UsageError."""
    user, at, rest = word.rpartition("@")
    try:
        address, port = names.address(rest, names.ssh_host)
        access = Access(user=user if at else None)
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{word} is not a host", why=_reason(error), fix="write it as user@address or user@address:port") from None
    return Host(word, address, access, frozenset(), {}, {}, port)


def found(path: Path | None) -> Path | None:
    """The inventory's file: the one in `path`, or ./inventory.yaml if that is there; else None.

    Raises InventoryError where it was not named and is somebody else's: what it says decides where secrets go.
    """
    if path is not None:
        return path / DEFAULT_FILE if path.is_dir() else path
    try:
        itself, file = DEFAULT_FILE.lstat(), DEFAULT_FILE.stat()  # a link has an owner, too
    except OSError:
        return None
    if {itself.st_uid, file.st_uid} <= {0, os.geteuid()} and not file.st_mode & stat.S_IWOTH:
        return DEFAULT_FILE
    why = "Nobody named it, and somebody else wrote it or can write it. It says where passwords and keys go."
    raise InventoryError(f"{DEFAULT_FILE.absolute()} is not trusted", why=why, fix=f"look at it, then name it: -i {DEFAULT_FILE}")


def load(path: Path | None, sections: Sequence[str]) -> Inventory:
    """The inventory in `path`, or the one that `found` finds; `sections` are the playbooks' names.

    Raises InventoryError for an unreadable file, an unknown key, a value of the wrong form, a cycle of groups; UsageError for
    commands (cmd:) where others can write the file.
    """
    path = found(path)
    if path is None:
        return Inventory("", {}, frozenset())
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        folder = path.parent if path.suffix else path  # -i takes the folder of an inventory, too
        fix = f"novaops init {shlex.quote(str(folder))} writes {folder / DEFAULT_FILE} to begin with"
        if any(ansible.named_by_ansible(one.name) for one in path.parent.glob("*")):
            fix = f"novaops init novaops --from-ansible {shlex.quote(str(path.parent))} makes one of what Ansible has there"
        raise InventoryError(f"there is no inventory {path}", fix=fix) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"cannot read the inventory {path}", why=str(error)) from None
    known = parse(text, str(path), sections, path.parent)
    if command := _command((), known.document.data):
        own_file.refuse_of_others(path, f"the inventory has a command (line {known.document.line(command)}: cmd:), and")
    return known


def _command(place: yaml_text.Path, value: Any) -> yaml_text.Path:
    """Where the first command for a secret is written, or ()."""
    if isinstance(value, str):
        return place if value.lstrip().startswith("cmd:") else ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in items if (found := _command((*place, key), item))), ())


def parse(text: str, file: str, sections: Sequence[str], folder: Path = Path()) -> Inventory:
    """See `load`. Files named in it are relative to `folder`."""
    try:
        document = yaml_text.load(text, file)
        blank = Inventory(file, {}, frozenset(), document)
        top = _mapping(blank, (), document.data)
        if unknown := set(top) - set(_TOP):
            raise blank.error((min(unknown),), _unknown(min(unknown), _TOP))
    except InventoryError:
        if not ansible.looks_like_ansible(text):
            raise
        folder_of_ours = "novaops " if Path(file).name == DEFAULT_FILE.name else ""  # where no inventory.yaml is in the way
        fix = f"novaops init {folder_of_ours}--from-ansible {shlex.quote(file)} makes one of ours"
        raise InventoryError(f"{file}: this looks like an Ansible inventory", fix=fix) from None
    layers = {name: _Layer.read(blank, ("groups", name), value, sections) for name, value in _named(blank, top, "groups")}
    defaults = _Layer.read(blank, ("defaults",), top.get("defaults"), sections)
    hosts = {}
    for name, value in _named(blank, top, "hosts"):
        own = _Layer.read(blank, ("hosts", name), value, sections)
        member_of = _ancestors(blank, own, layers)
        merged = _Layer.merge([defaults, *(layers[group] for group in reversed(member_of) if group in layers), own])
        hosts[name] = _host(blank, name, merged, frozenset(member_of), folder)
    groups = frozenset(layers) | {group for host in hosts.values() for group in host.groups}
    if both := groups & set(hosts):
        raise blank.error(("hosts", min(both)), "this is the name of a group too")
    return Inventory(file, hosts, groups, document, _api_defaults(blank, top))


def _api_defaults(inventory: Inventory, top: Mapping[str, Any]) -> ApiDefaults:
    try:
        return ApiDefaults.model_validate(_mapping(inventory, ("api",), top.get("api")))
    except ValidationError as error:
        raise invalid(inventory, ("api",), error) from None


@dataclass(frozen=True)
class _Layer:
    """The keys that one place gives to a host: the defaults, a group, or the host itself."""

    access: Mapping[str, Any]
    sections: Mapping[str, Any]
    places: Mapping[str, yaml_text.Path]

    @classmethod
    def read(cls, inventory: Inventory, path: yaml_text.Path, value: Any, sections: Sequence[str]) -> _Layer:
        keys = _mapping(inventory, path, value)
        for key in keys:
            if key not in Access.model_fields and key not in sections:
                raise inventory.error((*path, key), _unknown(key, [*Access.model_fields, *sections]))
        access = {key: item for key, item in keys.items() if key in Access.model_fields}
        try:
            Access.model_validate(access)
        except ValidationError as error:
            raise invalid(inventory, path, error) from None
        return cls(
            access,
            {key: item for key, item in keys.items() if key in sections},
            {key: (*path, key) for key in keys},
        )

    @classmethod
    def merge(cls, layers: Sequence[_Layer]) -> _Layer:
        """Later ones win, key by key."""
        access = {key: item for layer in layers for key, item in layer.access.items()}
        sections = {key: item for layer in layers for key, item in layer.sections.items()}
        return cls(access, sections, {key: place for layer in layers for key, place in layer.places.items()})

    @property
    def groups(self) -> list[str]:
        return self.access.get("groups") or []


def _host(inventory: Inventory, name: str, merged: _Layer, groups: frozenset[str], folder: Path) -> Host:
    access = Access.model_validate(merged.access)
    place: yaml_text.Path = ("hosts", name)
    try:
        names.name(name)
        place = merged.places.get("address", place)
        address, port = names.address(access.address or name, names.ssh_host)
    except ValueError as error:
        raise inventory.error(place, str(error)) from None
    beside = merged.places.get("port", ())
    if port and beside and beside[:-1] in {place[:-1], ("hosts", name)}:  # a port that stands farther away is only the default
        raise inventory.error(beside, f"address: {access.address} has a port already", fix="write the port in one of the two places")
    files = {key: str(folder / Path(value).expanduser()) for key in ("identity", "known_hosts") if (value := getattr(access, key))}
    return Host(name, address, access.model_copy(update=files), groups, merged.sections, merged.places, port)


def _ancestors(inventory: Inventory, own: _Layer, layers: Mapping[str, _Layer]) -> list[str]:
    """Every group that the host is in, each before its own parent groups. Raises InventoryError for a cycle
    of groups, and names just those.
    """
    found: dict[str, None] = {}

    def visit(group: str, trail: tuple[str, ...]) -> None:
        if group in trail:
            cycle = [*trail[trail.index(group) :], group]
            raise inventory.error(("groups", group), f"these groups form a cycle: {' → '.join(cycle)}")
        for parent in reversed(layers[group].groups if group in layers else ()):
            visit(parent, (*trail, group))
        found.setdefault(group)

    for group in reversed(own.groups):
        visit(group, ())
    nearest_first = list(reversed(found))
    for group in layers:
        visit(group, ())  # A cycle is an error also where no host is in it.
    return nearest_first


def _named(inventory: Inventory, top: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    yield from _mapping(inventory, (key,), top.get(key)).items()


def _mapping(inventory: Inventory, path: yaml_text.Path, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise inventory.error(path, f"a mapping is needed here, not {names.shown(value)}")
    return value


def _unknown(key: str, known: Iterable[str]) -> str:
    known = list(known)
    if key in ansible.KEYS:
        return f"there is no such key: Ansible's {key} is {ansible.KEYS[key]} here"
    if key.lower() in _ELSEWHERE and "address" in known:
        return f"there is no such key: {_ELSEWHERE[key.lower()]}"
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"there is no such key: {hint}"


def invalid(inventory: Inventory, path: yaml_text.Path, error: ValidationError) -> InventoryError:
    """The first error of a value, with its place in the inventory."""
    first = error.errors()[0]
    where = tuple(part for part in first["loc"] if not (isinstance(part, str) and part.startswith(("function-", "tagged-"))))
    return inventory.error((*path, *where), message(first))


_MESSAGES = {
    "extra_forbidden": "there is no such key",
    "missing": "this key is required",
    "literal_error": "{given} is not one of {expected}",
    **dict.fromkeys(("int_parsing", "int_type"), "{given} is not an integer"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list is needed here, not {given}"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a mapping is needed here, not {given}"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "{given} is neither true nor false"),
    "string_type": "a string is needed here, not {given}",
    "string_pattern_mismatch": "{given} has characters that are not taken here",
    **dict.fromkeys(("string_too_short", "too_short"), "this is empty"),
    "greater_than_equal": "{given} is less than {ge}",
    "less_than_equal": "{given} is more than {le}",
    "value_error": "{error}",
}
"""What novaops says for each kind of error that pydantic knows."""


def message(first: Any) -> str:
    """A pydantic error as novaops says it."""
    context = first.get("ctx", {})
    known = {"error": "", "ge": "", "le": "", **context, "msg": first["msg"], "given": names.shown(first.get("input"))}
    known["expected"] = context.get("expected", "").replace("'", "").replace(" or ", ", ").replace("False", "false")
    return _MESSAGES.get(first["type"], "{msg}").format(**known)


def _reason(error: Exception) -> str:
    return message(error.errors()[0]) if isinstance(error, ValidationError) else str(error)
