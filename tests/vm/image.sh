#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# image.sh DIR: makes DIR/vmlinux and DIR/initrd, what the guests of the VM tests boot from.
#
# The kernel is Debian's, downloaded and unpacked but not installed; it is kept unpacked as the ELF
# file, which QEMU boots directly (PVH) and which saves the guest seconds of emulated decompression.
# The initramfs is busybox, the few tools the tests call, copied from this machine with their
# libraries, and init. It is not compressed: emulated CPUs are slower than memory is short.
#
# Needs the Debian packages busybox-static ethtool iperf3 iproute2 iputils-ping xz-utils, no root, and
# apt's network once. WEIR_VM_KERNEL=FILE.deb takes a kernel package that is there already.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
dir=${1:?usage: image.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/lock"
flock 9 # two test runs at once make it once

die() { echo "image.sh: $*" >&2; exit 1; }

# In the order in which they are loaded.
modules='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover
	virtio_net e1000 llc stp mrp garp 8021q'
# dash, since busybox's shell takes its own ip and ping before those of Debian.
tools='dash ip ethtool iperf3 ping'

for t in busybox xz dpkg-deb $tools; do
	command -v "$t" >/dev/null || die "no $t here; install busybox-static xz-utils iproute2 ethtool iperf3 iputils-ping"
done
if ldd "$(command -v busybox)" >/dev/null 2>&1; then
	die "$(command -v busybox) is not static; install busybox-static"
fi

tmp=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

kernel() {
	local deb=${WEIR_VM_KERNEL:-} name m path at
	if [ -z "$deb" ]; then
		name=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" {print $2; exit}')
		[ -n "$name" ] || die "apt knows no linux-image-amd64; run apt-get update first"
		# apt's sandbox user cannot write here; apt says so and goes on, as it should.
		(cd "$tmp" && apt-get -qq download "$name" >apt.log 2>&1) || {
			cat "$tmp/apt.log" >&2
			die "apt-get download $name failed; try apt-get update"
		}
		deb=$(echo "$tmp"/linux-image-*.deb)
	fi
	[ -f "$deb" ] || die "no kernel package $deb"
	local want=()
	for m in $modules; do want+=("*/$m.ko"); done
	dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$tmp" --wildcards './boot/vmlinuz-*' "${want[@]}"
	path=$(echo "$tmp"/boot/vmlinuz-*)
	# The compressed kernel starts at an xz header inside; what follows it is not xz, which xz reports.
	for at in $(LC_ALL=C grep -aob $'\xfd7zXZ' "$path" | cut -d: -f1); do
		tail -c "+$((at + 1))" "$path" | xz -dcq 2>/dev/null >"$tmp/vmlinux" || true
		[ "$(head -c4 "$tmp/vmlinux")" = $'\177ELF' ] && break
	done
	[ "$(head -c4 "$tmp/vmlinux")" = $'\177ELF' ] || die "no ELF kernel found in $path"
	mkdir -p "$dir/modules"
	for m in $modules; do find "$tmp/lib" -name "$m.ko" -exec cp {} "$dir/modules/" \; ; done
	echo "$modules" | tr -s ' \t\n' '\n' >"$dir/modules/order"
	mv "$tmp/vmlinux" "$dir/vmlinux"
}

initrd() {
	local root=$tmp/root t lib
	mkdir -p "$root"/{bin,dev,etc,proc,sys,run,tmp,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for t in $(busybox --list); do [ -e "$root/bin/$t" ] || ln -s busybox "$root/bin/$t"; done
	for t in $tools; do
		rm -f "$root/bin/$t"
		cp -L "$(command -v "$t")" "$root/bin/$t"
		for lib in $(ldd "$(command -v "$t")" | grep -o '/[^ ]*'); do
			mkdir -p "$root$(dirname "$lib")"
			cp -Ln "$lib" "$root$lib"
		done
	done
	ln -sf dash "$root/bin/sh"
	cp "$dir"/modules/* "$root/modules/"
	cp "$here/init" "$root/init"
	chmod 755 "$root/init"
	echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
	(cd "$root" && find . | LC_ALL=C sort | busybox cpio -o -H newc -R 0:0 2>/dev/null) >"$tmp/initrd"
	mv "$tmp/initrd" "$dir/initrd"
}

[ -s "$dir/vmlinux" ] && [ -s "$dir/modules/order" ] || kernel
if [ ! -s "$dir/initrd" ] || [ "$here/init" -nt "$dir/initrd" ] || [ "$0" -nt "$dir/initrd" ]; then
	initrd
fi
