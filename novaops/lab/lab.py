"""The lab: named throwaway hosts, and the inventory, the key and the known_hosts file that lead to them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError, UsageError
from novaops.lab.container import Container
from novaops.lab.host import LabHost, Spec, State
from novaops.lab.image import image_for
from novaops.lab.initrd import Entry
from novaops.lab.keys import HOST_KEY, IDENTITY, ensure_key, known_hosts_line
from novaops.lab.network import network_down, network_files, network_up
from novaops.lab.process import stop_all_in
from novaops.lab.qemu import CLOUDS, free_port
from novaops.lab.recipe import KINDS, USERS, Kind, recipe_for
from novaops.lab.requirements import require
from novaops.lab.vm import VirtualMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from novaops.lab.disk import Disk

_KINDS: dict[Kind, type[LabHost]] = {"vm": VirtualMachine, "container": Container}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Lab:
    """The hosts whose state is in `directory` (`.lab`); `lab.yaml` beside it is an inventory that leads to them."""

    def __init__(self, directory: Path = Path(".lab"), cache: Path | None = None) -> None:
        self.directory = directory.resolve()
        self.cache = cache

    @property
    def inventory(self) -> Path:
        return self.directory.parent / "lab.yaml"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def identity(self) -> Path:
        return self.directory / IDENTITY

    def up(  # noqa: PLR0913 - each is an option of `novaops lab up`
        self,
        name: str = "lab",
        kind: Kind = "vm",
        release: str = "bookworm",
        disks: tuple[Disk, ...] = (),
        *,
        nested: bool = False,
        cloud: str | None = None,
        memory_mb: int = 512,
        count: int = 0,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> LabHost:
        """Make a host, or start the one of that name; return when it takes ssh.

        A bare `up` of a name that is there starts it as it was made.
        Raises UsageError for what cannot be asked for, NovaopsError when this machine lacks a program, HostFailed when it
        does not boot; then nothing of it is left.
        """
        spec = Spec(name, kind, release, tuple(disks), nested, cloud, memory_mb, count)
        _validate(spec)
        require(self._kind_of(spec))
        with self._locked(name):
            if self._is_there(name):
                host = self.host(name)
                if spec not in (host.state.spec, Spec(name)):  # a bare `up` starts what there is
                    raise UsageError(
                        f"lab host {name!r} is there already, and made differently",
                        fix=f"novaops lab down {name}, or another --name",
                    )
                host.start(on_progress)
            else:
                host = self._create(spec, on_progress)
        self._publish()
        return host

    def _is_there(self, name: str) -> bool:
        return (self._host_directory(name) / "state.json").exists()

    def _kind_of(self, spec: Spec) -> Kind:
        """The kind of the host of that name: as it was made, else as it is to be made."""
        return self.host(spec.name).kind if self._is_there(spec.name) else spec.kind

    def host(self, name: str) -> LabHost:
        """The host of that name, running or not; raises UsageError that lists the names there are."""
        try:
            return self._load(self._host_directory(name))
        except UsageError as error:
            error.why = f"it has: {', '.join(host.name for host in self.hosts()) or 'none'}"
            raise

    def hosts(self) -> list[LabHost]:
        """All hosts, by name; one whose making was cut short is none."""
        found: list[LabHost] = []
        for path in sorted(self.directory.glob("hosts/*")):
            with suppress(UsageError):
                found.append(self._load(path))
        return found

    def _load(self, directory: Path) -> LabHost:
        try:
            state = State.load(directory)
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(f"the lab has no host {directory.name!r}", fix=f"novaops lab up --name {directory.name}") from None
        return _KINDS[state.spec.kind](directory, state)

    def reset(self, name: str, on_progress: Callable[[str], None] = lambda _: None) -> LabHost:
        """Put a host's pristine state back, and return it when it takes ssh."""
        with self._locked(name):
            host = self.host(name)
            host.reset(on_progress)
        return host

    def down(self, name: str | None = None, on_note: Callable[[str], None] = lambda _: None) -> list[str]:
        """Take one host down, or all and the lab's own files; the names of those that were there.

        `on_note` is told what stays changed on this machine.
        What is down already is no error. Processes, mounts, bridge and nft table go, also after a crash.
        """
        names = [each for each in self._there() if name in {None, each}]
        for each in names:
            with self._locked(each):
                self._remove(each)
        if not self.directory.exists():
            return names
        if not self._there():
            stays = network_down(self.directory)
            if stays:
                on_note(stays)
        if name is None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.inventory.unlink(missing_ok=True)
        else:
            self._publish()
        return names

    def _there(self) -> list[str]:
        """The names of all hosts, also of those whose making was cut short."""
        return [path.name for path in sorted(self.directory.glob("hosts/*")) if _NAME.fullmatch(path.name)]

    def _remove(self, name: str) -> None:
        directory = self._host_directory(name)
        with suppress(UsageError):  # its making was cut short, or its state is damaged
            self.host(name).stop()
        stop_all_in(directory)
        shutil.rmtree(directory, ignore_errors=True)

    def _create(self, spec: Spec, on_progress: Callable[[str], None]) -> LabHost:
        image = image_for(recipe_for(spec.kind, spec.release), on_progress, self.cache)
        directory = self._host_directory(spec.name)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with self._locked(""):
            self._refuse_taken(spec)
            files = host_files(spec.name, directory / HOST_KEY, ensure_key(self.identity, "novaops-lab"))
            if spec.kind == "container":
                network = network_up(self.directory)
                address, port = network.free_address(host.address for host in self.hosts()), 22
                files += network_files(address, network)
                if spec.count:
                    files.append(Entry("etc/ssh/sshd_config.d/fleet.conf", b"MaxStartups 2000\n"))
            else:
                address, port = "127.0.0.1", free_port()
            state = State(spec, str(image.directory), address, port)
            state.save(directory)
        host = _KINDS[spec.kind](directory, state)
        try:
            host.prepare(files)
            self._publish()
            host.create(on_progress)
        except BaseException:  # Ctrl-C included: nothing is left behind
            self._remove(spec.name)
            self._publish()
            raise
        return host

    def _refuse_taken(self, spec: Spec) -> None:
        """Raises UsageError where lab.yaml would have a name twice: a host of a fleet is called NAME-0001."""
        mine = {spec.name, *spec.endpoints}
        for other in self.hosts():
            if other.name != spec.name and (taken := mine & {other.name, *other.endpoints}):
                raise UsageError(f"{min(taken)} is of lab host {other.name!r} already", fix="another --name")

    def _host_directory(self, name: str) -> Path:
        """Raises UsageError for what is no name: it may lead out of the lab."""
        _refuse_odd(name)
        return self.directory / "hosts" / name

    def _publish(self) -> None:
        """Write known_hosts and lab.yaml anew, for the hosts that are there."""
        with self._locked(""):
            hosts = self.hosts()
            _replace(self.known_hosts, known_hosts_text(hosts))
            _replace(self.inventory, inventory_text(hosts, self.directory.name))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One process at a time for a host (`""`: for the lab's own files); the kernel lets go of a dead one's lock."""
        if name:
            _refuse_odd(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def host_files(name: str, host_key: Path, authorized: str) -> list[Entry]:
    """What makes a root file system this host: its name, its machine id, its ssh key, and who may log in."""
    public = ensure_key(host_key, f"root@{name}")
    files = [
        Entry("etc/hostname", f"{name}\n".encode()),
        Entry("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost\n".encode()),
        Entry("etc/machine-id", os.urandom(16).hex().encode() + b"\n", 0o444),
        Entry("etc/ssh/ssh_host_ed25519_key", host_key.read_bytes(), 0o600),
        Entry("etc/ssh/ssh_host_ed25519_key.pub", f"{public}\n".encode()),
    ]
    homes = ["root", *(f"home/{user}" for user in USERS)]
    return files + [Entry(f"{home}/.ssh/authorized_keys", f"{authorized}\n".encode(), 0o600) for home in homes]


def known_hosts_text(hosts: Iterable[LabHost]) -> str:
    """The known_hosts file that trusts exactly these hosts."""
    places = [(host, port) for host in hosts for port in dict.fromkeys((host.port, *host.endpoints.values()))]
    return "".join(known_hosts_line(host.address, port, host.host_key) + "\n" for host, port in places)


def inventory_text(hosts: Iterable[LabHost], folder: str) -> str:
    """lab.yaml: an inventory of these hosts; `folder` is the lab's directory, beside it. JSON strings are YAML strings."""
    identity, known_hosts = json.dumps(f"{folder}/{IDENTITY}"), json.dumps(f"{folder}/known_hosts")
    lines = [
        "# Written by `novaops lab`; gone with `novaops lab down`.",
        f"defaults: {{user: root, identity: {identity}, known_hosts: {known_hosts}}}",
        "hosts:",
        *(
            f"  {name}: {{address: {host.address}, port: {port}, groups: [{', '.join(_groups(host))}]}}"
            for host in hosts
            for name, port in host.endpoints.items()
        ),
    ]
    if lines[-1] == "hosts:":
        lines[-1] = "hosts: {}"
    return "\n".join(lines) + "\n"


def _groups(host: LabHost) -> list[str]:
    return [host.kind, host.name] if host.state.spec.count else [host.kind]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.rename(path)


def _refuse_odd(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a lab host's name", fix="lower-case letters, digits and `-`: web-1")


def _validate(spec: Spec) -> None:
    _refuse_odd(spec.name)
    if spec.name in KINDS:
        raise UsageError(f"{spec.name!r} is a group of lab.yaml", fix="another --name")
    if spec.cloud is not None and spec.cloud not in CLOUDS:
        raise UsageError(f"the lab knows no cloud {spec.cloud!r}", fix=f"one of: {', '.join(CLOUDS)}")
    if spec.kind == "container" and (spec.disks or spec.nested or spec.cloud or spec.memory_mb != Spec.memory_mb):
        raise NovaopsError("a container has no disks, no nested virtualization, no cloud and no memory of its own", fix="--kind vm")
    if spec.count and spec.kind != "container":
        raise UsageError("--count is for containers: its hosts are ports of one", fix="leave out --kind vm")
