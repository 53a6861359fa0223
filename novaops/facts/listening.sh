# Asked by facts/listening.py: what listens on TCP, as ss prints it; after a line "=" the unit of each process, "PID UNIT".
# shellcheck shell=sh
lines=$(ss -l -t -n -p -H) || exit
printf '%s\n' "$lines" '='
printf '%s\n' "$lines" | grep -o 'pid=[0-9]*' | sort -u | while IFS='=' read -r _ pid; do
  printf '%s %s\n' "$pid" "$(sed -n 's,.*/\([^/]*\.\(service\|socket\|scope\)\)\(/.*\)\{0\,1\}$,\1,p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)"
done
echo end
