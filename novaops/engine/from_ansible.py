"""An inventory of Ansible's made into one of novaops. What is not carried over is said, and passwords never are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from novaops.engine import inventory
from novaops.errors import InventoryError, UsageError
from novaops.formats import ansible, names
from novaops.formats.ansible import ALL, UNGROUPED, VAULT, Group, Groups

_PASSWORDS = {
    **dict.fromkeys(("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"), "novaops logs in by key"),
    **dict.fromkeys(
        ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
        "sudo_password: env:NAME, file:PATH or cmd:WORDS says where it is",
    ),
}
_OURS = frozenset(
    {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh", "ansible.netcommon.libssh"}
)
"""Connections that go by ssh."""

_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
"""What Ansible passes over in a folder of inventories."""


@dataclass(frozen=True)
class Converted:
    text: str
    hosts: int
    notes: tuple[str, ...]
    """What is not carried over, and why."""


def convert(source: Path, target: Path, sections: Sequence[str]) -> Converted:
    """The text of an inventory at `target` with the hosts and groups of `source`, a file or a folder of Ansible's.

    It was read by novaops' own reader, which finds each host as Ansible would reach it. Raises UsageError, InventoryError.
    """
    found = _Source.read(source)
    data = found.inventory(target.parent)
    notes = found.notes()
    if not data["hosts"]:
        raise UsageError(f"{source} has no hosts that novaops can reach", why="\n".join(notes), fix="novaops init writes an example")
    known = _loaded(data, source, target, sections)
    for name, host in known.hosts.items():  # where two groups differ, each program may choose another one
        reached = found.access(found.effective(found.called[name]), name, target.parent)
        as_read = {
            **reached,
            **({"identity": str(target.parent / Path(reached["identity"]).expanduser())} if "identity" in reached else {}),
        }
        data["hosts"][name] |= {key: value for key, value in reached.items() if as_read[key] != getattr(host.access, key)}
    _loaded(data, source, target, sections)
    return Converted(_text(data, source), len(known.hosts), notes)


def _loaded(data: Mapping[str, Any], source: Path, target: Path, sections: Sequence[str]) -> inventory.Inventory:
    try:
        return inventory.parse(_text(data, source), str(target), sections, target.parent)
    except InventoryError as error:
        what = error.what.removeprefix(f"{target}: ")
        raise UsageError(f"{source} cannot be made an inventory of novaops: {what}", fix="change it there, and run this again") from None


def _text(data: Mapping[str, Any], source: Path) -> str:
    head = f"# Made from Ansible's {source.name} by novaops init --from-ansible.\n\n"
    return head + yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, default_flow_style=None, width=150)


@dataclass
class _Source:
    """What Ansible knows: the groups of its files, and the variables of the files beside them."""

    groups: Groups
    group_files: Mapping[str, Mapping[str, Any]]
    host_files: Mapping[str, Mapping[str, Any]]
    called: dict[str, str] = field(default_factory=dict)
    """What Ansible calls a host, by the name that it gets here."""
    left: dict[str, list[str]] = field(default_factory=dict)
    """What is not carried over, with the hosts, groups or files where it stands."""

    def notes(self) -> tuple[str, ...]:
        return tuple(f"{what} ({_several(where)})" for what, where in self.left.items())

    @classmethod
    def read(cls, source: Path) -> _Source:
        found = cls({}, {}, {})
        for file in _files(source):
            for name, group in ansible.read(_read(file), str(file)).items():
                _merge(found.groups.setdefault(name, Group()), group)
        folder = source if source.is_dir() else source.parent
        found.group_files = {name: found._beside(folder / "group_vars", name) for name in [ALL, *found._names()]}
        found.host_files = {name: found._beside(folder / "host_vars", name) for name in found._hosts()}
        return found

    def _beside(self, folder: Path, name: str) -> Mapping[str, Any]:
        """The variables of a host or group in files of their own. What ansible-vault has encrypted is left out, and said."""
        said: dict[str, Any] = {}
        for file in _of(folder, name):
            text = _read(file)
            if text.startswith(VAULT):
                self._leave("what ansible-vault has encrypted is not carried over", str(file))
            else:
                said |= ansible.variables(text, str(file))
        return said

    def _names(self) -> list[str]:
        """Every group but `all` and `ungrouped`."""
        children = [child for group in self.groups.values() for child in group.children]
        return [name for name in dict.fromkeys([*self.groups, *children]) if name not in {ALL, UNGROUPED}]

    def _hosts(self) -> list[str]:
        return list(dict.fromkeys(host for group in self.groups.values() for host in group.hosts))

    def _parents(self, name: str) -> list[str]:
        return [parent for parent, group in self.groups.items() if name in group.children and parent != ALL]

    def _member_of(self, host: str) -> list[str]:
        return [name for name, group in self.groups.items() if host in group.hosts and name not in {ALL, UNGROUPED}]

    def _depth(self, name: str, trail: tuple[str, ...] = ()) -> int:
        if name in trail:
            raise UsageError(f"these groups form a cycle: {' → '.join([*trail[trail.index(name) :], name])}")
        return 1 + max((self._depth(parent, (*trail, name)) for parent in self._parents(name)), default=0)

    def effective(self, host: str) -> dict[str, Any]:
        """The variables of a host, as Ansible merges them: deeper groups win over their parents, then priority, then the name."""
        member_of: dict[str, None] = {}

        def visit(name: str) -> None:
            member_of[name] = None
            for parent in self._parents(name):
                if parent not in member_of:
                    visit(parent)

        for name in self._member_of(host):
            visit(name)

        def priority(name: str) -> int:
            said = str(self._of_group(name).get("ansible_group_priority", 1))
            return int(said) if said.isdecimal() else 1

        ordered = [ALL, *([] if member_of else [UNGROUPED]), *sorted(member_of, key=lambda name: (self._depth(name), priority(name), name))]
        layers: list[Mapping[str, Any]] = [self.groups[name].variables for name in ordered if name in self.groups]
        layers += [self.group_files.get(name, {}) for name in ordered]
        return {key: value for layer in [*layers, self._of_host(host)] for key, value in layer.items()}

    def _of_group(self, name: str) -> dict[str, Any]:
        return {**(self.groups[name].variables if name in self.groups else {}), **self.group_files.get(name, {})}

    def _of_host(self, name: str) -> dict[str, Any]:
        own = {key: value for group in self.groups.values() for key, value in group.hosts.get(name, {}).items()}
        return {**own, **self.host_files.get(name, {})}

    def access(self, variables: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
        """What the variables say of the way to a host, in the keys of an inventory in `folder`. Raises UsageError."""
        said: dict[str, Any] = {}
        for variable, key in ansible.KEYS.items():
            value = variables.get(variable)
            if value is None:
                continue
            text = str(value)
            if text.startswith(VAULT) or "{{" in text:
                what = "encrypted by ansible-vault" if text.startswith(VAULT) else f"a template: {text}"
                raise UsageError(
                    f"{where}: {variable} is {what}", why="novaops cannot read it.", fix="write it out there, and run this again"
                )
            said[key] = int(text) if key == "port" and text.isdecimal() else text
        if "identity" in said and not said["identity"].startswith(("/", "~")):
            said["identity"] = os.path.relpath(said["identity"], folder)  # Ansible's are relative to where it is called
        return said

    def inventory(self, folder: Path) -> dict[str, Any]:
        """The data of an inventory in `folder`."""
        hosts: dict[str, Any] = {}
        for name in self._hosts():
            connection = str(self.effective(name).get("ansible_connection", "ssh"))
            if connection not in _OURS:
                what = "this machine itself is left out" if connection == "local" else "hosts that are not reached by ssh are left out"
                self._leave(f"{what}: ansible_connection={connection}", name)
                continue
            own = self._layer(self._of_host(name), name, folder)
            ours = name.replace(":", "-").strip("-") if names.is_address(name) else name
            if ours != name:
                own.setdefault("address", name)
            if ours in self.called:
                raise UsageError(f"{name} and {self.called[ours]} would both be called {ours}", fix="give one of them another name")
            self.called[ours] = name
            groups = sorted(self._member_of(name), key=lambda group: (self._depth(group), group), reverse=True)
            hosts[ours] = {**own, **({"groups": groups} if groups else {})}
        defaults = self._layer({**self._of_group(ALL)}, ALL, folder)
        layers = {name: self._group(name, folder) for name in self._names()}
        return {**({"defaults": defaults} if defaults else {}), **({"groups": layers} if layers else {}), "hosts": hosts}

    def _group(self, name: str, folder: Path) -> dict[str, Any]:
        parents = [parent for parent in self._parents(name) if parent != UNGROUPED]
        return {**self._layer(self._of_group(name), name, folder), **({"groups": parents} if parents else {})}

    def _layer(self, variables: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
        """The keys of one place, with a note on each variable of the connection that is not carried over."""
        for variable in variables:
            if variable in _PASSWORDS:
                self._leave(f"{variable} is not carried over: no inventory of novaops holds a password; {_PASSWORDS[variable]}", where)
            elif variable.startswith("ansible_ssh_") and variable not in ansible.KEYS:
                self._leave(f"{variable} is not carried over: options of ssh stand in ~/.ssh/config", where)
        return self.access(variables, where, folder)

    def _leave(self, what: str, where: str) -> None:
        its = self.left.setdefault(what, [])
        if where not in its:
            its.append(where)


def _several(where: Sequence[str]) -> str:
    most = 5
    return ", ".join(where[:most]) + (f" and {len(where) - most} more" if len(where) > most else "")


def _merge(group: Group, more: Group) -> None:
    for host, said in more.hosts.items():
        group.hosts.setdefault(host, {}).update(said)
    group.children += [child for child in more.children if child not in group.children]
    group.variables |= more.variables


def _files(source: Path) -> Iterator[Path]:
    """The file, or those of a folder, in Ansible's order. Raises UsageError for a program, which would have to be run."""
    if not source.is_dir():
        inside = [source]
    else:
        inside = [
            file
            for file in sorted(source.iterdir())
            if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_IGNORED)
        ]
        if not inside:
            raise UsageError(f"{source} has no inventory of Ansible in it")
    for file in inside:
        if file.is_file() and os.access(file, os.X_OK) and _read(file).startswith("#!"):
            fix = f"ansible-inventory -i {source} --list > all.json; then novaops init --from-ansible all.json"
            raise UsageError(f"{file} is a program that prints an inventory", why="novaops does not run it.", fix=fix)
        yield file


def _of(folder: Path, name: str) -> Iterator[Path]:
    """The files of group_vars or host_vars for a name: NAME, NAME.yml, NAME.yaml, NAME.json, or all below the folder NAME."""
    for file in (folder / name, *(folder / f"{name}{ending}" for ending in (".yml", ".yaml", ".json"))):
        if file.is_dir():
            yield from (one for one in sorted(file.rglob("*")) if one.is_file() and one.suffix in {"", ".yml", ".yaml", ".json"})
        elif file.is_file():
            yield file


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}", why=str(getattr(error, "strerror", None) or error)) from None
