# Asked by facts/listening.py, after sockets.sh: what listens on TCP, as ss prints it, in base64; then unit and user of each process, "PID UNIT USER".
# A process may have any name: what looks like a number of a process in one only asks for a unit more.
# shellcheck shell=sh
lines=$(sockets -t) || exit
printf '%s\n' "$lines" | base64 -w 0; echo
printf '%s\n' "$lines" | grep -o 'pid=[0-9]*' | sort -u | while IFS='=' read -r _ pid; do
  unit=$(unit_of "$pid")
  uid=$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status" 2>/dev/null)
  user=$([ -z "$uid" ] || getent passwd "$uid" | cut -d : -f 1)
  case $user in *[[:space:]]*) user= ;; esac
  printf '%s %s %s\n' "$pid" "$unit" "$user"
done
echo end
