# The passwords of the database: `state` says whether the default ones are taken, `found` which files have which.
# shellcheck shell=sh
# shellcheck disable=SC2154 # database.py sets default and places: lines of USER, what is BEFORE the password, FILES, FOLDERS; tabs between
tab=$(printf '\t')
client=$(command -v mariadb || command -v mysql)
takes() { # HOST USER PASSWORD
  MYSQL_PWD=$3 timeout 5 "$client" -h "$1" -u "$2" -N -B -e 'SELECT 1' </dev/null >/dev/null 2>&1
}
found() { # USER, FILE and PASSWORD, with tabs between
  printf '%s\n' "$places" | while IFS=$tab read -r user before files folders; do
    # shellcheck disable=SC2086 # several folders
    grep -rl --include="$files" -e "$before" $folders 2>/dev/null | sort | while read -r file; do
      printf '%s\t%s\t%s\n' "$user" "$file" "$(sed -n "s/.*$before\([A-Za-z0-9._-]*\).*/\1/p" "$file" | head -n 1)"
    done
  done
}
state() { # root STATE, and USER STATE PLACE for the others. Nothing where the database does not answer.
  [ "$client" ] && [ "$(echo 'SELECT 1;' | sql 2>/dev/null)" = 1 ] || return 1
  # Not through the socket: there the system's root needs no password.
  if takes 127.0.0.1 root "$default"; then echo 'root default'; else echo 'root other'; fi
  list=$(found) users=$(echo 'SELECT DISTINCT user FROM mysql.user;' | sql)
  printf '%s\n' "$places" | cut -f 1 | sort -u | while read -r user; do
    printf '%s\n' "$users" | grep -qxF -e "$user" || continue
    if takes localhost "$user" "$default"; then known=default; else known=other; fi
    place=$(printf '%s\n' "$list" | while IFS=$tab read -r who _ own; do
      [ "$who" != "$user" ] || if takes localhost "$user" "$own"; then echo right; else echo wrong; fi
    done | sort | tail -n 1)
    echo "$user $known ${place:-nowhere}"
  done
}
