"""What servers inherit from http: how a site takes back what others have said for all servers. Pure.

Only what is really there is taken back, so that nothing is written that an nginx without that module does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.nginx_own import is_own
from novaops.features.proxy.resources.nginx_files import is_ours
from novaops.formats.nginx_conf import Directive, NginxServer

NOTHING = "$novaops_nothing"
"""A variable without a value: a key that nothing is counted by, and a text that is replaced nowhere."""

_LUA = {
    f"{phase}_by_lua{form}": f"{phase}_by_lua_block {{ return }}"
    for phase in ("server_rewrite", "rewrite", "access", "header_filter", "body_filter")
    for form in ("", "_file", "_block")
}

_OFF = (
    *("auth_basic", "auth_request", "auth_jwt", "auth_oidc", "auth_pam", "auth_ldap", "auth_gss", "auth_digest", "modsecurity"),
    *("expires", "userid", "ssi", "charset", "override_charset", "mirror", "dav_methods", "disable_symlinks", "recursive_error_pages"),
    *("limit_req_dry_run", "client_body_in_file_only", "client_body_in_single_buffer", "underscores_in_headers", "pagespeed"),
    *("passenger_enabled", "ssl", "http2", "ssl_verify_client", "ssl_early_data", "ssl_reject_handshake", "ssl_ocsp"),
    *("proxy_intercept_errors", "proxy_bind", "proxy_store", "proxy_cache", "proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path"),
    *("proxy_cookie_flags", "proxy_ignore_client_abort", "proxy_force_ranges", "testcookie", "ModSecurityEnabled", "app_protect_enable"),
)
_ON = (
    *("chunked_transfer_encoding", "ignore_invalid_headers", "merge_slashes", "tcp_nodelay", "lingering_close", "add_header_inherit"),
    *("add_trailer_inherit", "proxy_buffering", "proxy_request_buffering", "proxy_pass_request_headers", "proxy_pass_request_body"),
    "proxy_ssl_session_reuse",
)

DEFAULTS: Mapping[str, str] = {
    **{name: f"{name} off" for name in _OFF},
    **{name: f"{name} on" for name in _ON},
    **_LUA,
    "satisfy": "satisfy all",
    "auth_delay": "auth_delay 0s",
    "allow": "allow all",
    "deny": "allow all",
    # A list is inherited unless the server has one of its own.
    "error_page": "error_page 599 /",
    "add_header": 'add_header X-Novaops-Site ""',
    "add_before_body": 'add_before_body ""',
    "add_after_body": 'add_after_body ""',
    "sub_filter": f'sub_filter {NOTHING} ""',
    "limit_req": "limit_req zone=novaops_no_requests",
    "limit_conn": "limit_conn novaops_no_connections 1",
    "limit_rate": "limit_rate 0",
    "limit_rate_after": "limit_rate_after 0",
    "slice": "slice 0",
    "send_timeout": "send_timeout 60s",
    "client_body_timeout": "client_body_timeout 60s",
    "client_header_timeout": "client_header_timeout 60s",
    "client_body_buffer_size": "client_body_buffer_size 16k",
    "client_header_buffer_size": "client_header_buffer_size 1k",
    "large_client_header_buffers": "large_client_header_buffers 4 8k",
    # What nginx hides in any case, and does not hide in any case.
    "proxy_hide_header": "proxy_hide_header X-Pad",
    "proxy_pass_header": "proxy_pass_header X-Novaops-None",
    "proxy_ignore_headers": "proxy_ignore_headers Vary",
    "proxy_method": "proxy_method $request_method",
    "proxy_limit_rate": "proxy_limit_rate 0",
    "proxy_max_temp_file_size": "proxy_max_temp_file_size 1024m",
    "proxy_next_upstream_tries": "proxy_next_upstream_tries 0",
    "proxy_next_upstream_timeout": "proxy_next_upstream_timeout 0",
    "proxy_ssl_ciphers": "proxy_ssl_ciphers DEFAULT",
}
"""By directive: what a server says to have nginx's own default again. The values are those of nginx.org/en/docs/dirindex.html."""

OF_CONNECTIONS = frozenset(
    {
        "client_header_timeout",
        "client_header_buffer_size",
        "large_client_header_buffers",
        "underscores_in_headers",
        "ignore_invalid_headers",
    }
)
"""What nginx takes from the default server, as it does not know yet whose request it reads."""

_ODD_HEADERS: Mapping[str, str] = {"underscores_in_headers": "on", "ignore_invalid_headers": "off"}
"""By which nginx passes headers on whose names it drops otherwise."""

_FOR_GOOD = (
    *("proxy_set_body", "subs_filter", "auth_require", "auth_jwt_require", "more_set_input_headers", "more_clear_input_headers"),
    *("more_set_headers", "more_clear_headers"),
    # A server's own list takes the trailer away, but answers still go without Content-Length.
    "add_trailer",
)
_FOR_GOOD_OVER_TLS = tuple(f"ssl_{step}_by_lua{form}" for step in ("client_hello", "certificate") for form in ("", "_block", "_file"))
_FOR_GOOD_TO_TLS = ("proxy_ssl_certificate", "proxy_ssl_certificate_key", "proxy_ssl_crl")
_NEGOTIATED = frozenset(
    {
        *("ciphersuites", "cipherstring", "curves", "groups", "signaturealgorithms", "clientsignaturealgorithms", "dhparameters"),
        *("options", "protocol", "minprotocol", "maxprotocol", "recordpadding", "numtickets", "ecdhparameters"),
    }
)
"""Commands of `ssl_conf_command` that are about how TLS is spoken. Others say which certificates are shown and wanted."""
_PREPARES = (
    *("lua_", "init_by_lua", "init_worker_by_lua", "exit_worker_by_lua", "modsecurity_", "ModSecurity", "pagespeed_", "passenger_"),
    *("testcookie_", "app_protect_"),
)
"""What directives begin with that do nothing to a server in which their module is off."""

_ADDRESSES = ("real_ip_header", "set_real_ip_from")


def taken_back(nginx: NginxFacts, said: Collection[str], only: Collection[str] = DEFAULTS) -> list[str]:
    """The directives by which a server gets nginx's defaults again. `said`: what it says anyway."""
    found = (each for each in foreign(nginx) if each.name in DEFAULTS and each.name in only and each.name not in said)
    # Distributions say some of nginx's defaults in their nginx.conf.
    lines = dict.fromkeys(DEFAULTS[each.name] for each in found if " ".join(each.words) != DEFAULTS[each.name])
    return [line if line.endswith("}") else f"{line};" for line in lines]


def counts_nothing(nginx: NginxFacts) -> set[str]:
    """Which of the zones and variables are needed that `DEFAULTS` refers to."""
    return {each.name for each in foreign(nginx)} & {"limit_req", "limit_conn", "sub_filter"}


def stays(nginx: NginxFacts, *, tls: bool, secured: bool) -> Iterator[Directive]:
    """What no server can take back: one with `tls` of its own, or one that asks over TLS what is behind it."""
    names = (*_FOR_GOOD, *(_FOR_GOOD_OVER_TLS if tls else ()), *(_FOR_GOOD_TO_TLS if secured else ()))
    return (each for each in foreign(nginx) if each.name in names or (tls and _is_of_certificates(each)))


def odd_headers(nginx: NginxFacts, server: NginxServer) -> Directive | None:
    """What has a server pass on headers such as X_Forwarded_For, which many a backend takes for X-Forwarded-For."""
    said = {each.name: each for each in (*foreign(nginx), *server.directives) if each.name in _ODD_HEADERS}
    return next((each for each in said.values() if " ".join(each.words[1:]).lower() == _ODD_HEADERS[each.name]), None)


def _is_of_certificates(directive: Directive) -> bool:
    return directive.name == "ssl_conf_command" and directive.words[1:2] != [] and directive.words[1].lower() not in _NEGOTIATED


def unknown(nginx: NginxFacts) -> list[Directive]:
    """What is neither nginx's own nor known here, the first of each name."""
    known = {*DEFAULTS, *_FOR_GOOD, *_FOR_GOOD_OVER_TLS}
    found: dict[str, Directive] = {}
    for each in foreign(nginx):
        if each.name not in known and not each.name.startswith(_PREPARES) and not is_own(each.name):
            found.setdefault(each.name, each)
    return list(found.values())


def other_addresses(nginx: NginxFacts) -> Directive | None:
    """What makes nginx believe a header in which an address of the client stands. That is wanted behind a balancer."""
    found = {each.name: each for each in foreign(nginx) if each.name in _ADDRESSES}
    return found.get("real_ip_header", found["set_real_ip_from"]) if "set_real_ip_from" in found else None


def foreign(nginx: NginxFacts) -> Iterator[Directive]:
    """What stands in http itself, by others than novaops."""
    return (each for each in nginx.conf.of_http if not is_ours(each.file))
