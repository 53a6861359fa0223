# Asked by facts/listening.py: what listens on TCP, as ss prints it, in base64; then the unit of each process, "PID UNIT".
# A process may have any name: what looks like a number of a process in one only asks for a unit more.
# shellcheck shell=sh
lines=$(ss -l -t -n -p -H) || exit
printf '%s\n' "$lines" | base64 -w 0; echo
printf '%s\n' "$lines" | grep -o 'pid=[0-9]*' | sort -u | while IFS='=' read -r _ pid; do
  printf '%s %s\n' "$pid" "$(sed -n 's,.*/\([^/]*\.\(service\|socket\|scope\)\)\(/.*\)\{0\,1\}$,\1,p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)"
done
echo end
