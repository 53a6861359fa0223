# Takes the user of tunnels away from a host where none begins or ends any more. Arguments: USER HOME. Run by resources/account.py.
# shellcheck shell=sh
uid=$(id -u -- "$1") || exit 0
for file in /etc/novaops/tunnel/*.conf "$2/.ssh/authorized_keys"; do
  [ ! -s "$file" ] || { echo "$1 stays: other tunnels begin or end here, as $file says" >&2; exit 1; }
done
systemctl stop "user@$uid.service" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do # connections of tunnels whose keys are removed
  others=$(grep -lsE "^Uid:([[:space:]]+[0-9]+)*[[:space:]]$uid([[:space:]]|\$)" /proc/[0-9]*/status)
  [ -n "$others" ] || break
  for file in $others; do process=${file%/status}; kill "${process#/proc/}" 2>/dev/null; done
  sleep 0.2
done
userdel -- "$1" || exit
! getent group -- "$1" >/dev/null || groupdel -- "$1"
for folder in "$2/.ssh" "$2"; do [ ! -d "$folder" ] || rmdir -- "$folder" || exit; done
