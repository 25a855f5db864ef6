# shellcheck shell=bash
# Mistakes that the image suites have to find. Sourced by test-images.sh; the
# commands run in the chroot, each is undone afterwards.

# fault NAME FOUND PLANT UNDO: FOUND is a part of what the suite says of it.
# Those of the base are planted here as well: its suite is a part of every other.
plant_faults_app() {
  fault "an ssh host key stays" "ssh host keys" \
    "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key" \
    "rm /etc/ssh/ssh_host_ed25519_key*"
  fault "the machine has an id already" "/etc/machine-id" \
    "echo 0123456789abcdef0123456789abcdef >/etc/machine-id" \
    ": >/etc/machine-id"
  fault "another file lets passwords in" "sshd's options" \
    "echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/00-cloud.conf" \
    "rm /etc/ssh/sshd_config.d/00-cloud.conf"
  fault "sshd is on" "Service: ssh" \
    "systemctl -q enable ssh.service" \
    "systemctl -q disable ssh.service"
  fault "the clock is not kept" "Service: chrony" \
    "systemctl -q disable chrony.service" \
    "systemctl -q enable chrony.service"
  fault "services may not start, as in the build" "/usr/sbin/policy-rc.d" \
    "touch /usr/sbin/policy-rc.d" \
    "rm /usr/sbin/policy-rc.d"
  fault "a key of the builder stays" "authorized keys" \
    "mkdir -p /home/admin/.ssh && echo 'ssh-ed25519 AAAA packer' >/home/admin/.ssh/authorized_keys" \
    "rm -r /home/admin"
  fault "a user has a password" "users with a password" \
    "useradd -p '\$6\$salt\$hash' debug" \
    "userdel -f debug; rm -f /etc/*-"
  fault "everybody may change the unit" "files that everybody may write" \
    "chmod 0666 /etc/systemd/system/todo.service" \
    "chmod 0644 /etc/systemd/system/todo.service"
  fault "the app does not start by itself" "Service: todo" \
    "systemctl -q disable todo.service" \
    "systemctl -q enable todo.service"
  fault "the app is missing" "the program starts" \
    "mv /usr/local/bin/todo /usr/local/bin/todo.old" \
    "mv /usr/local/bin/todo.old /usr/local/bin/todo"
  fault "the app is of another version than the image says" "the program is the one" \
    "cp /etc/image-release.json /mnt/release; /usr/local/lib/amid/image-release version=9.9.9" \
    "mv /mnt/release /etc/image-release.json"
  fault "the app's user has a shell" "User: todo: shell" \
    "usermod -s /bin/bash todo" \
    "usermod -s /usr/sbin/nologin todo; rm -f /etc/*-"
  fault "the app's unit has lost its walls" "the unit is walled in" \
    "cp /etc/systemd/system/todo.service /mnt/unit; sed -i '/^Protect/d; /^Capab/d; /^System/d; /^Restrict/d' /etc/systemd/system/todo.service" \
    "mv /mnt/unit /etc/systemd/system/todo.service"
  fault "a unit has a misspelt option" "units that systemd does not understand" \
    "cp /etc/systemd/system/amid-swap.service /mnt/unit; echo 'WantdBy=multi-user.target' >>/etc/systemd/system/amid-swap.service" \
    "mv /mnt/unit /etc/systemd/system/amid-swap.service"
  fault "the lists of packages stay" "what apt and the build left" \
    "touch /var/lib/apt/lists/deb.example.com_Packages" \
    "rm /var/lib/apt/lists/deb.example.com_Packages"
}

plant_faults_mongodb() {
  fault "the database is of a version that nobody looks after" "of a version that is looked after" \
    "cp /usr/bin/mongod /mnt/mongod; sed -i 's/^VERSION = .*/VERSION = \"6.0.9\"/' /usr/bin/mongod" \
    "mv /mnt/mongod /usr/bin/mongod"
  fault "data of the build is in the image" "no data is in the image" \
    "touch /var/lib/mongodb/WiredTiger.lock" \
    "rm /var/lib/mongodb/WiredTiger.lock"
  fault "others may read the data" "/var/lib/mongodb: mode" \
    "chmod 0755 /var/lib/mongodb" \
    "chmod 0750 /var/lib/mongodb"
  fault "the database may be upgraded by night" "the database is upgraded by images only" \
    "echo 'mongodb-org-server install' | dpkg --set-selections; rm -f /var/lib/dpkg/*-old" \
    "echo 'mongodb-org-server hold' | dpkg --set-selections; rm -f /var/lib/dpkg/*-old"
  fault "nobody answers for the member" "Service: mongodb-gate" \
    "systemctl -q disable mongodb-gate.service" \
    "systemctl -q enable mongodb-gate.service"
  fault "the database would start without its volume" "the database waits for its volume" \
    "cp /etc/systemd/system/mongod.service.d/amid.conf /mnt/unit; sed -i '/^Requires/d; /^BindsTo/d' /etc/systemd/system/mongod.service.d/amid.conf" \
    "mv /mnt/unit /etc/systemd/system/mongod.service.d/amid.conf"
  fault "the gate misses a half of itself" "the gate has what it is made of" \
    "mv /usr/local/lib/amid/gate_rules.py /mnt/" \
    "mv /mnt/gate_rules.py /usr/local/lib/amid/"
}

plant_faults_controller() {
  fault "amid is missing" "amid starts" \
    "mv /usr/bin/amid /usr/bin/amid.old" \
    "mv /usr/bin/amid.old /usr/bin/amid"
  fault "amid is of another version than the image says" "the program is the one" \
    "cp /etc/image-release.json /mnt/release; /usr/local/lib/amid/image-release version=9.9.9" \
    "mv /mnt/release /etc/image-release.json"
  fault "a config is in the image" "/etc/amid/amid.json" \
    "echo '{}' >/etc/amid/amid.json" \
    "rm /etc/amid/amid.json"
  fault "everybody may read the credentials" "/etc/amid/credentials: mode" \
    "chmod 0755 /etc/amid/credentials" \
    "chmod 0700 /etc/amid/credentials"
  fault "the state of a build is in the image" "/var/lib/amid" \
    "mkdir -p /var/lib/amid/journal" \
    "rm -r /var/lib/amid"
  fault "a drop-in takes the unit's walls down" "the unit is walled in" \
    "printf '[Service]\nProtectSystem=no\nSystemCallFilter=\nRestrictAddressFamilies=\nCapabilityBoundingSet=~\nPrivateDevices=no\n' >/etc/systemd/system/amid.service.d/open.conf" \
    "rm /etc/systemd/system/amid.service.d/open.conf"
  fault "terraform is missing" "terraform starts" \
    "mv /usr/local/bin/terraform /mnt/" \
    "mv /mnt/terraform /usr/local/bin/"
}
