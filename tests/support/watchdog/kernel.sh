#!/usr/bin/env bash
# kernel.sh: a Debian kernel for the guests of the watchdog test, unpacked into the cache directory and installed nowhere.
# Nothing to do when it is there already.
#
#   CACHE/guest-kernel/vmlinux      the kernel as QEMU boots it, not compressed
#   CACHE/guest-kernel/vmlinuz      the same as it is in the package, which a guest loads as its crash kernel
#   CACHE/guest-kernel/modules/     the few modules that a guest loads
set -euo pipefail
# xtask/src/place.rs and tests/tests/watchdog/parts.rs compute the same.
kernel=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/guest-kernel
mark=$kernel/made-from
# Bump it when what is unpacked changes.
want=2
[ "$(cat "$mark" 2>/dev/null)" = "$want" ] && exit 0

modules="drivers/watchdog/watchdog drivers/watchdog/i6300esb drivers/watchdog/softdog
    drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci
    net/core/failover drivers/net/net_failover drivers/net/virtio_net"

mkdir -p "$kernel"
work=$(mktemp -d "$kernel/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Not the -cloud- kernel: it lacks the i6300esb.
package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$package" ] || { echo "apt knows no linux-image-amd64" >&2; exit 1; }
echo "    unpacks $package into $kernel, once" >&2
# apt may drop its rights for the download, and must be able to write here.
chmod 755 "$work"
(cd "$work" && nice apt-get -qq download "$package" 2>"$work/apt.log") || { cat "$work/apt.log" >&2; exit 1; }
nice dpkg-deb -x "$work"/*.deb "$work/unpacked"

# QEMU boots the ELF inside the image; to unpack it in the guest takes longer than the rest of the boot.
nice python3 - "$work"/unpacked/boot/vmlinuz-* "$work/vmlinux" <<'P'
import lzma, sys
image = open(sys.argv[1], "rb").read()
start = image.find(b"\xfd7zXZ\x00")
elf = lzma.LZMADecompressor().decompress(image[start:]) if start >= 0 else b""
if elf[:4] != b"\x7fELF":
    sys.exit("no xz-compressed kernel in " + sys.argv[1])
open(sys.argv[2], "wb").write(elf)
P

mkdir "$work/modules"
for module in $modules; do
    cp "$work"/unpacked/lib/modules/*/kernel/"$module".ko "$work/modules/"
done
rm -rf "$kernel/modules"
mv "$work"/unpacked/boot/vmlinuz-* "$work/vmlinuz"
mv "$work/modules" "$work/vmlinux" "$work/vmlinuz" "$kernel/"
echo "$want" >"$mark"
