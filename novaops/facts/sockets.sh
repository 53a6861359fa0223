# Sockets that listen, with their processes. To be put before what uses it.
# shellcheck shell=sh
sockets() { # OPTIONS of ss. It looks at processes first: a socket opened in between seems to be nobody's, as the kernel's own are. So it looks again.
  found=$(ss -l -n -p -H "$@") || return
  case $found in '') return ;; esac
  ! printf '%s\n' "$found" | grep -q -v 'users:' || found=$(ss -l -n -p -H "$@") || return
  printf '%s\n' "$found"
}
