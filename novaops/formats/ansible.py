"""Inventories of Ansible, as INI, as YAML, and as the JSON of `ansible-inventory --list`: their groups, hosts and variables, as texts."""

from __future__ import annotations

import ast
import re
import shlex
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from novaops.errors import InventoryError
from novaops.formats import yaml_text

KEYS = {
    **dict.fromkeys(("ansible_host", "ansible_ssh_host"), "address"),
    **dict.fromkeys(("ansible_port", "ansible_ssh_port"), "port"),
    **dict.fromkeys(("ansible_user", "ansible_ssh_user"), "user"),
    **dict.fromkeys(("ansible_private_key_file", "ansible_ssh_private_key_file"), "identity"),
}
"""The variables of a connection, with the key of a host of novaops' that says the same. Of two the later one counts, as in Ansible."""

ALL, UNGROUPED = "all", "ungrouped"
VAULT = "$ANSIBLE_VAULT;"

_HEADER = re.compile(r"\[(?P<group>[^\]:\s]+)(?::(?P<kind>\w+))?\]\s*(?:[#;].*)?")
_VARIABLE = re.compile(r"(?:^|\s)ansible_\w+\s*[=:]", re.MULTILINE)
_NAMES = re.compile(r"\s*(?:[\w.:\[\]-]+\s*)?(?:[#;].*)?")
_ENDS_WITH_COLON = re.compile(r":\s*(?:#.*)?$", re.MULTILINE)
_RANGE = re.compile(r"\[(?:(\d*):(\d+)|([A-Za-z]):([A-Za-z]))(?::(\d+))?\]")
_WITH_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>(?:[^:\[\]]|\[[^\]]*\])+)):(?P<port>\d+)")
_MOST = 10_000
"""Hosts that one range may stand for."""


@dataclass
class Group:
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The variables that stand beside a host, by its name."""
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


Groups = dict[str, Group]
"""All groups by name, as they are written: `all` and `ungrouped` only where they are named."""


def looks_like_ansible(text: str) -> bool:
    """Whether a text that is no inventory of novaops is one of Ansible's."""
    if text.startswith(VAULT) or _VARIABLE.search(text) or _is_ini(text):
        return True
    try:
        data = yaml_text.load(text, "", any_tag=True).data
    except InventoryError:
        return False
    if isinstance(data, str):  # names alone, one a line
        return all(_NAMES.fullmatch(line) for line in text.splitlines())
    return isinstance(data, dict) and any(
        _is_group(name, value) for name, value in data.items() if name not in {"hosts", "groups", "defaults"}
    )


def named_by_ansible(file: str) -> bool:
    """Whether a file of this name in a folder says that the folder is an inventory of Ansible's."""
    return file in {"group_vars", "host_vars", "hosts", "hosts.ini", "hosts.yml", "hosts.yaml"}


def _is_ini(text: str) -> bool:
    return any(_HEADER.fullmatch(line.rstrip()) or re.search(r"(^|\s)ansible_\w+=", line) for line in text.splitlines())


def _is_group(name: str, value: Any) -> bool:
    """Whether an entry of YAML can only be a group of Ansible's."""
    if not isinstance(value, dict):
        return name == "plugin"
    return name in {ALL, UNGROUPED, "_meta"} or (bool(value) and set(value) <= {"hosts", "children", "vars"})


def read(text: str, name: str) -> Groups:
    """The groups of one file; `name` is for errors. Raises InventoryError, with the line, for what Ansible would not read either."""
    text = text.removeprefix("\ufeff")
    if text.startswith(VAULT):
        raise InventoryError(
            f"{name} is encrypted by ansible-vault",
            why="novaops opens no vaults.",
            fix=f"ansible-vault view {name} > FILE makes a plain one",
        )
    try:
        document = yaml_text.load(text, name, any_tag=True)
    except InventoryError:
        if not _is_ini(text) and (name.endswith((".yml", ".yaml", ".json")) or _ENDS_WITH_COLON.search(text)):
            raise
        return _read_ini(text, name)
    if not isinstance(document.data, dict):
        return _read_ini(text, name)
    return _Yaml(document, name).groups()


def variables(text: str, name: str) -> dict[str, Any]:
    """Those of a file of group_vars or host_vars. Raises InventoryError."""
    found = yaml_text.load(text, name, any_tag=True).data or {}
    if not isinstance(found, dict):
        raise InventoryError(f"{name}:1: a mapping of variables is needed here")
    return found


def expand(pattern: str) -> list[str]:
    """The names that `web[01:03]` and `db-[a:c]` stand for; a plain name stands for itself. Raises ValueError."""
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last, letter, last_letter, stride = found.groups()
    step = int(stride or 1)
    if letter:
        letters = string.ascii_letters
        begin, end, width = letters.index(letter), letters.index(last_letter), 0
    else:
        begin, end, width = int(first or 0), int(last), len(first) if first.startswith("0") else 0
    if step < 1 or not 0 <= (end - begin) // step < _MOST:
        raise ValueError(f"{found[0]} is no range of 1 to {_MOST:,} hosts")
    numbers = range(begin, end + 1, step)
    middles = [string.ascii_letters[number] if letter else str(number).zfill(width) for number in numbers]
    before, after = pattern[: found.start()], expand(pattern[found.end() :])
    return [f"{before}{middle}{rest}" for middle in middles for rest in after]


def _hosts(pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names of a pattern, and the variables that it implies: its port."""
    port = _WITH_PORT.fullmatch(pattern)
    plain = (port["six"] or port["name"]) if port else pattern
    for name in expand(plain):
        yield name, {"ansible_port": port["port"]} if port else {}


# -- INI --------------------------------------------------------------------------------------------------------------


def _read_ini(text: str, name: str) -> Groups:
    groups: Groups = {}
    group, kind = UNGROUPED, "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if header := _HEADER.fullmatch(line):
            group, kind = header["group"], header["kind"] or "hosts"
            if kind not in {"hosts", "vars", "children"}:
                raise InventoryError(f"{name}:{number}: [{group}:{kind}] is neither hosts nor vars nor children")
            groups.setdefault(group, Group())
            continue
        try:
            _ini_line(groups.setdefault(group, Group()), kind, line)
        except ValueError as error:
            raise InventoryError(f"{name}:{number}: {error}") from None
    return groups


def _ini_line(group: Group, kind: str, line: str) -> None:
    if kind == "vars":
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError("this is no variable: NAME=VALUE")
        group.variables[key.strip()] = _literal(value.strip())
        return
    word, *rest = shlex.split(line, comments=True)
    if kind == "children":
        if rest:
            raise ValueError(f'"{line}" is not the name of one group')
        group.children.append(word)
        return
    said: dict[str, Any] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ValueError(f"what follows {word} are no variables: NAME=VALUE")
        said[key] = _literal(value)
    for host, implied in _hosts(word):
        group.hosts.setdefault(host, {}).update({**implied, **said})


def _literal(value: str) -> Any:
    """A value as Ansible reads it: a literal of Python's, else the text. Scalars stay texts."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return found if isinstance(found, (dict, list, str)) else re.sub(r"\s+#.*", "", value)


# -- YAML and JSON ----------------------------------------------------------------------------------------------------


class _Yaml:
    def __init__(self, document: yaml_text.Document, name: str) -> None:
        self._document, self._name, self._groups = document, name, Groups()

    def groups(self) -> Groups:
        data = self._document.data
        if isinstance(data.get("plugin"), str):
            raise InventoryError(
                f"{self._name} is for the plugin {data['plugin']} of Ansible, and names no hosts itself",
                fix=f"ansible-inventory -i {self._name} --list > all.json; then novaops init --from-ansible all.json",
            )
        for group, value in data.items():
            if group != "_meta":
                self._group(group, value, (group,))
        for host, its in self._mapping((data.get("_meta") or {}).get("hostvars"), ("_meta", "hostvars")).items():
            self._groups.setdefault(UNGROUPED, Group()).hosts.setdefault(host, {}).update(self._mapping(its, ("_meta", "hostvars", host)))
        return self._groups

    def _group(self, name: str, value: Any, path: yaml_text.Path) -> None:
        group = self._groups.setdefault(name, Group())
        for key, part in self._mapping(value, path).items():
            where = (*path, key)
            if key == "vars":
                group.variables.update(self._mapping(part, where))
            elif key == "hosts":
                for pattern, its in self._mapping(part, where).items():
                    self._host(group, pattern, self._mapping(its, (*where, pattern)), (*where, pattern))
            elif key == "children":
                for child, content in self._mapping(part, where).items():
                    group.children.append(child)
                    self._group(child, content, (*where, child))
            else:
                raise self._error(where, f"{key} is neither hosts nor vars nor children")

    def _host(self, group: Group, pattern: str, its: Mapping[str, Any], path: yaml_text.Path) -> None:
        try:
            for host, implied in _hosts(pattern):
                group.hosts.setdefault(host, {}).update({**implied, **its})
        except ValueError as error:
            raise self._error(path, str(error)) from None

    def _mapping(self, value: Any, path: yaml_text.Path) -> dict[str, Any]:
        """A mapping, also from a list of names, or one name."""
        if value is None:
            return {}
        if isinstance(value, str) and path[-1] in {"hosts", "children"}:
            return {value: None}
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return dict.fromkeys(value)
        if not isinstance(value, dict):
            raise self._error(path, "a mapping is needed here")
        return value

    def _error(self, path: yaml_text.Path, what: str) -> InventoryError:
        return InventoryError(f"{self._name}:{self._document.line(path)}: {'/'.join(map(str, path))}: {what}")
