"""Trust a host key: compare it, and add it to known_hosts as one more line."""

from __future__ import annotations

from novaops.engine.report import HostReport, ReportLine
from novaops.errors import ChangedHostKey, HostFailed, UnknownHostKey
from novaops.model.plan import Change
from novaops.ssh import known_hosts
from novaops.ssh.connection import fetch_host_key
from novaops.ssh.host_keys import check_host_key, file_to_write, known_as
from novaops.ssh.target import Target


def trust(target: Target, expected: str, *, check: bool) -> HostReport:
    """Add the key that the host shows to known_hosts. `expected` is a fingerprint it must have, "" for any.

    Raises Unreachable; ChangedHostKey when another key is known already, or the key is not the expected one.
    """
    key_type, key, place = fetch_host_key(target)
    name, file = known_as(place.hop), file_to_write(place)
    fingerprint = known_hosts.fingerprint(key)
    if expected and expected.removeprefix("SHA256:").rstrip("=") != fingerprint.removeprefix("SHA256:"):
        raise ChangedHostKey(
            f"the host key of {target} is not the expected one",
            why=f"Expected: {expected}. It shows: {key_type} {fingerprint}.",
            fix="nothing was written; find out who answers at that address",
        )
    details = {"key_type": key_type, "fingerprint": fingerprint, "known_hosts": str(file)}
    resource = f"host-key:{name}"
    try:
        check_host_key(place, key_type, key)
    except UnknownHostKey:
        if file is None:
            kept = place.hop.first("userknownhostsfile")
            raise HostFailed(
                f"the key of {target} cannot be kept: ssh's configuration has UserKnownHostsFile {kept} for it",
                why=f"It shows {key_type} {fingerprint}.",
                fix="name a file there, or as known_hosts in the inventory",
            ) from None
        change = (Change("key", None, f"{key_type} {fingerprint}"), Change("file", None, str(file)))
        if check:
            return HostReport(target.name, "would_change", (ReportLine(resource, "would_change", change),), details=details)
        try:
            added = known_hosts.add(file, name, key_type, key)
        except OSError as error:
            raise HostFailed(f"the key of {target} cannot be written into {file}", why=str(error)) from error
        if added:
            return HostReport(target.name, "changed", (ReportLine(resource, "changed", change),), details=details)
    return HostReport(
        target.name, "unchanged", (ReportLine(resource, "unchanged", (Change("key", None, f"{key_type} {fingerprint}"),)),), details=details
    )
