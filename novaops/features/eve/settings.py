"""The form of `eve:`, the inventory's section for an EVE-NG host."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from novaops.engine.secret_source import Reference
from novaops.features.disk.settings import Disk
from novaops.features.eve.data import StrictModel
from novaops.features.eve.paths import ADDONS
from novaops.formats import names

Url = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9._~:/\[\]-]+$")]
Package = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Networks = Annotated[tuple[names.Network, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])]


def _fingerprint(text: str) -> str:
    plain = text.replace(" ", "").replace(":", "").upper()
    if len(plain) not in {40, 64} or not set(plain) <= set("0123456789ABCDEF"):
        raise ValueError(f'"{text}" is no fingerprint of an OpenPGP key: 40 hexadecimal digits, as gpg --show-keys prints it')
    return plain


class Repository(StrictModel):
    """Where the packages come from. What is left out is as data/editions.yaml says for the host's system."""

    url: Url | None = None
    suite: Word | None = None
    component: Word = "main"
    package: Package | None = None
    key: Url | None = None
    """Where the signing key is fetched from, by the host."""
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """Of the signing key. Nothing is installed without it; a refusal shows the one that the host was offered."""


def _is_addons(path: str) -> str:
    if path != ADDONS:
        raise ValueError(f"EVE-NG's images are at {ADDONS}, and not at {path}")
    return path


class DataDisk(Disk):
    """The disk for the images: an entry of `disk:` whose path is the addons directory."""

    path: Annotated[names.Path, AfterValidator(_is_addons)] = ADDONS


class OpenTo(StrictModel):
    """One port of EVE-NG that is open to others than the host itself."""

    port: Annotated[int, Field(ge=1, le=65535)]
    addresses: Networks = Field(default=(), alias="from")
    """Networks that may connect; empty: everybody."""

    def lets_in(self, address: str) -> bool:
        return not self.addresses or any(ip_address(address) in ip_network(one) for one in self.addresses)


def _open_to(value: Any) -> Any:
    """An inventory's numbers are texts; a flag's are none."""
    return {"port": value} if isinstance(value, int | str) else value


def _data(value: Any) -> Any:
    return {"device": value} if isinstance(value, str) else value


class Eve(StrictModel):
    """The section."""

    web_password: Reference
    """The password of the web user admin: env:NAME, file:PATH or cmd:WORDS."""
    release: Literal["jammy", "noble"] | None = None
    """The release of Ubuntu that the host must have, and with it the edition. None: whichever of them it has."""
    repository: Repository = Repository()
    data: Annotated[DataDisk, BeforeValidator(_data, json_schema_input_type=str | DataDisk)] | None = None
    """The disk for the images: a device alone, or keys as in `disk:`. None: they are on the root disk."""
    open: tuple[Annotated[OpenTo, BeforeValidator(_open_to, json_schema_input_type=int | str | OpenTo)], ...] = ()
    """Ports open to others than the host itself. Without any the page is reached by `novaops tunnel open HOST --to eve`."""
    root_login: Literal["as-is", "no", "prohibit-password", "yes"] = "as-is"
    """Who root is for sshd. as-is: what it was before the packages set it to yes."""
    hostname: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    domain: names.Host | None = None
    ntp: tuple[names.Host, ...] = ()
    network: Literal["as-is", "pnet0"] = "pnet0"
    """pnet0: the network card becomes eth0 in the bridge pnet0, which has the host's address and the card's own MAC address."""
    kernel: Literal["as-is", "eve"] = "eve"
    """eve: the host is booted into the kernel of EVE-NG. The one that it runs now stays, and is booted again if that fails."""
    reboot: bool = True
    """Whether `eve install` may reboot the host for that. Else it says that a reboot is needed."""
    retry_kernel: bool = False
    """Whether to boot a kernel of EVE-NG that did not come up before."""
    nested: Literal["required", "not-required"] = "required"
    """not-required: EVE-NG is installed where no node can run, to look at it."""
    lock_wait: Annotated[int, Field(ge=0, le=7200)] = 600
    """Seconds to wait for another package manager to end."""
    room: Annotated[int, Field(ge=0)] = 10
    """GiB that have to be free on the root disk before the installation."""

    @model_validator(mode="after")
    def _fits(self) -> Eve:
        if self.domain and not self.hostname:
            raise ValueError("domain: it belongs to a hostname")
        if self.data and self.data.state != "mounted":
            raise ValueError("data: its state is mounted, or leave data out")
        return self


Settings = Eve
