# Make parts of a VPN server's authority: DAYS TOKEN PART... Comes after server_pki.sh; YEARS is set before it.
# shellcheck shell=sh
# shellcheck disable=SC2154 # name, unit, YEARS: see above

days=$1 token=$2; shift 2

key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

authority() {
  rm -rf certs # of an authority that is gone
  mkdir -p certs clients && true >index.txt || exit
  key ca.key
  quietly openssl req -new -config openssl.cnf -key ca.key -subj "/CN=novaops VPN $name" -out ca.csr
  sign ca.csr authority "/CN=novaops VPN $name" "$YEARS" ca.crt -selfsign
  true >index.txt; rm -f ca.csr
}

server() {
  old=$(serials "server:$name")
  key server.key.new
  quietly openssl req -new -config openssl.cnf -key server.key.new -subj "/CN=server:$name" -out server.csr
  sign server.csr server "/CN=server:$name" "$days" server.crt.made
  mv server.key.new server.key && mv server.crt.made server.crt || exit
  # shellcheck disable=SC2086 # serials are words
  revoke $old
  rm -f server.csr
}

record() { # What was signed, and is not in the record, counts as valid: it is let in, and can be revoked from now on.
  [ -e index.txt ] || : >index.txt
  own=$(openssl x509 -in ca.crt -noout -serial)
  for file in certs/*.pem; do
    serial=${file#certs/}; serial=${serial%.pem}
    [ "serial=$serial" != "$own" ] || continue
    awk -F '\t' -v serial="$serial" '$4 == serial { found = 1 } END { exit !found }' index.txt ||
      quietly openssl ca -batch -config openssl.cnf -valid "$file"
  done
}

secret() { quietly openvpn --genkey tls-crypt tls-crypt.key; }

for part; do "$part"; done
rm -f said
[ -z "$token" ] || echo "$token" >renewed
case " $* " in
  *" server "* | *" secret "*) ! systemctl is-active --quiet "$unit" || systemctl restart "$unit" ;;
  *" list "*) cut_off ;;
esac
