#!/bin/busybox sh
# The first program of a guest: brings up the watchdog and the network, runs the sentinel, and then does what the test
# says on the serial console, line by line.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for module in watchdog i6300esb virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover \
    net_failover virtio_net; do
    insmod /modules/$module.ko
done
# The others are on the host's loopback addresses, and QEMU carries there whatever the guest routes to it. The guest has
# no use for a loopback of its own.
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
ip route add 127.0.0.0/8 via 10.0.2.2 dev eth0 src 10.0.2.15
mkdir -p /run/holdfast /run/domains /var/lib/holdfast
# The agent counts its starts on disk, and this guest has none that outlives a reset: the clock grows as well.
date +%s >/var/lib/holdfast/agent.starts
# As the unit has it: real-time, and never started again.
sentinel() {
    NO_COLOR=1 chrt -r 50 /bin/ha-sentinel --config /etc/holdfast/node.toml &
}
agent() {
    NO_COLOR=1 /bin/ha-node-agent --config /etc/holdfast/node.toml &
}
# So that the crash kernel says of which boot it comes.
crash_kernel() {
    /bin/load-crash-kernel /crash/vmlinuz /crash/initrd \
        "$(cat /crash/append) holdfast.boot=$(cat /proc/sys/kernel/random/boot_id)"
}
[ -e /bin/ha-node-agent ] && agent
[ -e /bin/load-crash-kernel ] && crash_kernel
sentinel
echo "GUEST ready $(cut -d' ' -f1 /proc/uptime)"
while read -r line; do
    eval "$line"
    echo "GUEST did: $line"
done
# A console that ends must not end the guest: only the watchdog may.
while :; do sleep 1000; done
