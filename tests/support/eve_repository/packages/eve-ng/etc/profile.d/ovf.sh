# shellcheck shell=sh
# The wizard of the first login of root.
if [ "$(id -u)" = 0 ] && [ ! -e /opt/ovf/.configured ]; then /opt/ovf/ovfconfig.sh; fi
