# Makes partition NUMBER of DISK larger. It must be where and as large as it was when the plan was made, or be done already.
# Arguments: DISK NUMBER START OLD NEW KERNEL; all but the last two in sectors of the disk. KERNEL is the kernel's name of the
# partition, "" for an extended one, of which the kernel needs no size.
# shellcheck shell=sh
set -e

no() {
  echo "partition $2 of $1 $3"; exit 1
}

in_table() {
  sfdisk -d -- "$1" | sed -n "s/^[^ ]*[^0-9]$2 : start= *\([0-9]*\), size= *\([0-9]*\),.*/\1 \2/p"
}

now=$(in_table "$1" "$2")
[ "${now% *}" = "$3" ] || no "$1" "$2" 'does not begin any more where it did when it was looked at'
case ${now#* } in
  "$5") ;;
  "$4") printf 'start=%s, size=%s\n' "$3" "$5" | sfdisk --no-reread --no-tell-kernel --wipe never --wipe-partitions never --quiet -N "$2" -- "$1" ;;
  *) no "$1" "$2" 'has another size than when it was looked at' ;;
esac
[ "$(in_table "$1" "$2")" = "$3 $5" ] || no "$1" "$2" 'is not as it was written'
[ -z "$6" ] || partx --update --nr "$2" -- "$1"
! command -v udevadm >/dev/null || udevadm settle
