# The network card becomes eth0 in the bridge pnet0, as the files say. Arguments: DEVICE.
# Connections over it stand still for a moment, and go on: the address and the MAC address stay the same.
# shellcheck shell=sh
networkctl reload || exit
if [ "$1" != eth0 ]; then
  ip link set dev "$1" down || exit
  ip link set dev "$1" name eth0 || { ip link set dev "$1" up; exit 1; }
  ip link set dev eth0 up || exit
fi
for _ in $(seq 50); do [ ! -e /sys/class/net/pnet0 ] || break; sleep 0.2; done
networkctl reconfigure eth0 pnet0 || exit
for _ in $(seq 150); do
  if [ -e /sys/class/net/pnet0/brif/eth0 ] && ip -4 route show default | grep -q ' dev pnet0'; then exit 0; fi
  sleep 0.2
done
echo 'pnet0 got no address and no way out within 30 s'; exit 1
