#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# `weir bench fair` with VMs as the endpoints, and namespaces as server and noise.
# timeout: 180
# cpus: 2
# shellcheck disable=SC2317 # functions are called by `it`
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
export WEIR_VM_ACCEL=$vm_accel

fair() {
	weir bench fair --kernel "$vm_image/vmlinux" --endpoints 2 --omit 300ms --repeat 1 --quiet -j "$@" \
		>"$T/fair.json"
}

measured() {
	fair --through bridge,weir --noise none,64b --flows 4 --time 500ms
	"$TESTS/lib/valid-result" "$T/fair.json"
	jq -e '.complete and ([.figures[].labels.path] | unique == ["bridge", "weir"])' "$T/fair.json"
	# Beside noise one that is emulated may get nothing: that is what is to be seen.
	jq -e '[.endpoints[] | select(.name == "throughput" or .name == "transactions") |
		(.labels.noise == "64b") as $noisy | .values |
		[.["vm:vm1"], .["vm:vm2"]] | all(. > 10 or ($noisy and . >= 0))] | length == 8 and all' "$T/fair.json"
	jq -e '[.figures[] | select(.name == "noise received").median] | length == 4 and all(. > 100)' "$T/fair.json"
	jq -e '.cpu | all(any(.threads[]; .role == "vm" and .busy > 0))' "$T/fair.json"
}
vm_it "two VMs share a bridge, and weir over vhost-user, with and without noise" measured

interrupted() {
	local pid status=0
	fair --through weir --load rr --time 60s &
	pid=$!
	until_ok 30 pgrep -f 'qemu.*vm2'
	sleep 3
	pkill -INT -of 'weir bench fair'
	wait "$pid" || status=$?
	[[ $status = 1 ]]
	jq -e '.complete == false and .why_incomplete == "interrupted"' "$T/fair.json"
	until_ok 2 not pgrep -f 'qemu|weir.yaml|weir bench'
}
it "interrupted, VMs and switch are removed" interrupted
