# entries: "RELEASE ENTRY" for each kernel that GRUB can boot, ENTRY as grub-reboot takes it. Entries for recovery are left out.
# shellcheck shell=sh
# shellcheck disable=SC2016 # awk's own
entries() { # [FILE]
  awk '
    { id = "" }
    match($0, /menuentry_id_option \047[^\047]*\047/) { id = substr($0, RSTART + 21, RLENGTH - 22) }
    /^submenu / { parent = id ">" }
    /^}/ { parent = "" }
    /^[ \t]*menuentry / { entry = parent id }
    /^[ \t]*linux[a-z]*[ \t]/ && entry !~ /recovery/ && match($2, /vmlinuz-.*/) { found[substr($2, RSTART + 8)] = entry }
    END { for (release in found) print release, found[release] }
  ' "${1:-/boot/grub/grub.cfg}"
}
