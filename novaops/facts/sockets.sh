# Sockets that listen, with their processes, and the units of these. To be put before what uses it.
# shellcheck shell=sh
sockets() { # OPTIONS of ss. It looks at processes first: a socket opened in between seems to be nobody's, as the kernel's own are. So it looks again.
  found=$(ss -l -n -p -H "$@") || return
  case $found in '') return ;; esac
  ! printf '%s\n' "$found" | grep -q -v 'users:' || found=$(ss -l -n -p -H "$@") || return
  printf '%s\n' "$found"
}
unit_of() { # PID. The outermost one: whoever has a unit has units of any name below it.
  sed 's,^[^/]*/,,' "/proc/$1/cgroup" 2>/dev/null | tr / '\n' | grep -m 1 -E '\.(service|socket|scope)$'
}
