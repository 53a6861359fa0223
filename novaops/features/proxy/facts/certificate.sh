# look CERTIFICATE KEY: one line on a certificate and its key. A chain is cut after `largest` bytes: no server would send it.
# The keys' public halves are compared, which works for EC, RSA and Ed25519 alike. Dates are judged elsewhere, so trust leaves them out.
# A host without authorities trusts none: then nothing is said of trust.
# shellcheck shell=sh

largest=262144
look() { # CERTIFICATE KEY
  if [ ! -e "$1" ]; then
    if [ -L "$1" ] || { [ -x "${1%/*}/" ] || [ ! -e "${1%/*}/" ]; }; then echo absent; else echo unknown; fi; return
  fi
  if [ ! -f "$1" ] || [ ! -r "$1" ]; then echo unknown; return; fi
  chain=$(head -c "$largest" -- "$1" | base64 | tr -d '\n') || { echo unknown; return; }
  if [ ! -f "$2" ]; then key=absent rights=- encrypted=-
  else
    key=present rights=$(stat -L -c %a:%U:%G -- "$2") encrypted=no
    ! grep -q ENCRYPTED -- "$2" || encrypted=yes
  fi
  matches=untold trusted=untold why=
  if command -v openssl >/dev/null; then
    # openssl reads all authorities of the host, which takes longer than all the rest, unless it is told of another file.
    of_certificate=$(SSL_CERT_FILE=/dev/null openssl x509 -in "$1" -noout -pubkey 2>/dev/null)
    if [ $key = present ] && [ $encrypted = no ] && [ "$of_certificate" ]; then
      if [ "$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null)" = "$of_certificate" ]; then matches=yes; else matches=no; fi
    fi
    for store in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem -; do
      [ ! -e "$store" ] || break
    done
    if [ "$store" = - ]; then :
    elif why=$(SSL_CERT_FILE=/dev/null openssl verify -no_check_time -untrusted "$1" "$1" 2>&1); then trusted=yes # by the folder of hashes
    elif why=$(openssl verify -no_check_time -untrusted "$1" "$1" 2>&1); then trusted=yes; else trusted=no; fi
  fi
  printf '%s %s %s %s %s %s %s.\n' "$key" "$rights" "$encrypted" "$matches" "$trusted" "$chain" "$(printf %s "$why" | base64 | tr -d '\n')"
}
