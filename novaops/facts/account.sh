# Functions that print accounts. `look`, of account.py, stands before them.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the caller reads line, name, home and shell from the lines that `about` prints

about() { # [NAMES]: NAME:UID:GID:HOME:SHELL:PASSWORD:CHANGED:MAX:INACTIVE:EXPIRES, a line each; of the password only what it is good for
  users=$(look passwd "$@") && shadows=$(look shadow "$@") || return
  printf '%s\n=\n%s\n' "$users" "$shadows" | awk -F: '
    function kind(field, locked) {
      if (field == "") return "empty"
      locked = sub(/^!+/, "", field)
      if (field !~ /^[$][0-9A-Za-z-]+[$]/ && (field !~ /^[_.\/0-9A-Za-z]+$/ || length(field) != 13 && length(field) != 20)) return "none"
      return locked ? "locked" : "set"
    }
    $0 == "=" { in_shadow = 1; next }
    $1 == "" { next }
    !in_shadow { if (!($1 in user)) { name[++n] = $1; user[$1] = $3 ":" $4 ":" $6 ":" $7; is[$1] = kind($2); days[$1] = ":::" } }
    in_shadow { is[$1] = kind($2); days[$1] = $3 ":" $5 ":" $7 ":" $8 }
    END { for (i = 1; i <= n; i++) print name[i] ":" user[name[i]] ":" is[name[i]] ":" days[name[i]] }'
}
look_at() { # $home and $shell: can one log in with the shell, and how many keys open it, of which so many to one command only
  works='' keys=0:0; set --
  case ${shell##*/} in nologin | false | true | sync | halt | shutdown | git-shell) ;; *)
    [ ! -f "${shell:-/bin/sh}" ] || [ ! -x "${shell:-/bin/sh}" ] || works=yes ;;
  esac
  for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do [ ! -f "$file" ] || set -- "$@" "$file"; done
  [ $# = 0 ] || keys=$(awk '
    function is_key(kind, blob) { return kind ~ /^(sk-)?(ssh|ecdsa)-[-a-z0-9]+(@openssh[.]com)?$/ && blob ~ /^AAAA/ }
    /^[ \t]*#/ { next }
    { gsub(/"([^"\\]|\\.)*"/, "\"\"") }
    is_key($1, $2) { keys++ }
    !is_key($1, $2) && is_key($2, $3) { keys++; if (tolower("," $1) ~ /,command=/) forced++ }
    END { print keys + 0 ":" forced + 0 }' "$@")
}
show() { printf 'account:%s:%s:%s\n' "$line" "$works" "$keys"; id -Gnz -- "$name"; echo; }
echo "today:$(($(date +%s) / 86400))"
