# What the kernel of a lab VM starts first: it loads the few modules that the root disk needs, and makes the host this one.
# shellcheck shell=sh
# shellcheck disable=SC2013,SC2086 # the names of modules are words
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
for module in $(busybox cat /modules/order); do busybox insmod /modules/$module; done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 300 ]; do tries=$((tries+1)); busybox usleep 20000; done
busybox mount -t ext4 -o rw,noatime /dev/vda /root
# Once in a host's life: a host that changes its own name or keys keeps the change over a reboot.
if ! [ -e /root/etc/ssh/ssh_host_ed25519_key ]; then
    busybox cp -a /host/. /root/
    for home in /root/home/*; do
        user=${home##*/}
        busybox chroot /root /bin/chown -R "$user:" "/home/$user"
    done
fi
busybox umount /sys
busybox umount /proc
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
