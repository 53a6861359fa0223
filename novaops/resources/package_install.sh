# Install packages. Arguments: their names. $wait: seconds that apt waits for another package manager to end.
# The package lists are updated only when the installation fails without: that takes seconds, and most hosts have them.
# shellcheck shell=sh disable=SC2154 # package.py sets wait, and puts of_dpkg before this
if of_dpkg && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout="$wait" -o Dpkg::Options::=--force-confold -- "$@"; }
  install "$@" || { apt-get update -q -o DPkg::Lock::Timeout="$wait" && install "$@"; }
elif command -v dnf >/dev/null; then dnf install -y -q -- "$@"
else echo "neither apt-get nor dnf is here to install $*"; exit 1
fi
