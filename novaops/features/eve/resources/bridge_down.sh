# As it was before: the files are gone by now. Arguments: DEVICE, the name that the network card had, and its MAC address.
# shellcheck shell=sh
for bridge in pnet0 pnet1 pnet2 pnet3 pnet4 pnet5 pnet6 pnet7 pnet8 pnet9; do ip link del dev "$bridge" 2>/dev/null; done
if [ ! -e "/sys/class/net/$1" ] && [ "$(cat /sys/class/net/eth0/address)" = "$2" ]; then
  ip link set dev eth0 down; ip link set dev eth0 name "$1"
fi
ip link set dev "$1" up
networkctl reload; networkctl reconfigure "$1"
for _ in $(seq 150); do ! ip -4 route show default | grep -q " dev $1" || exit 0; sleep 0.2; done
exit 1
