# Print the certificate that the web page on $port shows, if it speaks TLS there.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

if command -v openssl >/dev/null; then
  # Without this openssl reads all authorities of the host, twice.
  export SSL_CERT_FILE=/dev/null
  timeout 10 openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 2>/dev/null || :
else
  echo "no openssl"
fi
