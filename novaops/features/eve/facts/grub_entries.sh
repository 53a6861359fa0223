# entries: "RELEASE ENTRY" for each kernel that GRUB can boot, ENTRY as grub-reboot takes it. Entries for recovery are left out.
# shellcheck shell=sh
# shellcheck disable=SC2016 # awk's own, and GRUB's
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

# by_saved [FILE]: whether GRUB boots the saved entry where none is chosen for one boot
by_saved() { grep -q -F 'default="${saved_entry}"' "${1:-/boot/grub/grub.cfg}"; }
not_by_saved() { echo 'GRUB would not boot the entry that is saved: a later file of /etc/default/grub.d sets GRUB_DEFAULT'; exit 1; }
