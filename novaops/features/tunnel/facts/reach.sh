# Whether the host reaches what a new tunnel is to lead to: asked by facts/reach.py.
# shellcheck shell=sh
# shellcheck disable=SC2016 # meant for bash, which expands it from its own arguments
reach() { # HOST PORT: "yes", or "no" and why. Without bash nothing can be said, and nothing is held against it.
  command -v bash >/dev/null || { echo yes; return; }
  said=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' reach "$1" "$2" 2>&1)
  case $? in
    0) echo yes ;;
    124) echo 'no no answer within 5 s' ;;
    *) printf 'no %s\n' "$(printf '%s\n' "$said" | sed -n '1s/.*: //p')" ;;
  esac
}
