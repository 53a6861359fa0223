"""What cloud-init does to a host at each boot."""

from __future__ import annotations

from novaops.facts.succeeds import Succeeds

MANAGES_HOSTS = Succeeds(
    "grep -rqsE '^[[:space:]]*manage_etc_hosts:[[:space:]]*(true|True|template|localhost)' /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d"
    " /var/lib/cloud/instance/vendor-data.txt /var/lib/cloud/instance/user-data.txt"
)
"""Whether it writes /etc/hosts anew."""
