# The versions of packages, as lines of NAME, STATE and VERSION with tabs between. Arguments: their names.
# shellcheck shell=sh
if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2016 # dpkg-query fills them in
  found=$(dpkg-query -W -f '${binary:Package}\t${db:Status-Status}\t${Version}\n' dpkg "$@" 2>/dev/null)
  status=$?
  [ $status -le 1 ] || exit $status # 1: some are not known to it; 2: it could not look
  case $found in dpkg* | *"
dpkg"*) printf '%s\n' "$found"; exit 0 ;; esac
fi
if command -v rpm >/dev/null; then
  rpm -q --qf '%{NAME}\tinstalled\t%{VERSION}-%{RELEASE}\n' "$@"
  true
else echo 'neither dpkg-query nor rpm is here' >&2; exit 9
fi
