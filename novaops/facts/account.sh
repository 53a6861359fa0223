# Functions that print accounts. `look`, of account.py, stands before them.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the caller reads line, name and shell from the lines that `about` prints

about() { # [NAMES]: NAME:UID:GID:HOME:SHELL:PASSWORD:CHANGED:MAX:INACTIVE:EXPIRES, a line each; of the password only what it is good for
  users=$(look passwd "$@") && shadows=$(look shadow "$@") || return
  printf '%s\n=\n%s\n=\n%s\n' "$users" "$shadows" "$(cut -d : -f 1 /etc/passwd)" | awk -F: '
    function kind(field, locked) {
      if (field == "") return "empty"
      locked = sub(/^!+/, "", field)
      if (field !~ /^[$][0-9A-Za-z-]+[$]/ && (field !~ /^[_.\/0-9A-Za-z]+$/ || length(field) != 13 && length(field) != 20)) return locked ? "barred" : "none"
      return locked ? "locked" : "set"
    }
    $0 == "=" { part++; next }
    $1 == "" { next }
    !part { if (!($1 in user)) { name[++n] = $1; user[$1] = $3 ":" $4 ":" $6 ":" $7; is[$1] = kind($2); days[$1] = ":::" } }
    part == 1 { there[$1] = 1; is[$1] = kind($2); days[$1] = $3 ":" $5 ":" $7 ":" $8 }
    part == 2 { there[$1] = 1 }
    END { for (i = 1; i <= n; i++) {
      if (!(name[i] in there) && is[name[i]] == "none") is[name[i]] = "elsewhere"
      print name[i] ":" user[name[i]] ":" is[name[i]] ":" days[name[i]]
    } }'
}
look_at() { # $shell: can one log in with it
  works=''
  case ${shell##*/} in nologin | false | true | sync | halt | shutdown | git-shell) ;; *)
    [ ! -f "${shell:-/bin/sh}" ] || [ ! -x "${shell:-/bin/sh}" ] || works=yes ;;
  esac
}
unlisted() { # sources of users that may know more than they list. sss lists nobody as a rule, and asks others only where it is told whom
  # shellcheck disable=SC2013 # words, not lines
  for source in $(sed -n 's/^[[:space:]]*passwd:\([^#]*\).*/\1/p' /etc/nsswitch.conf 2>/dev/null | sed 's/\[[^]]*\]//g'); do
    case $source in
      files | compat | systemd | db | extrausers | altfiles | mymachines) ;;
      sss) ! grep -hsE '^[[:space:]]*id_provider' /etc/sssd/sssd.conf /etc/sssd/conf.d/*.conf | grep -qvE '=[[:space:]]*files' || echo sss ;;
      *) echo "$source" ;;
    esac
  done
}
show() { printf 'account:%s:%s\n' "$line" "$works"; id -Gnz -- "$name"; echo; }
echo "today:$(($(date +%s) / 86400))"
