# What an EVE-NG host shows of itself, as lines of KEY and VALUES, with tabs between. Only compares passwords with the default ones.
# shellcheck shell=sh
# shellcheck disable=SC2154 # installation.py sets configured and templates, and puts default_root.sh before this
say() { key=$1; shift; printf '%s' "$key"; printf '\t%s' "$@"; echo; }
say kernel "$(uname -r)"
[ ! -e "$configured" ] || say configured yes

[ -d /sys/module/kvm_amd ] && vendor=amd || vendor=intel
for file in "$templates/$vendor"/*.yml; do
  [ ! -f "$file" ] || say template "$(basename "$file" .yml)"
done

say root "$(root_password)"
say end
