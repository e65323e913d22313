#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# vm:NAME as an endpoint of `weir bench`: a VM that somebody else started, with an agent in it.
# timeout: 120
# cpus: 2
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# The guest of lib.sh with weir in it: a second archive behind the first, which the kernel unpacks too.
with_weir() {
	local root=$T/root lib
	mkdir -p "$root/bin"
	cp -L "$WEIR" "$root/bin/weir"
	for lib in $(ldd "$WEIR" | grep -o '/[^ ]*'); do
		mkdir -p "$root$(dirname "$lib")"
		cp -Ln "$lib" "$root$lib"
	done
	(cd "$root" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) | cat "$vm_image/initrd" - >"$T/initrd"
	rm -rf "$root"
}
mkdir -p /run/weir/vm
with_weir
ip tuntap add tap1 mode tap
ip addr add 10.0.0.254/24 dev tap1
ip link set tap1 up
vm_nic a plain 10.0.0.1/24 tap:tap1
vm_start a -initrd "$T/initrd" -device virtio-serial -device virtserialport,chardev=agent,name=weir \
	-chardev socket,id=agent,path=/run/weir/vm/a.sock,server=on,wait=off

agent_up() {
	vm_wait a
	at a/plain 'weir bench agent >/tmp/agent.log 2>&1 &'
}
vm_it "a VM that somebody else started has an agent" agent_up
bench() { # INSTRUMENT A B
	weir bench "$@" --time 500ms --omit 200ms --repeat 1 --quiet -j >"$T/vm.json" && jq -e .complete "$T/vm.json"
}
named() {
	bench stream if:tap1 vm:a
	between 5e6 "$(jq '.figures[] | select(.name == "throughput").median' "$T/vm.json")" 100e9
	# The VM says what its CPUs did, and this host what QEMU took for it.
	jq -e '[.cpu[].labels.endpoint] | sort == ["if:tap1", "this host", "vm:a"]' "$T/vm.json"
	jq -e '.cpu[] | select(.labels.endpoint == "this host") | [.threads[] | select(.role == "vm").busy] | add > 0.05' \
		"$T/vm.json"
	bench rr vm:/run/weir/vm/a.sock if:tap1
	between 50 "$(jq '.figures[] | select(.name == "transactions").median' "$T/vm.json")" 1e6
}
vm_it "vm:NAME is its agent's socket in /run/weir/vm, if:NAME an interface: streams and transactions between them" named
handed_over() {
	local i
	for i in 1 2 3; do
		"$WEIR" bench rr if:tap1 vm:a --time 60s --omit 0s --interval 10ms --quiet >"$T/left.out" 2>&1 &
		sleep "0.$((i * 2 + 1))"
		kill -KILL $!
		bench rr if:tap1 vm:a || return 1
	done
}
vm_it "a VM whose coordinator was killed is measured by the next at once" handed_over
not_there() {
	refused weir bench stream if:tap1 vm:b | says 'there is no /run/weir/vm/b.sock.* there are in /run/weir/vm: a$'
	refused weir bench stream if:tap1 vm:/nowhere | says 'there is no /nowhere'
}
vm_it "a VM that is not there is refused, and those that are there are named" not_there
vm_stop a
