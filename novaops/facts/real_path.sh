# Where a path really leads.
# shellcheck shell=sh

real_path() { # PATH: sets real, every link in it resolved; whoever may make a link may put a line break into it, which would be read as another answer
  real=$(readlink -m -- "$1" && echo .) && real=${real%??} || return
  case $real in *[[:cntrl:]]*) echo "$1 leads to a path with a line break or another control character in it" >&2; return 1 ;; esac
}
