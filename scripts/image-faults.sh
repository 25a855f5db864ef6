# shellcheck shell=bash
# Mistakes that the image suite of an app has to find. Sourced by
# test-images.sh; the commands run in the chroot, each is undone afterwards.

# fault NAME FOUND PLANT UNDO: FOUND is a part of what the suite says of it.
plant_faults() {
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
