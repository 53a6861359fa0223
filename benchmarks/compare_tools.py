"""The tools that benchmarks/run compares: where they come from, and how each of them is told to do the work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare_hosts import BEHIND_VPN, HERE, SECRETS, Way

Done = subprocess.CompletedProcess[str]

ENVIRONMENTS = Path("~/.cache/novaops/benchmarks").expanduser()
AT_ONCE = 32
"""Hosts at a time, of every tool."""


@dataclass(frozen=True)
class Command:
    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Tool:
    name: str
    packages: tuple[str, ...]
    """From PyPI, into an environment of their own; () for what is there already."""
    command: Callable[[Way, Path, str], Command]
    """The way to the hosts, a folder to write to, and the gateway's address as hosts know it."""
    changes: Callable[[Done], str]
    """By what it printed: what was not right already, "" for nothing."""
    of: str = ""
    """The tool whose host it has, where that is another one's."""

    @property
    def on(self) -> str:
        return self.of or self.name

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / "-".join(self.packages)

    def install(self) -> None:
        """Raises CalledProcessError where pip fails, LookupError where novaops lacks an option. What is installed already stays."""
        if self is WARM and "--persist" not in _help_of_apply():
            raise LookupError("this novaops has no --persist")
        done = self.environment / "installed"
        if not self.packages or done.exists():
            return
        venv.create(self.environment, with_pip=True, clear=True, symlinks=True)
        subprocess.run([self.environment / "bin/pip", "install", "-q", *self.packages], check=True, capture_output=True, text=True)
        done.touch()


def _novaops(way: Way, folder: Path, gateway: str, *more: str) -> Command:
    """The whole work where a gateway is on the way, which its tunnel needs; without one packages, folders and files alone."""
    work: dict[str, object] = {"reference": {"packages": ["jq", "tree", "rsync"]}}
    if "gateway" in way.places:
        endpoint = {"host": gateway, "path": "/v1", "tls": "off"}
        (folder / "providers").mkdir(exist_ok=True)
        (folder / "providers/gateway.yaml").write_text(json.dumps({"endpoints": [endpoint], "probe": "/v1/models"}), "utf-8")
        auth = {"keys": {"laptop": "env:LAPTOP_KEY"}, "inject": "env:API_KEY"}
        api = {"name": "api", "provider": "gateway", "domain": "api.example.com", "tls": "self-signed", "auth": auth}
        work |= {
            "login": {"users": [{"name": "netlab", "password": "env:NETLAB_PASSWORD"}], "others": "denied"},
            "proxy": [{"name": "app", "domain": "www.example.com", "tls": "off", "upstreams": [f"{gateway}:80"]}, api],
            "vpn": [{"name": "office", "profile": "office.ovpn", "routes": [BEHIND_VPN], "check": f"http://{BEHIND_VPN}/"}],
            "tunnel": [{"name": "web", "via": "gateway", "via_address": f"{gateway}:22", "to": "127.0.0.1:80", "listen": 9001}],
        }
    hosts = {
        name: {"address": address, "port": port, **({} if name == "gateway" else work)} for name, (address, port) in way.places.items()
    }
    login = {"user": "root", "identity": str(way.identity), "known_hosts": str(way.known_hosts)}
    (folder / "inventory.yaml").write_text(json.dumps({"defaults": login, "hosts": hosts}), "utf-8")
    if not (folder / "playbooks").exists():
        (folder / "playbooks").symlink_to(HERE / "playbooks")
    words = [sys.executable, "-m", "novaops", "--json", "--parallel", str(AT_ONCE), "apply", *more]
    return Command(words, folder, SECRETS)


def _novaops_changes(done: Done) -> str:
    others = [f"{host['host']}: {host['status']}" for host in json.loads(done.stdout)["hosts"] if host["status"] != "unchanged"]
    return ", ".join(others[:3])


def _values(tool: str, way: Way, folder: Path, gateway: str) -> dict[str, str]:
    """What the peers' playbooks are given. On the gateway, which all share, each has an account of its own for its tunnel."""
    key = folder / "tunnel_key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tunnel", "-f", key], check=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", "benchmark", "-stdin"],
        input=SECRETS["NETLAB_PASSWORD"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "upstream": gateway,
        "gateway_key": " ".join(next(line for line in way.known_hosts.read_text("utf-8").splitlines()[::-1]).split()[1:3]),
        "behind_vpn": BEHIND_VPN,
        "laptop_key": SECRETS["LAPTOP_KEY"],
        "api_key": SECRETS["API_KEY"],
        "password_hash": hashed.stdout.strip(),
        "account": f"tunnel-{tool}",
        "tunnel_key": str(key),
        "profile": str(folder / "office.ovpn"),
        "templates": str(HERE / "peers/templates"),
        "whole": "yes" if "gateway" in way.places else "",
    }


def _ansible(way: Way, folder: Path, gateway: str, *, mitogen: bool = False) -> Command:
    """With pipelining, as many forks as others have, and connections kept within a run; each run logs in anew."""
    hosts = {name: {"ansible_host": address, "ansible_port": port} for name, (address, port) in way.places.items()}
    subjects = {name: values for name, values in hosts.items() if name != "gateway"}
    values = {
        **_values("ansible", way, folder, gateway),
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(way.identity),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={way.known_hosts} -o IdentitiesOnly=yes -o IdentityAgent=none",
    }
    groups = {"subjects": {"hosts": subjects}, "gateways": {"hosts": {"gateway": hosts["gateway"]} if "gateway" in hosts else {}}}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": values, "children": groups}}), "utf-8")
    environment = {
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": str(AT_ONCE),
        "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(prefix="cp", dir=folder),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "LC_ALL": "C.UTF-8",
    }
    if mitogen:
        plugins = next(ANSIBLE.environment.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy"))
        environment |= {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
    parts = [] if "gateway" in hosts else ["--skip-tags", "services"]
    words = [str(ANSIBLE.environment / "bin/ansible-playbook"), "-i", "hosts.json", *parts, str(HERE / "peers/ansible/site.yml")]
    return Command(words, folder, environment)


def _ansible_changes(done: Done) -> str:
    counts = re.findall(r"((?:changed|unreachable|failed)=(\d+))", done.stdout.rpartition("PLAY RECAP")[2])
    return ", ".join(dict.fromkeys(what for what, count in counts if count != "0")) if counts else "it has no recap"


def _pyinfra(way: Way, folder: Path, gateway: str) -> Command:
    login = {
        "ssh_user": "root",
        "ssh_key": str(way.identity),
        "ssh_known_hosts_file": str(way.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    hosts = {name: (name, {"ssh_hostname": address, "ssh_port": port}) for name, (address, port) in way.places.items()}
    groups = {
        "subjects": [one for name, one in hosts.items() if name != "gateway"],
        "gateways": [hosts["gateway"]] if "gateway" in hosts else [],
    }
    data = {**login, **_values("pyinfra", way, folder, gateway)}
    lines = [f"{group} = ({listed!r}, {data!r})\n" for group, listed in groups.items() if listed]
    (folder / "hosts.py").write_text("".join(lines), "utf-8")
    words = [str(PYINFRA.environment / "bin/pyinfra"), "-y", "--parallel", str(AT_ONCE), "hosts.py", str(HERE / "peers/pyinfra/deploy.py")]
    return Command(words, folder, {"LC_ALL": "C.UTF-8"})


def _pyinfra_changes(done: Done) -> str:
    found = re.search(r"Grand total +\d+ +(\S+) +(\S+)", done.stderr)
    if not found:
        return "it has no results"
    return "" if found.groups() == ("-", "-") else f"{found[1]} operations changed something, {found[2]} failed"


_ANSIBLE = ("ansible==12.3.0", "mitogen==0.3.54")
"""Release 12 of the community's package: ansible-core 2.19, and among its collections ansible.posix and community.general."""

NOVAOPS = Tool("novaops", (), _novaops, _novaops_changes)
WARM = Tool("novaops-warm", (), lambda *given: _novaops(*given, "--persist", "900s"), _novaops_changes, of="novaops")
PYINFRA = Tool("pyinfra", ("pyinfra==3.10.0",), _pyinfra, _pyinfra_changes)
ANSIBLE = Tool("ansible", _ANSIBLE, _ansible, _ansible_changes)
MITOGEN = Tool("mitogen", _ANSIBLE, lambda *given: _ansible(*given, mitogen=True), _ansible_changes, of="ansible")
PEERS = frozenset(tool.name for tool in (PYINFRA, ANSIBLE, MITOGEN))
TOOLS = {tool.name: tool for tool in (NOVAOPS, WARM, PYINFRA, ANSIBLE, MITOGEN)}


def _help_of_apply() -> str:
    return subprocess.run([sys.executable, "-m", "novaops", "apply", "--help"], capture_output=True, text=True, check=True).stdout


def by_ssh(way: Way) -> Command:
    """`ssh HOST true` to every host but the gateway."""
    options = f"-F none -i {way.identity} -o UserKnownHostsFile={way.known_hosts} -o IdentitiesOnly=yes -o IdentityAgent=none"
    places = " ".join(f"ssh://root@{address}:{port}" for name, (address, port) in way.places.items() if name != "gateway")
    line = f"printf '%s\\n' {places} | xargs -P {AT_ONCE} -I PLACE ssh {options} PLACE true"
    return Command(["sh", "-c", line], HERE, {})


def run(command: Command, timeout_s: float) -> Done:
    """Until it ends, whoever of its children goes on. Raises TimeoutExpired, when it and its children have been killed."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiled once, as for a user
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command.words,
            cwd=command.folder,
            env={**settings, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
        except BaseException:  # Ctrl-C does not reach another session
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return Done(command.words, code, out.read(), err.read())
