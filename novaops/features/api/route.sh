# Sends the requests of all routes at once, and prints one line of tab-separated fields for each.
# facts.py sets the variables of a route, calls `route NUMBER &`, and after the last of them `answers COUNT`.
# shellcheck shell=sh
# shellcheck disable=SC2154 # set by facts.py: url host port connect_url seconds connect_to interface bypass request stream_request
command -v curl >/dev/null || exit 7
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

text() { head -c 4000 -- "$1" 2>/dev/null | base64 -w 0; }

# lookup SECONDS [WORDS of getent]: the addresses that the name leads to, each once.
lookup() {
  limit=$1; shift
  timeout "$limit" getent "$@" ahosts -- "$host" 2>/dev/null | awk '!seen[$1]++ { print $1 }'
}

# Curl does not tell a server that is silent in the TLS handshake from one that is not there, and does not say why a
# connection failed. So it is asked once more, without the secrets of the request.
again() { curl -q "$@" -sv --noproxy '*' --max-time 2 -o /dev/null </dev/null; }

# One read of a pipe takes what has arrived and no more, so each part of the answer gets a time of its own. The time is read
# without starting a process. What has come in one lump stays one lump, however slow the host is.
stream() {
  read -r begun rest </proc/uptime
  { curl -q "$@" -sS -N -K - -D "$r.head" 2>"$r.stream.said" <<REQUEST
$stream_request
REQUEST
    echo $? >"$r.status"; } | {
    part=1000
    while [ "$part" -lt 1400 ] && dd bs=65536 count=1 of="$r.part.$part" 2>/dev/null && [ -s "$r.part.$part" ]; do
      read -r now rest </proc/uptime; echo "$now" >>"$r.times"; part=$((part + 1))
    done
  }
  for part in "$r".part.*; do wc -c <"$part"; done >"$r.sizes"
  cat "$r".part.* >"$r.stream"
  sed -n -e '/^HTTP\//p' -e '/^[Cc]ontent-[Tt]ype:/p' "$r.head" >"$r.kind" 2>/dev/null
  # shellcheck disable=SC2005,SC2046 # joins the lines of a file by blanks
  printf '%s,%s,%s,%s,%s,%s,%s' "$(cat "$r.status")" "$(text "$r.stream.said")" "$(text "$r.kind")" "$begun" \
    "$(echo $(cat "$r.times" 2>/dev/null))" "$(echo $(cat "$r.sizes"))" "$(head -c 100000 "$r.stream" | base64 -w 0)" >"$r.streamed"
}

# The positional parameters are curl's options for the way to the API. None of them is secret.
route() {
  r=$folder/$1; set --
  local_address=
  [ -z "$bypass" ] || local_address=$(getent -s hosts:files ahosts -- "$host" 2>/dev/null | awk 'index($1, "127.86.") == 1 { print $1; exit }')
  if [ -n "$connect_to" ]; then
    set -- --connect-to "::$connect_to"
    printf '%s\n' "${connect_to%:*}" | tr -d '[]' >"$r.names"
  elif [ -z "$local_address" ]; then
    [ -z "$interface" ] || set -- --interface "if!$interface"
    lookup "$seconds" >"$r.names" &
  else # a transparent tunnel has taken the name over: past it, if DNS tells how
    lookup 3 -s hosts:dns | sed '/^127\./d' >"$r.dns"
    if [ -s "$r.dns" ]; then
      set -- --resolve "$host:$port:$(awk '{ printf "%s%s", comma, /:/ ? "[" $1 "]" : $1; comma = "," }' "$r.dns")"
      cp "$r.dns" "$r.names"
    else
      echo "$local_address" >"$r.names"
    fi
    echo "hosts-file $local_address $#" >"$r.way"
  fi
  measured=$(curl -q "$@" -sS -K - -o "$r.body" 2>"$r.said" <<REQUEST
$request
REQUEST
  ); status=$?
  case $status in
    7) again "$@" "$url" 2>&1 | sed -n -e 's/^\* *connect to .* failed: //p' -e 's/^\* *Immediate connect fail for [^ ]*: //p' >"$r.refusals" ;;
    28) again "$@" -w '%{time_connect}' "$connect_url" 2>/dev/null >"$r.refusals" ;;
  esac
  case ${stream_request:+asked}$status$measured in # only where the first answer was a good one
    asked02[0-9][0-9]*) stream "$@" ;;
  esac
  wait
  if [ -n "$bypass" ]; then # which device leads there, as the host's routes say it
    address=$(printf '%s' "$measured" | cut -f 6)
    [ -n "$address" ] || address=$(head -n 1 "$r.names" 2>/dev/null)
    [ -z "$address" ] || ip -o route get "$address" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/device \1/p' >>"$r.way"
  fi
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t.' "$status" "$(printf '%s' "$measured" | base64 -w 0)" "$(text "$r.said")" "$(text "$r.body")" \
    "$(text "$r.refusals")" "$(text "$r.names")" "$(cat "$r.streamed" 2>/dev/null)" "$(text "$r.way")" >"$r.line"
}

answers() {
  wait
  for number in $(seq 0 $(($1 - 1))); do cat "$folder/$number.line"; echo; done
}
