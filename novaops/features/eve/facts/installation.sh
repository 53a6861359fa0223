# What an EVE-NG host shows of itself, as lines of KEY and VALUES, with tabs between. Only compares passwords with the default ones.
# shellcheck shell=sh
# shellcheck disable=SC2154 # installation.py sets configured, templates and password
say() { key=$1; shift; printf '%s' "$key"; printf '\t%s' "$@"; echo; }
say kernel "$(uname -r)"
[ ! -e "$configured" ] || say configured yes

[ -d /sys/module/kvm_amd ] && vendor=amd || vendor=intel
for file in "$templates/$vendor"/*.yml; do
  [ ! -f "$file" ] || say template "$(basename "$file" .yml)"
done

# The hash by way of a pipe: the words of a process are for everybody to read.
hash=$(sed -n 's/^root:\([^:]*\):.*/\1/p' /etc/shadow)
if ! command -v perl >/dev/null; then say root unknown
elif printf '%s\n' "$hash" |
  perl -e 'my $h = <STDIN>; chomp $h; exit(length($h) && (crypt($ARGV[0], $h) // "") eq $h ? 0 : 1)' "$password"
then say root default
else say root other
fi
say end
