# How a mount comes and goes. PATH is a mount point.
# shellcheck shell=sh

# told COMMAND...: where it fails, what the kernel said meanwhile too: mount(8) only says that dmesg(1) may know more
told() {
  last=$(dmesg 2>/dev/null | tail -n 1)
  "$@" && return
  status=$?
  dmesg 2>/dev/null | LAST=$last awk 'seen || ENVIRON["LAST"] == ""; $0 == ENVIRON["LAST"] { seen = 1 }' |
    tail -n 5 | sed 's/^\[[^]]*\] */the kernel: /'
  return "$status"
}

# taken_off PATH: unmount, with all that an rbind brought along. As a slave first: where mounts are shared, the originals would go with it
taken_off() {
  mount --make-rslave -- "$1" && umount -R -- "$1"
}

# trial PATH MOUNT...: mount, and unmount again
trial() {
  path=$1; shift
  told "$@" && taken_off "$path"
}

# proven KIND OPTIONS SOURCE ro|rw ro|rw: whether what is mounted already can be mounted with these. First as it is now: btrfs takes a second
# mount for writing for leave to write. Others refuse another access than that of the file system, which is not always that of the mount.
proven() {
  at=$(mktemp -d) || return
  mount -t "$1" -o "$2,$4" -- "$3" "$at" 2>/dev/null || told mount -t "$1" -o "$2,$5" -- "$3" "$at"; status=$?
  [ "$status" != 0 ] || umount -- "$at" || status=$?
  rmdir -- "$at"
  return "$status"
}

# unmake FOLDER MADE: remove MADE, a path in FOLDER, with those above it, up to the first one that holds something or is a mount point: what was
# made for a mount may hold another one by now
unmake() {
  cd -- "$1" || return
  at=$2
  while ! mountpoint -q -- "$at"; do
    rmdir --ignore-fail-on-non-empty -- "$at" || return
    [ ! -d "$at" ] || return 0
    case $at in */*) at=${at%/*} ;; *) return 0 ;; esac
  done
}

automount_unit() {
  systemd-escape --path --suffix=automount -- "$1"
}

# really_mounted PATH: whether something is, below its automount or without one
really_mounted() {
  findmnt -n -o FSTYPE --mountpoint "$1" | grep -qvx autofs
}

# automount_on PATH: start its unit, and use it once
automount_on() {
  if [ ! -d /run/systemd/system ]; then told mount -- "$1"; return; fi
  unit=$(automount_unit "$1") && systemctl start -- "$unit" || return
  ls -d -- "$1/." >/dev/null && really_mounted "$1" && return
  systemctl status --no-pager --lines=5 -- "${unit%.automount}.mount"
  return 1
}

# automount_off PATH: first what is mounted, which fails while it is busy: the unit would detach it behind its users' backs
automount_off() {
  ! really_mounted "$1" || umount -- "$1" || return
  [ ! -d /run/systemd/system ] || { unit=$(automount_unit "$1") && systemctl stop -- "$unit"; } || return
  ! mountpoint -q -- "$1"
}

# shows PATH OPTION... -- OPTION...: whether the kernel shows the first ones of what is mounted there, and none of the others
shows() {
  found=",$(findmnt -n -r -o VFS-OPTIONS,FS-OPTIONS --mountpoint "$1" | tail -n 1 | tr ' ' ','),"; shift
  wanted=yes
  for option do
    [ "$option" != -- ] || { wanted=no; continue; }
    case $option in *=) sign='' ;; *) sign=, ;; esac
    case $found in *",$option$sign"*) [ "$wanted" = yes ] || return ;; *) [ "$wanted" = no ] || return ;; esac
  done
}

# owned USER GROUP NAME:NUMBER NAME:NUMBER: whether the first two mean the second two; no GROUP means any
owned() {
  case ":$3:" in *":$1:"*) ;; *) return 1 ;; esac
  case ":$4:" in *":$2:"*) ;; *) [ -z "$2" ] ;; esac
}
