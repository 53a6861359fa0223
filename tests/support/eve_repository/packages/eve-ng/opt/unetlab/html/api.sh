#!/bin/sh
# Only the login, against the database, in the form that the real API has.
answer() { printf 'Status: %s\r\nContent-Type: application/json\r\n\r\n{"code":%s,"status":"%s","message":"%s"}\n' "$1" "$1" "$2" "$3"; exit; }
[ "$PATH_INFO" = /auth/login ] || answer 412 unauthorized 'User is not authenticated or session timed out (90001).'
body=$(head -c "${CONTENT_LENGTH:-0}")
value() { printf '%s' "$body" | sed -n 's/.*"'"$1"'" *: *"\?\([^",}]*\).*/\1/p'; }
[ "$(value html5)" ] || answer 400 fail 'Console mode is missing.'
hash=$(printf '%s' "$(value password)" | sha256sum | cut -d ' ' -f 1)
user=$(value username)
case $user in *[!a-z0-9]*) answer 400 fail 'Authentication failed (90014).' ;; esac
# The database's password is where the real one has it.
password=$(sed -n "s/.*dbname=eve_ng_db', *'eve-ng', *'\([^']*\)'.*/\1/p" /opt/unetlab/html/includes/functions.php)
found=$(echo "SELECT password FROM users WHERE username = '$user';" | MYSQL_PWD=$password mariadb -u eve-ng -N -B eve_ng_db)
if [ "$hash" = "$found" ]; then answer 200 success 'User logged in (90013).'; else answer 400 fail 'Authentication failed (90014).'; fi
