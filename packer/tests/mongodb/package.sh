#!/usr/bin/env bash
# package.sh FOLDER: makes a package that stands in for MongoDB's own server, which
# has to be got from its vendor: the same names of package, program, user, unit and
# places, and behind them the stand-in beside this file. For tests only.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: package.sh FOLDER}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$work/package
mkdir -p "$package"/{DEBIAN,usr/bin,usr/lib/mongodb-stand-in,etc,lib/systemd/system}
install -m 0755 "$here/mongod" "$package/usr/bin/mongod"
install -m 0644 "$here/replica_set.py" "$package/usr/lib/mongodb-stand-in/"
printf 'storage:\n  dbPath: /var/lib/mongodb\n' >"$package/etc/mongod.conf"
echo /etc/mongod.conf >"$package/DEBIAN/conffiles"

cat >"$package/lib/systemd/system/mongod.service" <<'UNIT'
[Unit]
Description=MongoDB Database Server (a stand-in)
After=network-online.target
Wants=network-online.target

[Service]
User=mongodb
Group=mongodb
EnvironmentFile=-/etc/default/mongod
ExecStart=/usr/bin/mongod --config /etc/mongod.conf
RuntimeDirectory=mongodb
LimitNOFILE=64000
LimitNPROC=64000
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT

cat >"$package/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if ! getent passwd mongodb >/dev/null; then
  adduser --system --no-create-home --home /home/mongodb --group --shell /bin/false mongodb >/dev/null
fi
for place in /var/lib/mongodb /var/log/mongodb; do
  [ -d "$place" ] || install -d -o mongodb -g mongodb -m 0755 "$place"
done
SCRIPT
chmod 0755 "$package/DEBIAN/postinst"

cat >"$package/DEBIAN/control" <<CONTROL
Package: mongodb-org-server
Version: 8.0.0
Architecture: all
Maintainer: The authors of amid <amid@localhost>
Depends: adduser, python3, python3-bson
Description: stands in for MongoDB's server while an image is tried
 It is no database, and is never to be installed on a machine that is one.
CONTROL
dpkg-deb --root-owner-group -Znone --build "$package" "$folder/mongodb-org-server_8.0.0_all.deb" >/dev/null
