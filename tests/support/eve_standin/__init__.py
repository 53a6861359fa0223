"""A stand-in for EVE-NG's web page: its API, and nodes that really boot under qemu. The standard library only: it also runs on hosts.

    python3 -m eve_standin --root /opt/unetlab --edition pro --port 80 --tls-port 443 --certificate CERT.pem --key KEY.pem

What it does as EVE-NG does is in docs/eve.md, "What ran against what".
"""
