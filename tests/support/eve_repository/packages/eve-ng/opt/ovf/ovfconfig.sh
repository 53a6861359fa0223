#!/bin/sh
# The real one asks for passwords, names and addresses, and makes new ssh host keys.
rm -f /etc/ssh/ssh_host_*
ssh-keygen -A
touch /opt/ovf/.configured
