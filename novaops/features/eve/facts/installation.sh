# What an EVE-NG host shows of itself, as lines of KEY and VALUES, with tabs between. Only compares passwords with the default ones.
# shellcheck shell=sh
say() { key=$1; shift; printf '%s' "$key"; printf '\t%s' "$@"; echo; }
say kernel "$(uname -r)"
[ ! -e /opt/ovf/.configured ] || say configured yes

for folder in /opt/unetlab/addons/qemu/*/; do
  [ ! -d "$folder" ] || say image qemu "$(basename "$folder")" "$(du -s -B1 "$folder" | cut -f1)"
done
for file in /opt/unetlab/addons/iol/bin/*.bin /opt/unetlab/addons/dynamips/*.image; do
  case $file in */iol/*) kind=iol ;; *) kind=dynamips ;; esac
  [ ! -f "$file" ] || say image $kind "$(basename "$file")" "$(du -B1 "$file" | cut -f1)"
done
[ -d /sys/module/kvm_amd ] && vendor=amd || vendor=intel
for file in /opt/unetlab/html/templates/"$vendor"/*.yml; do
  [ ! -f "$file" ] || say template "$(basename "$file" .yml)"
done

# By way of a pipe: the words of a process are for everybody to read.
hash=$(sed -n 's/^root:\([^:]*\):.*/\1/p' /etc/shadow)
if ! command -v perl >/dev/null; then say root unknown
elif printf '%s\n' "$hash" | perl -e 'my $h = <STDIN>; chomp $h; exit(length($h) && (crypt("eve", $h) // "") eq $h ? 0 : 1)'
then say root default
else say root other
fi
client=$(command -v mariadb || command -v mysql)
if [ -z "$client" ]; then say database unknown
elif MYSQL_PWD=eve-ng timeout 5 "$client" -u root -h 127.0.0.1 -N -B -e 'SELECT 1' </dev/null >/dev/null 2>&1; then say database default
else say database other
fi
say end
