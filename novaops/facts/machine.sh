# shellcheck shell=sh
# shellcheck disable=SC2154 # machine.py sets tools
# The machine itself, as lines of KEY=VALUE. $tools are the programs to look for. 0xAE00 is the ioctl KVM_GET_API_VERSION of
# linux/kvm.h; every kernel since 2.6.22 answers 12.
say() { printf '%s=%s\n' "$1" "$2"; }
say hostname "$(uname -n)"
say login "${SUDO_USER:-$(id -un)}"
say kernel "$(uname -r)"
say architecture "$(uname -m)"
sed -n 's/^\(PRETTY_NAME\|ID\|VERSION_ID\)=/os_&/p' /etc/os-release
for key in chassis_asset_tag product_name sys_vendor bios_vendor board_asset_tag; do
  if [ -r "/sys/class/dmi/id/$key" ]; then say "dmi_$key" "$(cat "/sys/class/dmi/id/$key")"; fi
done
say virtualization "$(systemd-detect-virt 2>/dev/null)"
say processors "$(grep -c ^processor /proc/cpuinfo)"
say memory "$(awk '$1 == "MemTotal:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)"
say boot_id "$(cat /proc/sys/kernel/random/boot_id)"
[ ! -d /run/systemd/system ] || say systemd yes
flag=$(grep -m1 '^flags' /proc/cpuinfo | tr ' ' '\n' | grep -xE -m1 'vmx|svm')
say cpu_flag "$flag"
for module in kvm_intel kvm_amd; do
  [ ! -d "/sys/module/$module" ] || { say kvm_module $module; say kvm_nested "$(cat /sys/module/$module/parameters/nested)"; }
done
if [ -n "$flag" ] && [ ! -d /sys/module/kvm_intel ] && [ ! -d /sys/module/kvm_amd ]; then
  case $flag in vmx) file=kvm-intel.ko ;; *) file=kvm-amd.ko ;; esac
  if ls "/lib/modules/$(uname -r)/kernel/arch/x86/kvm/$file"* >/dev/null 2>&1; then say kvm_module_file there
  else say kvm_module_file absent; fi
fi
[ ! -e /dev/kvm ] || say kvm_access "$(stat -L -c '%U:%G %a' /dev/kvm)"
if [ -L /dev/kvm ] && [ ! -e /dev/kvm ]; then say kvm_device 'symbolic link to nothing'
elif [ ! -e /dev/kvm ]; then say kvm_device absent
elif [ ! -c /dev/kvm ]; then say kvm_device "$(stat -L -c %F /dev/kvm)"
else
  say kvm_device character
  say kvm_number "$(stat -L -c '%t %T' /dev/kvm | { read -r major minor; echo "$((0x$major)):$((0x$minor))"; })"
  if command -v perl >/dev/null; then
    say kvm_answer "$(perl -e 'open(my $kvm, "+<", "/dev/kvm") or print("cannot open: $!") and exit;
      my $version = ioctl($kvm, 0xAE00, 0); print defined $version ? $version + 0 : "no answer: $!"')"
  elif command -v python3 >/dev/null; then
    say kvm_answer "$(python3 -c 'import fcntl
try: print(fcntl.ioctl(open("/dev/kvm", "r+b", 0), 0xAE00))
except OSError as error: print("cannot open:", error.strerror)')"
  elif (: <>/dev/kvm) 2>/dev/null; then say kvm_answer unasked
  else say kvm_answer 'cannot open'
  fi
fi
for tool in $tools; do ! command -v "$tool" >/dev/null || say tool "$tool"; done
say free "$(df -P -B1 /var/lib | awk 'NR == 2 { print $4 }')"
