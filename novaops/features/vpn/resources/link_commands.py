"""The commands that start and stop a link on its host, and sh that tells how it is."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from novaops.features.vpn.paths import LinkPaths
from novaops.shell import join, quote

_UP = """\
systemctl daemon-reload
[ -e "/etc/novaops/vpn/$1.sh" ] || exit 0
sh "/etc/novaops/vpn/$1.sh" "$1" "$2"
"""
"""Without its script there is no such link: systemd forgets it."""

_DOWN = """\
if [ -e "/etc/novaops/vpn/$1.sh" ]; then exec sh "/etc/novaops/vpn/$1.sh" "$1" down; fi
for one in "novaops-vpn-$1-routes.timer" "openvpn-client@$1.service" "novaops-vpn-$1-hold.service"; do systemctl -q disable --now "$one" 2>/dev/null; done
! systemctl is-active -q "openvpn-client@$1.service\""""

_ASIDE = """\
for one in "novaops-vpn-$1-routes.timer" "novaops-vpn-$1-routes.service" "openvpn-client@$1.service" "novaops-vpn-$1-hold.service"; do
  systemctl -q disable --now "$one" 2>/dev/null
done
rm -f "/run/novaops-vpn/$1.with" "/run/novaops-vpn/$1.up" "/run/novaops-vpn/$1.rx"
! systemctl is-active -q "openvpn-client@$1.service\""""
"""The routes to nowhere stay."""

_FORGET = """\
systemctl daemon-reload
systemctl reset-failed "openvpn-client@$1.service" 2>/dev/null
rm -f "/var/lib/novaops-vpn/$1"
rmdir /var/lib/novaops-vpn "/etc/systemd/system/openvpn-client@$1.service.d" /etc/novaops/vpn /etc/novaops 2>/dev/null
exit 0"""


def up(name: str) -> tuple[str, ...]:
    return ("sh", "-c", _UP, "vpn-up", name, "up")


def back(name: str) -> tuple[str, ...]:
    """Started as it was before, whether its server answers now or not."""
    return ("sh", "-c", _UP, "vpn-back", name, "back")


def down(name: str) -> tuple[str, ...]:
    return ("sh", "-c", _DOWN, "vpn-down", name)


def aside(name: str) -> tuple[str, ...]:
    """Stopped, to be started again: meanwhile nothing that is to go through the link goes elsewhere."""
    return ("sh", "-c", _ASIDE, "vpn-aside", name)


def forget(name: str) -> tuple[str, ...]:
    """What is left once its files are removed: systemd's memory of it, the addresses that were seen, empty folders."""
    return ("sh", "-c", _FORGET, "vpn-forget", name)


def digest(contents: Iterable[bytes]) -> str:
    """The sha256 of a link's files together, as the host's script makes it."""
    return sha256(b"".join(contents)).hexdigest()


def runs_with(paths: LinkPaths, files: str) -> str:
    """sh: whether the link was last started with files of this digest."""
    return f'[ "$(cat {quote(paths.running_with)} 2>/dev/null)" = {files} ]'


def is_right(paths: LinkPaths) -> str:
    """sh: whether the link runs, at boot too, with the files that are there."""
    files = f"cat {join(paths.started_with)} 2>/dev/null | sha256sum | cut -d ' ' -f 1"
    # One question for each unit: asked for several, systemctl says yes when one of them is.
    asked = [f"systemctl {verb} -q {quote(unit)}" for unit in _units(paths) for verb in ("is-active", "is-enabled")]
    return " && ".join([*asked, f'[ "$(cat {quote(paths.running_with)})" = "$({files})" ]'])


def is_off(paths: LinkPaths) -> str:
    """sh: whether the link is stopped, and nothing starts it at boot."""
    enabled = f"for one in {join(_units(paths))}; do ! systemctl is-enabled -q $one 2>/dev/null || exit 1; done"
    return f"( {enabled}; case $(systemctl is-active {quote(paths.unit)}) in inactive | failed | unknown) ;; *) exit 1 ;; esac )"


def is_unknown(paths: LinkPaths) -> str:
    """sh: whether systemd has forgotten its units."""
    return f'[ ! -e {quote(paths.script)} ] && [ "$(systemctl show -p LoadState --value {quote(paths.hold)})" = not-found ]'


def _units(paths: LinkPaths) -> tuple[str, str, str]:
    return paths.unit, paths.routes_timer, paths.hold
