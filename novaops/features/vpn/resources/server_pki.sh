# What every script about a VPN server's authority begins with. SERVERS is set before it; its first argument is the server's name.
# shellcheck shell=sh

# shellcheck disable=SC2154 # SERVERS: see above
name=$1 folder=$SERVERS/$1
# shellcheck disable=SC2034 # for the scripts that follow
unit=openvpn-server@$name.service
shift
cd "$folder" || exit
umask 077

quietly() { "$@" >said 2>&1 || { status=$?; tail -n 5 said; exit $status; }; }

sign() { # REQUEST KIND SUBJECT DAYS CERTIFICATE [MORE]: valid since yesterday, as clocks differ
  request=$1 kind=$2 subject=$3 days=$4 certificate=$5; shift 5
  quietly openssl ca -batch -notext -config openssl.cnf -extensions "${kind}_extensions" -subj "$subject" -in "$request" \
    -startdate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -days "$days" -out "$certificate.new" "$@"
  mv "$certificate.new" "$certificate" || exit
}

serials() { awk -F '\t' -v subject="/CN=$1" '$1 == "V" && $6 == subject { print $4 }' index.txt; }

revoke() { for serial; do quietly openssl ca -batch -config openssl.cnf -revoke "certs/$serial.pem"; done; }

list() { # readable by the server, which runs as nobody
  quietly openssl ca -batch -config openssl.cnf -gencrl -out crl.new
  chmod 644 crl.new && mv crl.new "$folder.crl.pem" || exit
}
