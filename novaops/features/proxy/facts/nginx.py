"""nginx: its version, its configuration, and what a site needs to know about its host."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.formats.nginx_conf import NginxConf
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, quote, sh_file

Version = tuple[int, ...]

OLDEST: Version = (1, 18)
"""Configuration for this version is understood by all later ones, some of which warn about it."""

REJECT_HANDSHAKE: Version = (1, 19, 4)
"""The version that brought `ssl_reject_handshake`."""
SSL_COMMANDS: Version = (1, 19, 4)
"""The version that brought `proxy_ssl_conf_command`."""
HTTP2_DIRECTIVE: Version = (1, 25, 1)
"""The version that brought `http2 on`, in place of `listen … http2`."""
RESOLVE: Version = (1, 27, 3)
"""The version that brought `server … resolve`: names in a pool that are looked up again and again."""

_DISTRIBUTIONS: Mapping[tuple[str, str], Version] = {
    ("debian", "11"): (1, 18),
    ("debian", "12"): (1, 22, 1),
    ("debian", "13"): (1, 26, 3),
    ("ubuntu", "20.04"): (1, 18),
    ("ubuntu", "22.04"): (1, 18),
    ("ubuntu", "24.04"): (1, 24),
}
"""The version that each comes with, for a host without package lists yet."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Of Debian, of Red Hat, of SUSE, of Alpine."""

TRUST_FOLDERS = ("/etc/ssl/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash")
"""Of Debian, of Red Hat since 9: with each authority in a file that is named by its hash."""

NO_AUTHORITY = "/etc/nginx/novaops/no-authority.pem"
"""Beside a folder of authorities: nginx and curl also want a file."""

DEFAULT_PAGE = "/etc/nginx/sites-enabled/default"
"""Debian's "Welcome to nginx!"."""


@dataclass(frozen=True)
class NginxFacts:
    installed: bool
    version: Version
    """Of the nginx that would be installed, where there is none yet."""
    broken: str = ""
    """nginx's error, when it rejects its present configuration; "" when it accepts it."""
    conf: NginxConf = field(default_factory=NginxConf, repr=False, compare=False)
    main_file: str = ""
    """The main file that nginx reads when nobody names another, and so what `conf` begins with; "" where that is not known."""
    started_with: str = ""
    """Another main file, which nginx.service has it read in place of that; "" where it names none."""
    resolvers: tuple[str, ...] = ()
    """Addresses of the host's name servers, as nginx writes them."""
    ipv6: bool = False
    """Whether the host has IPv6 at all, so that nginx can listen on it."""
    ipv6_route: bool = False
    """Whether it has a default route for IPv6."""
    bundle: str = BUNDLES[0]
    """The file with the authorities that the host trusts."""
    trust_folder: str = ""
    """The folder with the same authorities, each under its hash; "" where there is none, or nginx cannot be told of it."""
    debian: bool = True
    default_page_is_debians: bool = False
    """Whether "Welcome to nginx!" is enabled, as Debian made it, and does not serve somebody's own pages."""

    @property
    def worker_group(self) -> str:
        """The group that nginx's workers run as. They read the password files."""
        return (self.conf.value("user") or (("www-data" if self.debian else "nginx"),))[-1]


class Nginx(Singleton[NginxFacts]):
    family: ClassVar[str] = "nginx"
    bulky: ClassVar[bool] = True

    @classmethod
    def script_one(cls) -> str:
        found = f"bundles={quote(' '.join(BUNDLES))} folders={quote(' '.join(TRUST_FOLDERS))} page={DEFAULT_PAGE}"
        return f"{found}\n{sh_file(__package__, 'nginx.sh')}"

    @classmethod
    def parse_one(cls, section: Section) -> NginxFacts | Missing:
        about, _, dump = section.stdout.partition("\nconf=\n")
        pairs = [line.partition("=")[::2] for line in lines_of(about)]
        said = dict(pairs)
        if "os_ID" not in said:
            return Missing.UNKNOWN
        version = _version(said.get("version", "")) or _version(said.get("candidate", "")) or _distributed(said)
        main_file = _main_file("", said["built"]) if "built" in said else ""
        started = (_main_file(value, said.get("built", "")) for key, value in pairs if key == "started" and "$" not in value)
        # Where there are no authorities yet, the run that installs them makes the folder too.
        folder = said.get("trust_folder", "" if "bundle" in said or "debian" not in said else TRUST_FOLDERS[0])
        return NginxFacts(
            installed="version" in said,
            version=version,
            broken=said.get("broken", "").removeprefix("nginx: ") or ("it says nothing more" if "broken" in said else ""),
            conf=NginxConf.read(dump),
            main_file=main_file,
            started_with=next((file for file in started if file != main_file), "") if main_file else "",
            resolvers=tuple(filter(None, (_resolver(value) for key, value in pairs if key == "resolver"))),
            ipv6="ipv6" in said,
            ipv6_route="ipv6_route" in said,
            bundle=said.get("bundle", BUNDLES[0] if "debian" in said else BUNDLES[1]),
            trust_folder=folder if version >= SSL_COMMANDS else "",
            debian="debian" in said,
            default_page_is_debians="default_page" in said,
        )


def _main_file(words: str, built: str) -> str:
    """What nginx reads when it is started with these words. `built` is what `nginx -V` says it was configured with."""
    prefix = _value(r"-p\s*", words) or _value("--prefix=", built) or "/usr/local/nginx"
    file = _value(r"-c\s*", words) or _value("--conf-path=", built) or "conf/nginx.conf"
    return posixpath.normpath(posixpath.join(prefix, file))


def _value(option: str, words: str) -> str:
    found = re.search(rf"(?:^|\s){option}(\S+)", words)
    return found[1] if found else ""


def _version(text: str) -> Version:
    """1.22.1-9+deb12u1 is (1, 22, 1); what is no version is ()."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _distributed(said: Mapping[str, str]) -> Version:
    return _DISTRIBUTIONS.get((said["os_ID"], said.get("os_VERSION_ID", "")), OLDEST)


def _resolver(text: str) -> str:
    """As the directive takes it: IPv6 in brackets; "" for one with a zone, which nginx cannot use."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return str(address)
    return "" if getattr(address, "scope_id", None) else f"[{address}]"
