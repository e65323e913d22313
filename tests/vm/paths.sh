#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# `weir bench paths`: VMs made on the spot, on paths that are made and removed.
# timeout: 300
# cpus: 2
# load: 1.25
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
export WEIR_VM_ACCEL=$vm_accel

paths() {
	weir bench paths --kernel "$vm_image/vmlinux" --time 500ms --omit 200ms --repeat 1 --quiet "$@"
}

# figure NAME TEST PATH: its median.
figure() {
	jq -e --arg n "$1" --arg t "$2" --arg p "$3" \
		'[.figures[] | select(.name == $n and .labels.test == $t and .labels.path == $p).median][0]' \
		"$T/paths.json"
}

measured() {
	paths --paths bridge,e1000,weir,veth --vms 2 --rate 20Mbit -j >"$T/paths.json" &&
		jq -e '.complete' "$T/paths.json" && jq -e '[.figures[].labels.path] | unique == ["bridge", "e1000", "veth", "weir"]' "$T/paths.json"
}
vm_it "a bridge, an e1000, weir over vhost-user and namespaces are measured with two VMs" measured
plausible() {
	local p
	for p in bridge e1000 weir; do
		between 20e6 "$(figure throughput stream $p)" 100e9 &&
			# A rate that all can carry; to within a write or two of 128 KiB in half a second.
			between 16e6 "$(figure throughput 'stream at a rate' $p)" 24e6 &&
			between 0.01 "$(figure 'CPUs of VMs and switch' 'stream at a rate' $p)" "$(nproc --all)" || return 1
	done
	for p in bridge e1000 weir veth; do
		# One at a time: as many in a second as latencies fit into it.
		between 5 "$(figure transactions rr $p)" 1e6 && between 0.7 "$(jq --arg p $p '(.figures[] | select(.name == "transactions" and .labels.path == $p)
			.median) * (.latencies[] | select(.labels.path == $p).mean) / 1e9' "$T/paths.json")" 1.1 || return 1
	done
	between 500e6 "$(figure throughput stream veth)" 1000e9 && between 0.01 "$(figure 'host CPUs busy' stream veth)" "$(nproc --all)"
}
# In a short time on a busy machine a guest may not have run: measured anew then.
carries() {
	plausible || { measured && plausible; } || { measured && plausible; }
}
vm_it "each of them carries the rate that was asked for, and more when none was" carries

# Only where a CPU is left for a thread that polls.
ovs() {
	paths --paths ovs --vms 2 -j >"$T/paths.json" &&
		jq -e .complete "$T/paths.json" && "$TESTS/lib/valid-result" "$T/paths.json" &&
		between 1e6 "$(figure throughput stream ovs)" 100e9 &&
		between 0.0001 "$(figure 'switch CPUs moving frames' stream ovs)" 1.5 &&
		jq -e '[.cpu[].polling[0]] | length > 2 and all(.role == "switch" and .threads == 1)' "$T/paths.json" &&
		jq -e '.conditions.interfaces["path ovs: vm:vm1"] | .driver == "virtio_net" and .offloads.tso == false' \
			"$T/paths.json" &&
		not pgrep ovs
}
if [[ -x /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk ]]; then
	vm_it "OVS with DPDK is measured, with what its polling thread did, and nothing of it is left" thrice ovs
else
	skip "OVS with DPDK is measured" "openvswitch-switch-dpdk is not installed"
fi

reasons() {
	paths --paths passthrough,vf,af-xdp,veth --vms 2 -j >"$T/paths.json"
	[[ -e /sys/kernel/iommu_groups/0 ]] ||
		jq -e '.warnings | any(test("passthrough.* not possible here: .*(IOMMU|network card)"))' "$T/paths.json"
	qemu-system-x86_64 -netdev help | has af-xdp ||
		jq -e '.warnings | any(test("af-xdp.* not possible here: .*8\\.2"))' "$T/paths.json"
	jq -e '[.figures[].labels.path] | unique == ["veth"]' "$T/paths.json"
}
vm_it "a path that is not possible here is listed with the reason" reasons

skew() {
	weir bench paths --time 200ms --omit 100ms --until 50% --repeat 2 --repeat-max 2 --quiet --paths veth --vms 6 -j \
		>"$T/paths.json" &&
		jq -e '[.figures[] | select(.name == "throughput") | .values | length] | all(. == 2)' "$T/paths.json" &&
		# Without VMs.
		jq -e '.figures[] | select(.labels.test == "stream at a rate" and .name == "throughput") |
			.labels.rate == "1000000000bit"' "$T/paths.json" &&
		jq -e '.endpoints[0].values | length == 3 and all(.[]; . > 1e6)' "$T/paths.json" &&
		jq -e '.endpoints[0].skew as $s | .endpoints[0].values | [.[]] |
		((max - min) / (add / 3) - $s) | fabs < 1e-6' "$T/paths.json"
}
vm_it "three pairs at once have a skew" thrice skew

# begin COMMAND...: starts the bridge path with much time, and waits for it; its pid is in bench_pid.
begin() {
	"$WEIR" bench paths --kernel "$vm_image/vmlinux" --time 60s --omit 200ms --repeat 1 --quiet --paths bridge --vms 2 \
		-j >"$T/cut.json" 2>"$T/cut.err" &
	bench_pid=$!
	until_ok 40 "$@"
}
flowing() {
	local pid
	pid=$(pgrep -n qemu)
	awk '$1 == "tap1:" { exit $2 < 100000 }' "/proc/$pid/net/dev" && grep -q tap1 "/proc/$pid/net/dev"
}
nothing_left() {
	not pgrep qemu
	not ip link show br0
	[[ -z $(ls -A /run/netns) ]]
}

dies() {
	local status=0 from
	begin flowing
	from=${EPOCHREALTIME/.}
	kill -KILL "$(pgrep -n qemu)"
	wait "$bench_pid" || status=$?
	note "over after $(((${EPOCHREALTIME/.} - from) / 1000)) ms"
	[[ $status = 1 && $((${EPOCHREALTIME/.} - from)) -lt 3000000 ]]
	jq -e '.complete == false and (.why_incomplete | test("path bridge: .*vm:vm[12]"))' "$T/cut.json"
	nothing_left
}
vm_it "a VM that dies is named in an incomplete result, at once, and nothing is left" dies
interrupted() {
	local status=0
	begin flowing
	sleep 1 # past the warm-up
	kill -INT "$bench_pid"
	wait "$bench_pid" || status=$?
	[[ $status = 1 ]]
	jq -e '.complete == false and .why_incomplete == "interrupted"
		and (.figures | any(.name == "throughput" and .median > 1e6))' "$T/cut.json"
	nothing_left
}
vm_it "what was interrupted keeps what it has measured, and nothing is left" interrupted
killed() {
	begin pgrep qemu
	kill -KILL "$bench_pid"
	wait "$bench_pid" || true
	until_ok 2 nothing_left
}
vm_it "when weir is killed the VMs go with it" killed

not_a_kernel() {
	refused weir bench paths --kernel /etc/passwd --paths bridge | says 'no Linux kernel'
	refused weir bench paths --kernel /nowhere/vmlinuz --paths bridge | says '/nowhere/vmlinuz: No such file'
}
vm_it "a file that is no kernel is refused" not_a_kernel
