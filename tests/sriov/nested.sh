#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A VF for a VM, all the way: in the guest with SR-IOV a QEMU of its own gets the arguments that weir export
# qemu prints, and the Linux inside has the VF, with the MAC and in the VLAN that weir gave it. It is emulated
# twice, so that kernel gets no more to do than it must.
# timeout: 900
# soak: yes
# cpus: 2
# load: 1
# shellcheck disable=SC2016 # of the guest
. "$(dirname "$0")/lib.sh"

# Nothing but a shell and the VF's driver. What it says goes to its console: who it is, and of each host it is
# told to reach whether that answers.
image() {
	local root=$T/inner
	mkdir -p "$root"/{bin,proc,sys,dev} &&
		cp "$(command -v busybox)" "$root/bin/busybox" &&
		find "$vm_image/lib/modules" -name igbvf.ko -exec cp {} "$root/" \; &&
		cat >"$root/init" <<'END' && chmod 755 "$root/init" &&
#!/bin/busybox sh
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox insmod /igbvf.ko
until [ -e /sys/class/net/eth0 ]; do /bin/busybox sleep 0.2; done
/bin/busybox ip addr add 10.1.0.1/24 dev eth0
/bin/busybox ip link set eth0 up
read -r mac </sys/class/net/eth0/address
echo "inner: has $mac"
for to in 10.1.0.2 10.1.0.3; do
	if /bin/busybox ping -c 5 -W 2 $to >/dev/null 2>&1; then echo "inner: $to answers"; else echo "inner: $to is silent"; fi
done
while :; do /bin/busybox sleep 1000; done
END
		(cd "$root" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) >"$T/inner.cpio"
}
image || exit 1

sriov_start || exit 1
boot() { vm_wait sriov 120 && run 'ip link set eth0 up' && note "in $SECONDS s"; }
vm_it "the guest boots" boot
run true || exit 1

# One VF for the VM; in its VLAN 10.1.0.2, in another 10.1.0.3.
handed() {
	run 'weir vf create eth0 3 && weir vf set eth0 1 mac=auto vlan=100 && weir vf set eth0 2 mac=auto vlan=200 &&
		weir vf alloc eth0 --owner inner --vlan 100 --driver vfio-pci' &&
		run 'for i in 1 2; do
			dev=$(ls /sys/bus/pci/devices/0000:01:00.0/virtfn$i/net) && ip netns add n$i && ip link set $dev netns n$i &&
				ip -n n$i addr add 10.1.0.$((i + 1))/24 dev $dev && ip -n n$i link set $dev up || exit 1
		done' && run 'weir vf list eth0 -j' | jq -er '.[0] | select(.owner == "inner" and .vlan == 100).mac' >"$T/mac"
}
vm_it "a VF is the VM's" handed

started() {
	local begin=$SECONDS
	run "weir export qemu inner >/tmp/inner.args && ($sriov_qemu -nodefaults -no-user-config -display none -machine pc \
		-accel tcg,thread=single -cpu qemu64 -smp 1 -m 128 -kernel $vm_image/vmlinux -initrd $T/inner.cpio \
		-append 'console=ttyS0 quiet panic=0 tsc=reliable mitigations=off random.trust_cpu=on noreplace-smp nokaslr cryptomgr.notests' \
		-serial file:/tmp/inner.console \$(grep -v '^#' /tmp/inner.args) >/tmp/inner.log 2>&1 &
		echo \$! >/tmp/inner.pid; wait \$!; echo \$? >/tmp/inner.status) &"
	until_ok 20 run 'weir vf list eth0 -j | jq -e ".[0].use.kind == \"vm\""' &&
		unchanged 'weir vf release --owner inner' 'open in process [0-9]+ .qemu' &&
		unchanged 'weir vf delete eth0' 'in use: .*QEMU' &&
		VM_LIMIT=400 run 'until grep -q "^inner: has" /tmp/inner.console; do [ ! -e /tmp/inner.status ] && sleep 1 || exit 1; done' &&
		note "its Linux is up after $((SECONDS - begin)) s"
}
vm_it "the arguments of weir export start a QEMU with it, and nobody takes it away meanwhile" started

inside() {
	run 'tr -d "\r" </tmp/inner.console' | grep -x 'inner: .*' >"$T/inner.says"
	grep -qx "inner: has $(<"$T/mac")" "$T/inner.says"
}
vm_it "the VM has the MAC that weir gave the VF" inside

reaches() {
	VM_LIMIT=100 run 'until grep "^inner: 10.1.0.3" /tmp/inner.console; do sleep 1; done' | says 'is silent' &&
		run 'grep -q "^inner: 10.1.0.2 answers" /tmp/inner.console'
}
vm_it "it reaches who is in its VLAN, and nobody else" reaches
answers() {
	VM_LIMIT=60 run 'ip netns exec n1 ping -q -c 5 -W 5 10.1.0.1' && not run 'ip netns exec n2 ping -q -c 3 -W 2 10.1.0.1'
}
vm_it "it answers those of its VLAN alone" answers

given_back() {
	run 'kill $(cat /tmp/inner.pid)' && until_ok 20 run 'cat /tmp/inner.status' &&
		run 'weir vf release --owner inner >/dev/null && weir vf list eth0 -j' |
		jq -e '.[0] | .owner == null and .driver == "igbvf" and .vlan == 0'
}
vm_it "when the VM has ended, the VF is given back as it was" given_back
it "neither the guest's kernel nor a sanitizer complained of anything" content
