# Remove packages, unless somebody else needs them. Arguments: their names.
# package.py puts of_dpkg before this.
# shellcheck shell=sh
others() { # what somebody else has put there, and would go with them
  if of_dpkg; then apt-get -s remove -- "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p' | while read -r one; do
    case " $* " in *" $one "*) ;; *) echo "$one would be removed with it" ;; esac; done
  else rpm -e --test -- "$@" 2>&1 | grep ' is needed by '
  fi
}
needed=$(others "$@")
[ -z "$needed" ] || { printf '%s\n%s\n' "$needed" "other packages need $*: nothing is removed"; exit 1; }
if of_dpkg; then DEBIAN_FRONTEND=noninteractive apt-get remove -y -q -o DPkg::Lock::Timeout=120 -- "$@"
else dnf remove -y -q -- "$@"
fi
