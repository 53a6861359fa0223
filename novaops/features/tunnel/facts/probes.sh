# Health checks of a tunnel: functions for its check on the host, for the proof before a change of /etc/hosts, and for facts/state.py.
# They end in a file on hosts, byte for byte: after a change to them each host needs another `tunnel up`.
# An answer may take 8 seconds.
# shellcheck shell=sh
# shellcheck disable=SC2016 # meant for bash, which expands it from its own arguments
# shellcheck disable=SC2034 # columns that are not needed here; ssh and age are what youngest sets
# shellcheck disable=SC1007 # age= ssh= empties both
# shellcheck disable=SC2013 # paths below /proc have no blanks
through() { # ADDRESS PORT KIND URL: "yes", or "no", with status, seconds and what went wrong; the columns are apart by tabs
  plain=${1#\[}; plain=${plain%\]}
  case $3 in
    tcp)
      if ! command -v bash >/dev/null; then said='bash is missing, which is needed to try it'; set -- no
      elif said=$(timeout 8 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
        read -r -t 1.5 -N 1 -u 3; [ $? != 1 ] || { echo "the connection is closed at once" >&2; exit 1; }' tcp "$plain" "$2" 2>&1); then said= ; set -- yes
      else set -- no
      fi
      printf '%s\t0\t0\t%s\n' "$1" "$(printf %s "$said" | tail -n 1)" ;;
    *)
      if [ "$3" = socks ]; then set -- "$4" --noproxy '' --socks5-hostname "$1:$2" # the name is looked up at the other end
      else set -- "$4" --noproxy '*' --connect-to "::$1:$2"
      fi
      asked=$1; shift
      said=$(curl -q -sS -o /dev/null "$@" -m 8 --max-filesize 1000000 -w '\n%{http_code} %{time_total}' -- "$asked" 2>&1)
      last=${said##*"$newline"}
      case $last in
        000* | *[!0-9.,\ ]* | '') printf 'no\t0\t0\t%s\n' "$(printf '%s\n' "$said" | grep -m 1 '^curl: ' || echo 'curl did not run: is it installed?')" ;;
        *) printf 'yes\t%s\t%s\t\n' "${last%% *}" "${last##* }" ;;
      esac ;;
  esac
}
newline='
'
ask_through() { # FORWARDS FOLDER [front|listener]: each of them at once, the answers in files of the folder by number
  number=0
  while IFS='	' read -r address port kind url to listen front front_port; do
    case $address in '' | '#'*) continue ;; esac
    number=$((number + 1))
    if [ "$3" = front ] && [ "$front" != - ]; then address=$front port=$front_port; fi
    { answer=$(through "$address" "$port" "$kind" "$url"); printf '%s\n' "$answer" >"$2/$number"; } &
  done <"$1"
  wait
}
sockets_of() { # PID: lines "FD socket:[INODE]". The name of a process, which ss would show, may look like the number of another one
  find "/proc/$1/fd" -lname 'socket:*' -printf '%f %l\n' 2>/dev/null
}
youngest() { # UNIT: sets ssh, its newest ssh process, and age, the seconds since that began; nothing when there is none
  age= ssh=
  read -r up _ </proc/uptime
  within=$(systemctl show -p ControlGroup --value -- "$1") # anybody may have a unit of that name among their own
  [ -n "$within" ] || return 0
  for group in $(grep -ls "^[0-9]*:\(name=systemd\)\{0,1\}:$within\$" /proc/[0-9]*/cgroup); do
    process=${group%/cgroup}
    { read -r word <"$process/comm"; } 2>/dev/null || continue
    [ "$word" = ssh ] || continue
    ticks=$(sed 's/.*) //' "$process/stat" 2>/dev/null | cut -d ' ' -f 20)
    [ -n "$ticks" ] || continue
    seconds=$((${up%.*} - ticks / $(getconf CLK_TCK)))
    if [ -z "$age" ] || [ "$seconds" -lt "$age" ]; then age=$seconds ssh=${process#/proc/}; fi
  done
}
