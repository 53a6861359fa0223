# Every file of some tunnels on their client: asked by facts/ends.py. A key is listed, and never read.
# Set before: configs and units, the folders of their files and of systemd's units. Arguments: the first line of each tunnel's files.
# shellcheck shell=sh
: "${configs:?}" "${units:?}"
for header; do
  name=${header##* }
  echo tunnel
  for file in "$units/novaops-tunnel-$name"*; do
    if [ -f "$file" ] && [ "$(head -n 1 "$file")" = "$header" ]; then find -H "$file" -maxdepth 0 -printf '%m\t%u\t%g\t%p\t'; base64 -w 0 <"$file"; echo; fi
  done
  for suffix in conf known_hosts forwards check; do
    file=$configs/$name.$suffix
    if [ -f "$file" ]; then find -H "$file" -maxdepth 0 -printf '%m\t%u\t%g\t%p\t'; base64 -w 0 <"$file"; echo; fi
  done
  for suffix in key key.pub; do
    file=$configs/$name.$suffix
    if [ -f "$file" ]; then find -H "$file" -maxdepth 0 -printf '%m\t%u\t%g\t%p\t-\n'; fi
  done
done
echo end
