# What is at each of a number of paths, as a place for a directory. Uses real_path.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # real: see there

directories() { # PATHS: a line for each. To look into an automount would mount it: until it is used it counts as empty
  automounts=$(awk '/ - autofs / && $5 != "/proc/sys/fs/binfmt_misc"' /proc/self/mountinfo)
  for path do
    real_path "$path" || { printf 'unknown\n'; continue; }
    near=$real
    while [ ! -e "$near" ] && [ ! -L "$near" ] && [ -n "$near" ]; do near=${near%/*}; done
    [ -n "$near" ] || near=/
    about=$(stat --printf '%a\t%U\t%G\t%u\t%g' -- "$near") || { printf 'unknown\n'; continue; }
    if [ ! -d "$near" ]; then state=other
    elif [ "$near" != "$real" ]; then state=absent
    elif [ -n "$automounts" ] && [ -n "$(find "$real" -maxdepth 0 -fstype autofs)" ]; then state=empty
    elif [ -z "$(find "$real" -mindepth 1 -maxdepth 1 -print -quit)" ]; then state=empty
    else state=filled
    fi
    printf '%s\t%s\t%s\t%s\n' "$state" "$about" "$near" "$real"
  done
}
