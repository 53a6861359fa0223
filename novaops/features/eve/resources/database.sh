# Give the users of EVE-NG's programs another password, in the database and in the files. Argument: the password, which the database's root gets,
# too. Without one it is made here, and the database's root has none: it is let in as the system's root, through the socket, whatever it says.
# What is cut is done anew: then the files have a password that is not taken, and get another one.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2030,SC2031 # database.sh of the facts sets tab and default; what `each` calls is in its subshell, where they are set
list=$(found)
new=${1:-$(head -c 256 /dev/urandom | base64 | tr -dc A-Za-z0-9 | cut -c -24)}
each() { printf '%s\n' "$list" | while IFS=$tab read -r user file own; do [ -z "$file" ] || "$@" || exit; done; }
give() { # PASSWORD
  printf "SELECT CONCAT('ALTER USER ''', user, '''@''', host, ''' IDENTIFIED BY ''%s'';') FROM mysql.user WHERE user = '%s';\n" "$1" "$user" | sql | sql
}
prepare() { # beside the file: a full disk is met before anything is changed
  [ -e "$file.novaops" ] || cp -p "$file" "$file.novaops" || return
  printf '%s\n' "$places" | while IFS=$tab read -r who before _ _; do
    [ "$who" != "$user" ] || printf '%s\n' "s/\($before\)[A-Za-z0-9._-]*/\1$new/" | sed -i -f - "$file.novaops" || exit
  done
}
take() { [ ! -e "$file.novaops" ] || mv "$file.novaops" "$file"; }
drop() { rm -f "$file.novaops"; }
restore() { give "$own"; drop; }
root_by() {
  [ -z "$1" ] || { printf "ALTER USER 'root'@'localhost' IDENTIFIED BY '%s';\n" "$1"; return; }
  case $(echo 'SELECT VERSION();' | sql) in
    *MariaDB*) echo "ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket;" ;;
    *) echo "ALTER USER 'root'@'localhost' IDENTIFIED WITH auth_socket;" ;;
  esac
}

each drop # of a run that was cut
each prepare || { each drop; exit 1; }
each give "$new" || { each restore; exit 1; }
each take || exit
root_by "${1:-}" | sql || exit
for unit in tomcat9 tomcat10; do systemctl try-restart "$unit" >/dev/null 2>&1; done # they read the file at their start
:
