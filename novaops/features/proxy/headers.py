"""Request headers that a site does not pass on: what a client claims of itself. Pure.

nginx drops a header by its exact name alone, so each name stands here. A backend that believes another one is to be set up not to.
Names that clients of ordinary programs send of their own accord (X-User-Id, X-Auth-User) are not here.
"""

from __future__ import annotations

_ADDRESSES = (
    *("Forwarded", "Forwarded-For", "X-Forwarded", "X-Forward-For", "X-Original-Forwarded-For", "X-ProxyUser-Ip", "Via"),
    *("Client-IP", "X-Client-IP", "True-Client-IP", "X-True-Client-IP", "X-Real-Client-IP", "X-Cluster-Client-IP"),
    *("X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "Remote-Addr", "X-Host-IP", "X-Custom-IP-Authorization", "X-Peer-IP"),
    *("Proxy-Client-IP", "WL-Proxy-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "Fastly-Client-IP"),
    *("Fly-Client-IP", "X-Appengine-User-IP", "X-Appengine-Remote-Addr", "X-Envoy-External-Address", "X-Envoy-Internal", "Ali-CDN-Real-IP"),
    *("CDN-Src-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Nf-Client-Connection-IP", "CloudFront-Viewer-Address"),
    *("X-Original-For", "X-Forwarded-Client-IP", "X-RealIP"),
    *("X-Vercel-Forwarded-For", "X-Vercel-Proxied-For", "X-Coming-From", "Coming-From", "X-Sucuri-ClientIP", "Incap-Client-IP"),
)
"""Where the client is."""

_LOGINS = (
    *("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name", "X-Remote-User", "X-Remote-Groups", "X-Remote-Group"),
    *("X-Remote-Email", "X-Remote-Name", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Login"),
    *("X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Auth-Request-User", "X-Auth-Request-Email"),
    *("X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token", "X-Auth-Request-Redirect"),
    *("X-Authenticated-User", "X-Authenticated-Userid", "X-Proxy-Remote-User", "Remote-Role", "X-ClientCert"),
    *("MS-ASPNETCORE-CLIENTCERT", "X-Apigateway-Api-Userinfo", "Teleport-Jwt-Assertion"),
    *("X-Authenticated-Groups", "X-Authenticated-Scope", "X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Groups"),
    "X-Credential-Identifier",
    *(
        "X-WebAuth-User",
        "X-WebAuth-Email",
        "X-WebAuth-Name",
        "X-WebAuth-Role",
        "X-WebAuth-Groups",
        "X-Grafana-User",
        "SM-User",
        "SM-UserDN",
    ),
    *("X-authentik-username", "X-authentik-groups", "X-authentik-email", "X-authentik-name", "X-authentik-uid", "X-authentik-jwt"),
    *("X-authentik-entitlements", "X-authentik-meta-app", "X-authentik-meta-jwks", "X-authentik-meta-outpost"),
    *(
        "X-authentik-meta-provider",
        "X-authentik-meta-version",
        "X-Vouch-User",
        "X-Vouch-Token",
        "X-Vouch-Success",
        "X-Pomerium-Claim-Email",
    ),
    *("X-Pomerium-Claim-User", "X-Pomerium-Claim-Groups", "X-Pomerium-JWT-Assertion", "Cf-Access-Authenticated-User-Email"),
    *("Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity"),
    *("X-Amzn-Oidc-Accesstoken", "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Goog-IAP-JWT-Assertion"),
    *("X-Appengine-User-Email", "X-Appengine-User-Id", "X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID"),
    *("X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-CLIENT-PRINCIPAL-IDP", "X-MS-TOKEN-AAD-ID-TOKEN", "X-MS-TOKEN-AAD-ACCESS-TOKEN"),
    *(
        "Tailscale-User-Login",
        "Tailscale-User-Name",
        "Tailscale-User-Profile-Pic",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-Tls-Client-Cert",
    ),
    *("X-Forwarded-Tls-Client-Cert-Info", "X-ARR-ClientCert", "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Verify"),
    *("X-Client-DN", "X-Client-CN", "X-SSL-Cert", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-DN", "X-SSL-Client-S-DN"),
    *("X-SSL-Client-CN", "X-SSL-Client-Serial", "X-SSL-Client-Fingerprint", "X-SSL-Client-I-DN", "X-SSL-Client-Issuer", "X-SSL-Issuer"),
    *("SSL-Client-Cert", "SSL-Client-Verify", "SSL-Client-DN", "SSL-Client-S-DN", "SSL-Client-Subject-DN", "SSL-Client-Issuer-DN"),
    *("SSL-Client-CN", "SSL-Client-Serial", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject", "X-Amzn-Mtls-Clientcert-Leaf"),
    *("X-Amzn-Mtls-Clientcert-Issuer", "X-Amzn-Mtls-Clientcert-Serial-Number", "WL-Proxy-Client-Cert"),
)
"""Who the client is, as a login page or a check of certificates in front of the backend would say it."""

_URLS = (
    *("X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Scheme", "X-Forwarded-Server"),
    *("X-Forwarded-Ssl", "X-Forwarded-Protocol", "X-Forwarded-By", "X-Forwarded-Proto-Version", "X-Url-Scheme", "X-Scheme"),
    *("Front-End-Https", "WL-Proxy-SSL", "X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Original-Proto"),
    *("X-Rewrite-URL", "X-HTTP-Host-Override", "X-Script-Name", "X-Request-URI", "X-Envoy-Original-Path", "X-Replaced-Path"),
    *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Accel-Internal", "X-Accel-Mapping", "X-Sendfile-Type"),
    *("CF-Visitor", "CloudFront-Forwarded-Proto", "X-ARR-SSL", "Fastly-SSL", "X-Forwarded-Https", "X-Original-Prefix", "X-Host"),
    *("X-HTTP-Host", "HTTP2-Settings", "Proxy"),
)
"""What the request is, and how it came."""

SPOOFABLE = (*_ADDRESSES, *_LOGINS, *_URLS, "X-Novaops-Asks")
"""By which a client could pose as somebody else to a server that trusts its proxy."""

IDENTIFYING = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", *_ADDRESSES),
    *("CF-IPCountry", "CF-Ray", "CF-Visitor", "CF-IPCity", "Cookie", "Referer", "Origin", "Proxy", "Proxy-Authorization", "X-Novaops-Asks"),
)
"""By which an API would know who or where the client is."""
