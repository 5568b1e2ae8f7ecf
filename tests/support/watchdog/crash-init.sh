#!/bin/busybox sh
# The first program of a guest's crash kernel: brings up the network and runs the beacon.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo "CRASH kernel $(cut -d' ' -f1 /proc/uptime)"
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover \
    virtio_net; do
    insmod /modules/$module.ko
done
# As in init.sh.
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
ip route add 127.0.0.0/8 via 10.0.2.2 dev eth0 src 10.0.2.15
mkdir -p /run/holdfast /var/lib/holdfast
echo "CRASH beacon $(cut -d' ' -f1 /proc/uptime)"
NO_COLOR=1 /bin/ha-beacon --config /etc/holdfast/node.toml
echo "CRASH beacon ended: $?"
while :; do sleep 1000; done
