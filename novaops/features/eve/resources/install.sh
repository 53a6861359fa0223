# Install the newest version of the first package that there is. Arguments: SECONDS to wait for others, VERSIONS, SOURCES, PACKAGES.
# shellcheck shell=sh
seconds=$1 versions=$2 sources=$3; shift 3
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
now() { cut -d . -f 1 /proc/uptime; }
latest=$(($(now) + seconds))
# apt says that it waits for a lock, too, and goes on: only its errors count.
is_held() { case $(printf '%s\n' "$1" | grep -e '^E:') in *'Could not get lock'* | *'Unable to acquire the dpkg frontend lock'* | *'Unable to lock directory'*) ;; *) false ;; esac; }
held() { printf '%s\n' "$1" | grep -e '^E:'; echo "another package manager did not end within $seconds s: lock_wait is how long it is waited for"; exit 1; }
update() { # OPTIONS: apt does not wait for the lock on its lists by itself
  until said=$(apt-get update -q "$@" 2>&1); do
    if ! is_held "$said"; then printf '%s\n' "$said" | grep -e '^E:' -e '^W:' -e '^Err'; return 1; fi
    [ "$(now)" -lt "$latest" ] || held "$said"
    sleep 2
  done
}
update -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any ||
  { echo "the lists of $(sed -n 's/^deb \[[^]]*\] //p' "$sources") could not be fetched, or are not signed as they should be"; exit 1; }
update || exit # of the distribution: a list that cannot be fetched is a warning
package=
for one; do ! apt-cache show "$one" >/dev/null 2>&1 || { package=$one; break; }; done
[ "$package" ] || { echo "the repository has no package $*"; exit 1; }

# The packages give root a password that everybody knows, and let root in with it. Root keeps the password, and sshd its file.
root() { getent shadow root | cut -d : -f 2; }
kept=$(root)
keep_root() { [ "$(root)" = "$kept" ] || printf 'root:%s\n' "$kept" | chpasswd -e; }
main=/etc/ssh/sshd_config
saved=$(mktemp) && cat "$main" >"$saved" || exit
keep_sshd() {
  cmp -s "$saved" "$main" || { cat "$saved" >"$main" && systemctl try-reload-or-restart ssh; }
  rm -f "$saved"
}
(while sleep 0.2; do keep_root; kill -0 $$ || exit; done) >/dev/null 2>&1 &
watcher=$!
trap 'kill "$watcher" 2>/dev/null; keep_root; keep_sshd' EXIT

try=1
until said=$(apt-get install -y -q -o DPkg::Lock::Timeout="$seconds" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -- "$package" 2>&1); do
  ! is_held "$said" || held "$said"
  printf '%s\n' "$said" | tail -n 15
  [ $try -lt 3 ] || { echo "apt-get failed $try times"; exit 1; }
  try=$((try + 1)) # the first configuration is known to fail where the database is not up yet
  for unit in mysql mariadb; do systemctl try-restart "$unit" >/dev/null 2>&1; done
  dpkg --configure -a >/dev/null 2>&1
done
{ date -u +%Y-%m-%dT%H:%M:%SZ; dpkg-query -W -f '${Package} ${Version}\n' 'eve-ng*'; } | tr '\n' ' ' >>"$versions" && echo >>"$versions"
