# What systemd has of its own for a number of mount points, at the next boot. Uses real_path.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # real: see there

# systemd.unit(5) has the order: what an administrator puts there outweighs what is made from fstab; that outweighs what a package brings.
mount_units() { # PATHS: a line for each: of its mount unit and its automount unit the state, whether it starts at boot, and the file; and a drop-in
  for path do
    if real_path "$path" && unit=$(systemd-escape --path -- "$real"); then
      printf '%s\t%s\t%s\n' "$(mount_unit "$unit.mount")" "$(mount_unit "$unit.automount")" "$(drop_in "$unit")"
    else
      printf 'unknown\n'
    fi
  done
}

mount_unit() { # UNIT
  for file in "/etc/systemd/system.control/$1" "/etc/systemd/system/$1" "/usr/local/lib/systemd/system/$1" "/usr/lib/systemd/system/$1" "/lib/systemd/system/$1"; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    case $file in */etc/systemd/*) state=own ;; *) state=vendor ;; esac
    [ ! -e "$file" ] || [ -s "$file" ] || state=masked # a link to /dev/null, or an empty file
    started=
    for link in /etc/systemd/system/*.wants/"$1" /etc/systemd/system/*.requires/"$1" /usr/lib/systemd/system/*.wants/"$1" /lib/systemd/system/*.wants/"$1"; do
      [ ! -L "$link" ] || started=started
    done
    printf '%s\t%s\t%s' "$state" "$started" "$file"
    return
  done
  printf 'none\t\t'
}

drop_in() { # UNIT: the first drop-in that says what is mounted, how, or whether: those of the unit, of its parents and of all mount units count
  name=$1 names=$1.mount
  while [ "$name" != "${name%-*}" ]; do name=${name%-*}; names="$names $name-.mount"; done
  for name in $names mount; do
    grep -l -s -E '^[[:space:]]*(What|Where|Type|Options|Condition[A-Za-z]*|Assert[A-Za-z]*)[[:space:]]*=' \
      "/etc/systemd/system.control/$name.d"/*.conf "/etc/systemd/system/$name.d"/*.conf
  done | head -n 1
}
