# Which template cloud-init makes /etc/hosts of at each boot, by the distribution's family as cloud-init names it; "none" for no template.
# cloud-config.txt is what it has made of user data in any form. YAML's truths are read as cloud-init reads them, the JSON of /run with them.
# shellcheck shell=sh
truth="^[[:space:]]*[\"']?manage_etc_hosts[\"']?[[:space:]]*:[[:space:]]*[\"']?(true|yes|on|1|template)[\"']?[[:space:]]*(,|#.*)?\$"
if ! grep -i -r -s -q -E "$truth" /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d /run/cloud-init/*.cfg /run/cloud-init/*.json /var/lib/cloud/instance/*.txt; then
  echo none; exit 0
fi
case " $(sed -n -e 's/^ID=//p' -e 's/^ID_LIKE=//p' /etc/os-release | tr '"\n' '  ')" in
  *" fedora "* | *" rhel "* | *" centos "*) echo redhat ;;
  *suse*) echo suse ;;
  *) echo debian ;;
esac
