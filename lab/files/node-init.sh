#!/bin/bash
# Process 1 of a lab node, started in fresh namespaces: makes the node's own root file system the only one it sees, then
# boots like a small Debian. When this process is killed, the kernel ends everything in the node: a hard power-off.
# Arguments: root folder, host name, shared folder, the cgroup version-1 controllers ("" for version 2), yes|no for KVM.
set -eu
root=$1 name=$2 shared=$3 controllers=$4 kvm=$5

hostname "$name"
mount --make-rprivate /
mount --bind "$root" "$root"

# Programs come from the host, read-only: nothing a node does can change the machine it runs on.
mount --rbind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount --bind /var/lib/dpkg "$root/var/lib/dpkg"
mount -o remount,bind,ro "$root/var/lib/dpkg"
mount --bind "$shared" "$root/srv/shared"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"

mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm,mqueue,net}
mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
device() { mknod -m "$5" "$root/dev/$1" "$2" "$3" "$4"; }
device null c 1 3 666; device zero c 1 5 666; device full c 1 7 666
device random c 1 8 666; device urandom c 1 9 666; device tty c 5 0 666
device net/tun c 10 200 666; device fuse c 10 229 666
[ "$kvm" = no ] || device kvm c 10 232 666
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"

if [ -n "$controllers" ]; then
    mount -t tmpfs -o mode=755,nosuid,nodev,noexec tmpfs "$root/sys/fs/cgroup"
    for group in $controllers; do
        mkdir "$root/sys/fs/cgroup/$group"
        mount -t cgroup -o "$group" cgroup "$root/sys/fs/cgroup/$group"
    done
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    # shellcheck disable=SC2013 # the controllers are words of one line
    for group in $(cat "$root/sys/fs/cgroup/cgroup.controllers"); do
        echo "+$group" >"$root/sys/fs/cgroup/cgroup.subtree_control" || true
    done
fi

cd "$root"
pivot_root . .
umount -l .
cd /
mkdir -p /run/lock /run/sshd /run/libvirt /run/user
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
set +e
service ceph start
service virtlogd start
service libvirtd start
service ssh start
touch /run/node-booted
trap '' TERM INT HUP
# A shell as process 1 reaps the orphans of the whole node.
while :; do sleep 3600 & wait $!; done
