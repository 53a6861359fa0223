# What is there of an image, how much room there is, and what there is of an upload that was cut. It changes nothing, but for the
# directory that takes the upload where $prepare is yes: that belongs to the login. Set before: $addons, $folder (below addons),
# $name, $owner, and $compare: yes where the sums of its files are wanted, and of what they were converted from.
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

place=$addons/$folder
staging=$place/.novaops-upload-$owner
[ -d "$addons" ] || { echo "no-eve"; exit 0; }
if [ "$prepare" = yes ]; then
  mkdir -p "$staging" && chown "$owner" "$staging" && chmod 700 "$staging" || exit 1
fi
near=$place
[ -d "$near" ] || near=$addons
echo "room $(df -PB1 "$near" | awk 'NR == 2 { print $4 }')"
for part in "$staging"/*; do
  [ ! -f "$part" ] || echo "part ${part##*/} $(stat -c %s "$part")"
done
[ -z "$compare" ] || if [ -d "$place/$name" ]; then
  for file in "$place/$name"/*; do
    [ -f "$file" ] || continue
    sum=$(sha256sum <"$file" | cut -d ' ' -f 1)
    echo "file $sum ${file##*/}"
    [ ! -f "$place/$name/.novaops-source" ] || while read -r made source of; do
      [ "$made $of" != "$sum ${file##*/}" ] || echo "source $source $of"
    done <"$place/$name/.novaops-source"
  done
elif [ -f "$place/$name" ]; then
  echo "file $(sha256sum <"$place/$name" | cut -d ' ' -f 1) $name"
fi
