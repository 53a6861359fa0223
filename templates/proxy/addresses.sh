#!/bin/sh
# managed by novaops (novaops proxy): where the APIs behind a site are, for an nginx that looks names up only when it starts.
#   addresses.sh NAME         ask again; nginx reads its configuration again where it is to ask other addresses than before
#   addresses.sh NAME write   only write down what is found: the run of novaops that has asked for it has nginx take it up
#                             (an empty file, where nothing is found: then the site is as it was set up, and its API cannot be reached)
# Each API has a file of `server` lines, which end with the time when an answer last held the address. One that no answer has held for
# ten minutes goes. Where an answer has nothing in common with what was known, the API has moved: the old addresses are asked only where
# the new ones fail. Without an answer nothing changes.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
name=$1 verb=$2
keep=600 coarse=120 # seconds: how long an address is kept; how old its time may be before the file is written anew for that alone
known=/etc/nginx/novaops/$name.addresses # a file for each API, HOST:PORT
run=/run/novaops-proxy was=$run/$name
site=/etc/nginx/conf.d/novaops-$name.conf

resolve() { # HOST: its addresses, as nginx writes them
  timeout 8 getent ahosts "$1" | awk -v six="$six" '
    $1 ~ /%/ || seen[$1]++ { next }
    $1 ~ /:/ { if (six) print "[" $1 "]"; next }
    { print $1 }' | sort
}

merge() { # PORT ADDRESS...: the file as it is to be; as it is on standard input
  port=$1; shift
  awk -v now="$now" -v keep="$keep" -v coarse="$coarse" -v port="$port" -v found="$*" '
    function say(kind, rest) { for (n = 1; n <= many; n++) if (role[order[n]] == kind) print "server " order[n] ":" port rest "; # " at[order[n]] }
    function add(one, kind, time) { if (!(one in role)) order[++many] = one; role[one] = kind; at[one] = time }
    BEGIN { count = split(found, list, " "); for (n = 1; n <= count; n++) answered[list[n]] = 1 }
    $1 == "server" {
      one = $2; sub(/;$/, "", one); sub(/:[0-9]*$/, "", one)
      kind = / backup/ ? "backup" : "first"; time = $NF > now ? now : $NF
      if (one in answered) { known = 1; if (now - time >= coarse) time = now }
      if (now - time <= keep) add(one, kind, time)
    }
    END {
      if (!known) for (one in role) role[one] = "backup"
      for (n = 1; n <= count; n++) add(list[n], "first", list[n] in at ? at[list[n]] : now)
      for (one in role) firsts += role[one] == "first"
      # A single one is asked whatever happened to the requests before: there is no other.
      say("first", firsts > 1 ? " max_fails=3 fail_timeout=10s" : " max_fails=0")
      say("backup", " backup")
    }'
}

served() { sed 's/ *#.*//' "$1" 2>/dev/null; }

look() { # HOST:PORT: write its file; the old one stays in $was until nginx has taken the new one
  file=$known/$1 new=$known/.$1.new old=$was/$1
  # shellcheck disable=SC2046 # one word an address
  set -- "${1##*:}" $(resolve "${1%:*}")
  if [ $# = 1 ] && { [ "$verb" != write ] || [ -e "$file" ]; }; then return; fi
  { echo '# managed by novaops (novaops proxy)'; { [ ! -e "$file" ] || cat "$file"; } | merge "$@"; } >"$new" || return
  if cmp -s "$new" "$file"; then rm -f "$new"; return; fi
  if [ "$(served "$new")" != "$(served "$file")" ]; then
    if [ -e "$file" ]; then cp "$file" "$old"; else : >"$old"; fi
    : >"$was/changed" || return
  fi
  sync "$new" && mv -f "$new" "$file" && sync "$known/"
}

put_back() {
  for old in "$was"/*:*; do
    [ -e "$old" ] || continue
    file=$known/${old##*/}
    if [ -s "$old" ]; then cp "$old" "$known/.old.new" && mv -f "$known/.old.new" "$file"; else rm -f "$file"; fi
  done
}

take_up() { # by one reload for all sites whose addresses have changed by now
  exec 9>"$run/lock"; flock 9
  [ -e "$was/changed" ] || return 0 # another one's reload was this one's too
  set -- "$run"/*/changed
  if ! said=$(nginx -t -q 2>&1); then
    put_back; rm -f "$was"/*
    printf 'nginx does not accept its configuration, and goes on with the addresses that it has: %s\n' "$said"
    exit 1
  fi
  if systemctl is-active -q nginx.service; then systemctl reload nginx.service || exit; fi
  for changed; do rm -f "${changed%/*}"/*; done
}

[ -e "$site" ] || exit 0
umask 022
mkdir -p "$known" "$was" || exit
[ -e "$was/changed" ] || rm -f "$was"/*
now=$(date +%s)
six=$(ip -6 route show default 2>/dev/null | head -n 1)
# shellcheck disable=SC2013 # an API is one word
for upstream in $(sed -n 's/^# upstream //p' "$site" | sort -u); do look "$upstream" || exit; done
[ "$verb" = write ] || [ ! -e "$was/changed" ] || take_up
