# A certificate and its key, two files that are replaced together. Run as `make-certificate` or as `take-back`, which is $0:
# CERTIFICATE KEY DIGEST MARKER KEPT [DAYS CONFIGURATION] [WORD…]
# DIGEST is the sha256 of the certificate that was there before, or none. KEPT is the folder for that pair. The WORDs are a command that
# makes a new certificate count, and MARKER is there while they have to be run.
# Two files cannot be renamed at once. While KEPT/between is there only one of them may be the new one, and what finds it puts the old
# pair back first.
# shellcheck shell=sh
# shellcheck disable=SC2015 # A && B || C: C is meant to run when B fails, too

certificate=$1 key=$2 before=$3 marker=$4 kept=$5; shift 5
kept_pairs=5
digest() { if [ -f "$1" ]; then sha256sum <"$1" | cut -d ' ' -f 1; fi; }
beside() { printf '%s\n' "${1%/*}/.${1##*/}.novaops-new"; }
put() { sync "$1" && mv -f -- "$1" "$2" && sync "${2%/*}/" && { ! command -v restorecon >/dev/null || restorecon "$2"; }; }
put_back() { # FILE NAME: as it was kept
  if [ -e "$kept/$2" ]; then cp -p -- "$kept/$2" "$(beside "$1")" && put "$(beside "$1")" "$1"; else rm -f -- "$1"; fi
}
put_pair_back() {
  rm -f -- "$(beside "$certificate")" "$(beside "$key")"
  put_back "$key" key && put_back "$certificate" certificate && rm -f -- "$kept/between"
}
make() {
  days=$1 configuration=$2; shift 2
  umask 077
  [ "$(digest "$certificate")" = "${before#none}" ] || { echo "$certificate was changed by someone since it was looked at"; exit 1; }
  [ ! -e "$kept/between" ] || put_pair_back || exit
  rm -rf "$kept" && mkdir -p "$kept" || exit
  # shellcheck disable=SC2012 # the names are digests, and only ls sorts by time
  ls -t "${kept%/*}" | tail -n +$((kept_pairs + 1)) | while read -r old; do rm -rf "${kept%/*}/${old:?}"; done
  for pair in "$certificate:certificate" "$key:key"; do
    [ ! -e "${pair%:*}" ] || cp -L -p -- "${pair%:*}" "$kept/${pair##*:}" || exit
  done
  new_certificate=$(beside "$certificate") new_key=$(beside "$key")
  fail() { rm -f -- "$new_certificate" "$new_key"; exit 1; }
  rm -f -- "$new_certificate" "$new_key"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new_key" &&
    printf '%s' "$configuration" | openssl req -x509 -new -sha256 -key "$new_key" -days "$days" -config /dev/stdin -out "$new_certificate" &&
    chmod 0600 "$new_key" && chmod 0644 "$new_certificate" && chown root:root "$new_key" "$new_certificate" || fail
  digest "$new_certificate" >"$kept/made" || fail
  [ $# = 0 ] || true >"$marker" || fail
  true >"$kept/between" && sync "$kept" || fail
  put "$new_key" "$key" && put "$new_certificate" "$certificate" && rm -f -- "$kept/between" || { put_pair_back; exit 1; }
  if [ $# -gt 0 ] && ! "$@"; then
    put_pair_back && timeout 60 "$@" && rm -f -- "$marker"
    exit 1
  fi
  rm -f -- "$marker"
}
take_back() {
  made=$(cat "$kept/made") || { echo "what was there before is not kept any more in $kept"; exit 1; }
  case $(digest "$certificate") in "$made" | '') ;; *) [ -e "$kept/between" ] || { echo "$certificate was changed since that run, and is left as it is"; exit 1; } ;; esac
  umask 077
  [ $# = 0 ] || true >"$marker" || exit
  put_pair_back || exit
  [ $# = 0 ] || timeout 60 "$@" || exit
  rm -f -- "$marker"
}
case $0 in make-certificate) make "$@" ;; take-back) take_back "$@" ;; esac
