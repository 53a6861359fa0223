# What is at each of a number of paths. However many there are, it takes two processes: where one file ends and the next begins, stat tells.
# shellcheck shell=sh

pending() { # MARKERS: a word for each
  for marker do if [ -e "$marker" ]; then echo pending; else echo -; fi; done
}
files() { # LARGEST PATHS: a word for each path, a line of stat for each that is there, the bytes of all regular files in a row
  largest=$1; shift
  for path do
    shift
    if [ -e "$path" ]; then echo present; set -- "$@" "$path"
    elif [ -L "$path" ]; then echo dangling
    elif [ -x "${path%/*}/" ] || [ ! -e "${path%/*}/" ]; then echo absent
    else echo unknown
    fi
  done
  [ $# = 0 ] || stat -L --printf '%a\t%U\t%u\t%G\t%g\t%s\t%F\n' -- "$@" || exit
  for path do
    shift
    [ ! -f "$path" ] || set -- "$@" "$path"
  done
  [ $# = 0 ] || head -q -c "$largest" -- "$@"
}
