# What is asked about VPN servers. Each function prints "KEY BASE64" for what there is, then "now SECONDS" and "end".
# SERVERS, SOCKETS and TALK are set before it, and it comes after facts/sockets.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # SERVERS, SOCKETS, TALK: see above

file() { [ ! -r "$2" ] || echo "$1 $(base64 -w 0 "$2")"; }
text() { key=$1; shift; echo "$key $("$@" 2>/dev/null | base64 -w 0)"; }
public_half() { openssl pkey -in "$1" -pubout 2>/dev/null; }
closed_tables() { nft list ruleset | awk '$1 == "table" { table = $2 " " $3 } /hook forward .*policy drop/ { print table }'; }
stale() { # UNIT FILE...: those that have changed since its process began to run
  [ "$(systemctl is-active -- "$1")" = active ] || return
  began=$(date -d "$(TZ=UTC0 systemctl show -p ExecMainStartTimestamp --value -- "$1")" +%s) && now=$(date +%s) || return
  shift
  for one; do
    changed=$(stat -L -c %Z -- "$one" 2>/dev/null) || continue
    if [ "$changed" -gt $((began + 1)) ] && [ "$changed" -le "$now" ]; then echo "$one"; fi
  done
}
opened_by_ufw() { # the rules that novaops gave it; its file is looked at first, as ufw itself takes long to start
  ! grep -qs comment=6e6f76616f7073 /etc/ufw/user.rules || ufw show added
}
listeners() { # PORT PROTOCOL
  case $2 in udp*) sockets -u "sport = :$1" ;; *) sockets -t "sport = :$1" ;; esac
}
holders() { # PORT PROTOCOL: "PID UNIT" of who has it
  listeners "$@" | grep -o 'pid=[0-9]*' | sort -u | while IFS='=' read -r _ pid; do echo "$pid $(unit_of "$pid")"; done
}
talk() { command -v perl >/dev/null && perl -e "$TALK" "$@"; }

server() { # NAME PORT PROTOCOL
  folder=$SERVERS/$1
  file ca "$folder/ca.crt"; file server "$folder/server.crt"; file remote "$folder/remote"; file token "$folder/renewed"
  [ ! -s "$folder/ca.key" ] || text ca_key public_half "$folder/ca.key"
  [ ! -s "$folder/server.key" ] || text server_key public_half "$folder/server.key"
  [ ! -s "$folder/tls-crypt.key" ] || echo tls_crypt
  file index "$folder/index.txt"; file crl "$folder.crl.pem"
  case $(stat -L -c %a -- "$folder.crl.pem" 2>/dev/null) in '' | *[4567]) ;; *) echo crl_closed ;; esac
  text certs ls "$folder/certs"
  text main systemctl show -p MainPID --value -- "openvpn-server@$1.service"
  text listeners listeners "$2" "$3"; text holders holders "$2" "$3"
  port=$(sed -n 's/^port //p' "$folder.conf" 2>/dev/null) protocol=$(sed -n 's/^proto //p' "$folder.conf" 2>/dev/null)
  if [ -n "$port$protocol" ]; then
    text configured echo "$port $protocol"; text present_listeners listeners "$port" "$protocol"; text ufw opened_by_ufw
  fi
  text routes ip -4 -o route show table main
  text state talk "$SOCKETS/$1.sock" state 'status 3'
  text closed closed_tables
  text stale stale "openvpn-server@$1.service" "$folder.conf" "$folder/ca.crt" "$folder/server.crt" "$folder/server.key" "$folder/tls-crypt.key"
  date '+now %s'; echo end
}

clients() { # SERVER
  folder=$SERVERS/$1
  file index "$folder/index.txt"; file ca "$folder/ca.crt"; file crl "$folder.crl.pem"
  text status talk "$SOCKETS/$1.sock" 'status 3'
  date '+now %s'; echo end
}

profile() { # SERVER CLIENT
  folder=$SERVERS/$1
  file ca "$folder/ca.crt"; file remote "$folder/remote"; file tls_crypt "$folder/tls-crypt.key"; file certificate "$folder/clients/$2.crt"
  file index "$folder/index.txt"
  date '+now %s'; echo end
}
