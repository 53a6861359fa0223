# Where EVE-NG is, or would be, on a host; as lines of KEY and VALUES, with tabs between.
# shellcheck shell=sh disable=SC2154 # site.py sets path
dpkg-query -W -f 'package\t${Package}\t${db:Status-Status}\t${Version}\n' eve-ng eve-ng-pro 2>/dev/null
until [ -d "$path" ]; do path=${path%/*}; path=${path:-/}; done
df -P -B1 "$path" | awk -v path="$path" 'NR == 2 { print "disk\t" path "\t" $2 "\t" $4 "\t" $6 }'
echo end
