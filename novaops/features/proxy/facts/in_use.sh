# Which files nginx does not work with as they are now: lines `changed FILE`, and `other NUMBER SERVED-UNTIL THERE-UNTIL`, with tabs.
# A file that was changed after nginx's workers began is not what they have read. A respawned worker has read nothing, it has what the
# main process read: the oldest one counts. A time that is still to come says nothing: it is left behind by a clock that was put back.
# shellcheck shell=sh

clocks() { # sets now, the time, and up, the seconds since the boot: read within 0.02 s of each other, as far as a busy host allows
  tries=0
  while read -r before _ </proc/uptime; now=$(date +%s.%N); read -r up _ </proc/uptime
    [ $((${up%.*}${up#*.} - ${before%.*}${before#*.})) -gt 2 ] && [ $tries -lt 20 ]
  do tries=$((tries + 1)); done
}
began=
if systemctl is-active -q nginx.service 2>/dev/null; then
  main=$(systemctl show -p MainPID --value nginx.service)
  for worker in $(cat "/proc/$main/task/$main/children" 2>/dev/null || pgrep -P "$main"); do
    case $(tr '\0' ' ' 2>/dev/null <"/proc/$worker/cmdline") in
      *'shutting down'*) ;;
      *'worker process'*) began="$began $(sed 's/.*) //' "/proc/$worker/stat" 2>/dev/null | cut -d ' ' -f 20)" ;;
    esac
  done
  clocks
  began=$(awk -v all="$began" -v now="$now" -v up="$up" -v ticks="$(getconf CLK_TCK 2>/dev/null || echo 100)" 'BEGIN {
    many = split(all, each, " "); for (n = 1; n <= many; n++) if (n == 1 || each[n] + 0 < first) first = each[n] + 0
    if (many) printf "%.2f", now - up + first / ticks }')
fi
changed() { # FILE...: those that were changed since. A link counts as well as what it leads to.
  { stat -c '%.9Z %n' -- "$@"; stat -L -c '%.9Z %n' -- "$@"; } 2>/dev/null | awk -v began="$began" -v now="$(date +%s.%N)" '
    $1 + 0 > began + 0 && $1 + 0 <= now + 0 { sub(/^[^ ]* /, ""); print "changed\t" $0 }'
}
leaf() { sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p; /^-----END CERTIFICATE-----/q'; }
# openssl reads all authorities of the host, which takes longer than all the rest, unless it is told of another file.
ends() { SSL_CERT_FILE=/dev/null openssl x509 -noout -enddate 2>/dev/null | sed 's/^notAfter=//'; }
certificate() { # NUMBER FILE ADDRESS:PORT NAME: whether a client that asks for the name is shown the file's first certificate
  there=$(leaf <"$2") && [ -n "$there" ] || return 0
  served=$(SSL_CERT_FILE=/dev/null timeout 5 openssl s_client -connect "$3" -servername "$4" </dev/null 2>/dev/null | leaf)
  [ -n "$served" ] || return 0
  if [ "$(printf %s "$served" | tr -d '[:space:]')" != "$(printf %s "$there" | tr -d '[:space:]')" ]; then
    printf 'other\t%s\t%s\t%s\n' "$1" "$(printf '%s\n' "$served" | ends)" "$(printf '%s\n' "$there" | ends)"
  fi
}
