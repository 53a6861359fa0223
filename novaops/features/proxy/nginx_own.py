"""The directives of nginx itself that may stand in http, as nginx.org/en/docs/dirindex.html lists them."""

from __future__ import annotations

import re

_MODULES = (
    *("access_log", "add_after_body", "add_before_body", "add_header", "add_trailer", "addition", "aio", "auth_basic", "auth_delay"),
    *("auth_jwt", "auth_oidc", "auth_request", "autoindex", "charset", "client", "connection_pool", "dav", "directio", "error", "fastcgi"),
    *("geoip_city", "geoip_country", "geoip_org", "geoip_proxy", "grpc", "gunzip", "gzip", "health_check", "hls", "http2", "http3"),
    *("image_filter", "js", "keepalive", "keyval", "limit", "lingering", "log", "map", "memcached", "mirror", "mp4", "msie", "open_file"),
    *("open_log_file", "otel", "perl", "proxy", "quic", "real_ip", "referer", "resolver", "scgi", "secure_link", "sendfile", "server"),
    *("session_log", "split_clients", "ssi", "ssl", "status", "stub_status", "sub_filter", "types", "upstream", "userid", "uwsgi"),
    *("variables_hash", "xslt", "zone_sync", "acme"),
)
"""What the names of directives are, or begin with before an underscore."""

_NAMES = frozenset(
    {
        *("absolute_redirect", "allow", "ancient_browser", "ancient_browser_value", "api", "break", "chunked_transfer_encoding"),
        *("create_full_put_path", "default_type", "deny", "disable_symlinks", "early_hints", "empty_gif", "etag", "expires", "f4f", "flv"),
        *(
            "geo",
            "geoip_city",
            "if",
            "if_modified_since",
            "ignore_invalid_headers",
            "include",
            "index",
            "internal",
            "large_client_header_buffers",
        ),
        *("location", "match", "max_headers", "max_ranges", "merge_slashes", "min_delete_depth", "modern_browser", "modern_browser_value"),
        *("num_map", "output_buffers", "override_charset", "port_in_redirect", "postpone_output", "random_index", "read_ahead"),
        *("recursive_error_pages", "request_pool_size", "reset_timedout_connection", "return", "rewrite", "rewrite_log", "root", "satisfy"),
        *(
            "send_lowat",
            "send_timeout",
            "set",
            "set_real_ip_from",
            "slice",
            "source_charset",
            "subrequest_output_buffer_size",
            "tcp_nodelay",
        ),
        *("tcp_nopush", "try_files", "underscores_in_headers", "uninitialized_variable_warn", "valid_referers", "xml_entities"),
    }
)
_OWN = re.compile(rf"(?:{'|'.join(_MODULES)})(?:_.*)?")


def is_own(name: str) -> bool:
    return name in _NAMES or (_OWN.fullmatch(name) is not None and "_by_lua" not in name)
