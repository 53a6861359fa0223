# The state of tunnels on their client: functions for facts/state.py, to be put after those of probes.sh and facts/sockets.sh.
# Set before: configs, the folder of the tunnels' files; fresh, the seconds that a tunnel which has just begun is given to come up.
# A tunnel is printed as rows of columns apart by tabs; the first column names the row.
# shellcheck shell=sh
# shellcheck disable=SC2154 # ssh and age are set by youngest, of probes.sh
: "${configs:?}" "${fresh:?}"
listeners=$(ss -l -t -n -H) # without the names of processes, which may look like lines of it
processes=$(sockets -t | base64 -w 0)
folder=$(mktemp -d) || exit; trap 'rm -rf "$folder"' EXIT
all_answer() { # NAME: whether every forward answers; the answers are files of the folder
  rm -f "$folder/$1"/*; mkdir -p "$folder/$1"
  ask_through "$configs/$1.forwards" "$folder/$1" front
  ! grep -qs '^no' "$folder/$1"/*
}
settled() { # UNIT: whether waiting is of no use, because it has run for long, or does not run
  case $(systemctl show -p ActiveState --value -- "$1") in active | activating) ;; *) return 0 ;; esac
  youngest "$1"
  [ "${age:-0}" -ge "$fresh" ]
}
listener() { # ADDRESS:PORT, of ss's lines: the one that listens there, or on all addresses of its kind
  awk -v place="$1" '
    BEGIN { port = place; sub(/.*:/, "", port); any = place ~ /^\[/ ? "[::]:" : "0.0.0.0:" }
    $4 == place || $4 == any port || $4 == "*:" port { print; exit }'
}
addresses() { # NAME: the addresses that clients on this host get for it, apart by commas
  timeout 5 getent ahosts "$1" | cut -d ' ' -f 1 | awk '!seen[$0]++' | paste -s -d ,
}
directly() { # ANSWER DIRECTION LINE: what the target itself answers, where that is on this end, and no answer came by the gateway
  if [ "$2" != -R ] || ! grep -qs '^no' "$1"; then return; fi
  to=$(printf %s "$3" | cut -f 5)
  through "${to%:*}" "${to##*:}" "$(printf %s "$3" | cut -f 3)" "$(printf %s "$3" | cut -f 4)"
}
tunnel() { # NAME WAIT
  forwards=$configs/$1.forwards unit=novaops-tunnel-$1.service
  if [ ! -e "$forwards" ]; then printf 'tunnel\t%s\tabsent\n' "$1"; return; fi
  if [ "$2" = wait ]; then
    begun=$(date +%s)
    until all_answer "$1" || settled "$unit" || [ $(($(date +%s) - begun)) -ge "$fresh" ]; do sleep 0.5; done
  else all_answer "$1"
  fi
  printf 'tunnel\t%s\tpresent\n' "$1"
  direction=$(sed -n 's/^# direction //p' "$forwards")
  printf 'processes\t%s\n' "$processes"
  sed -n 's/^# \(via\|supervisor\|direction\) /\1\t/p' "$forwards"
  systemctl show -p ActiveState,SubState,NRestarts,ActiveEnterTimestampMonotonic,MainPID -- "$unit" | sed 's/^/unit\t/'
  printf 'check\t%s\n' "$(systemctl is-active -- "novaops-tunnel-$1-check.timer")"
  read -r up _ </proc/uptime; printf 'up\t%s\n' "$up"
  number=0
  while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    number=$((number + 1))
    printf 'forward\t%s\nanswer\t%s\n' "$line" "$(cat "$folder/$1/$number" 2>/dev/null)"
    printf 'direct\t%s\n' "$(directly "$folder/$1/$number" "$direction" "$line")"
    place=$(printf %s "$line" | cut -f 1,2 | tr '\t' :)
    printf 'listener\t%s\n' "$(printf '%s\n' "$listeners" | listener "$place")"
    set -- "$1" "$2" "$(printf %s "$line" | cut -f 5)" "$(printf %s "$line" | cut -f 7)"
    printf 'addresses\t%s\n' "$([ "$4" = - ] || addresses "${3%:*}")"
  done <"$forwards"
  youngest "$unit"
  if [ -n "$ssh" ]; then
    printf 'ssh\t%s\t%s\n' "$ssh" "$age"
    now=$(date +%s)
    for file in "$configs/$1.conf" "$configs/$1.key" "$configs/$1.known_hosts"; do # what this ssh has read when it began
      changed=$(stat -L -c %Z -- "$file" 2>/dev/null) || continue
      if [ "$changed" -gt $((now - age + 1)) ] && [ "$changed" -le "$now" ]; then printf 'stale\t%s\n' "$file"; fi
    done
    port=$(sed -n 's/^ *Port //p' "$configs/$1.conf" 2>/dev/null)
    { sockets_of "$ssh"; ss -t -n -e -i -H -O state established 2>/dev/null; } | awk -v port=":$port\$" '
      $2 ~ /^socket:/ { gsub(/[^0-9]/, "", $2); own[$2]; next }
      match($0, / ino:[0-9]+/) && substr($0, RSTART + 5, RLENGTH - 5) in own && $4 ~ port { print "link\t" $0; exit }'
  fi
  made=$(stat -c %Y -- "/etc/systemd/system/$unit" 2>/dev/null) # what is older is of a tunnel that was removed
  # -r: of what is since then, systemd before 254 takes the first lines otherwise, not the last
  journalctl -u "$unit" -b ${made:+"--since=@$made"} -r -n 200 -o short-unix --no-pager -q 2>/dev/null | tac | base64 -w 0 | sed 's/^/journal\t/'
  echo
}
