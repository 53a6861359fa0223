# What a host has before its sites are asked anything, one line each. The calls with their paths and names come after these functions.
# A file's text is between the lines "text PATH" and "end text".
# shellcheck shell=sh
# shellcheck disable=SC2329 # called by what comes after

files() {
  for path; do stat -L -c "file %a %U %G $path" -- "$path" 2>/dev/null; done
}
certificates() {
  for path; do
    [ ! -f "$path" ] || { echo "text $path"; head -c 100000 -- "$path"; echo; echo "end text"; }
  done
}
passwords() {
  for path; do
    [ ! -f "$path" ] || awk -F : -v path="$path" '{ print "hash", substr($2, 1, 4), $1, path }' "$path"
  done
}
logs() {
  for path; do [ ! -f "$path" ] || echo "size $(wc -c <"$path") $path"; done
}
names() {
  for name; do getent ahosts "$name" | awk -v name="$name" '{ print "address", $1, name }'; done
}
# The groups of nginx's processes that are not root's: its workers.
workers() {
  grep -shE '^(Name|Uid|Gid):' /proc/[0-9]*/status |
    awk '$1 == "Name:" { name = $2 } $1 == "Uid:" { user = $2 } $1 == "Gid:" && name == "nginx" && user { print "worker", $2 }' |
    sort -u | while read -r _ id; do echo "worker $(getent group "$id" | cut -d : -f 1)"; done
}
# The state 0A is LISTEN.
ports() {
  awk '$4 == "0A" { print "port", $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}
