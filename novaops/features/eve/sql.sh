# sql: what is on standard input is asked of EVE-NG's database, one line a row. $password is root's there where the system's root has no own way in.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above
sql() {
  client=$(command -v mariadb || command -v mysql) || { echo 'there is no client of the database'; return 1; }
  statement=$(cat)
  printf '%s\n' "$statement" | "$client" -N -B "$database" 2>/dev/null ||
    printf '%s\n' "$statement" | MYSQL_PWD=$password "$client" -u root -N -B "$database"
}
