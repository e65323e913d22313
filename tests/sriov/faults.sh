#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What weir does when it is killed, or when kernel, driver, disk and card fail it in the middle of a change of
# real virtual functions. cut.c makes these happen.
# timeout: 1200
# cpus: 2
# load: 0.75
. "$(dirname "$0")/lib.sh"

one=0000:01:00.0 two=0000:02:00.0
sriov_pfs="$one $two"
: "${BUILD:=$(cd "$(dirname "$0")/../.." && pwd)/build}"
with="LD_PRELOAD=$BUILD/tests/sriov/libcut.so"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "the guest boots" boot

run 'ip link set eth0 up; ip link set eth1 up; cat >/tmp/small.yaml <<END
pfs:
  one: {match: 0000:01:00.0, vfs: 1}
pools:
  tenants: {pfs: [one], vlan: 100, mac-prefix: 52:54:77, driver: vfio-pci, owners: [vm1]}
END'
until_ok 20 run 'ip link show eth0 | grep -q LOWER_UP && ip link show eth1 | grep -q LOWER_UP'

whole() {
	settings "$sriov_pfs" >"$T/original"
	run 'weir host apply /tmp/small.yaml' >"$T/steps" || return 1
	settings "$sriov_pfs" >"$T/applied"
	not cmp -s "$T/original" "$T/applied" && run 'weir host undo >/dev/null' &&
		settings "$sriov_pfs" | diff "$T/original" -
}
it "a file is applied and taken back" whole
steps=$(($(wc -l <"$T/steps") - 1)) # less the title

# as_applied, as_original: and nothing waits for an end.
as() {
	settings "$sriov_pfs" | diff "$T/$1" - && run 'weir host check --only journal' | says 'nothing found'
}
resumed() {
	run 'weir host apply --resume >/dev/null' && as applied && run 'weir host undo >/dev/null' && as original
}
taken_back() {
	run 'weir host undo >/dev/null' && as original
}
# The journal's lines are its beginning, and for each step that it begins and that it is done.
killed() { # WHEN LINE-OF-STEP FIRST
	local i way
	for ((i = 0; i < steps; i++)); do
		way=resumed
		[[ $(((i + $3) % 2)) = 0 ]] || way=taken_back
		not run "$with $1=$((2 * i + $2)) weir host apply /tmp/small.yaml >/dev/null" >"$T/killed" 2>&1
		not run 'weir vf create eth1 1' 2>&1 | says 'was cut off in the middle' || { echo "step $i was not cut off"; return 1; }
		$way || { echo "step $i: $way"; return 1; }
	done
}
[[ $steps -ge 5 ]] || exit 1
it "killed when a step is begun and not made, at each step: gone on with or taken back" killed CUT_SYNC 2 0
it "killed when a step is made and not noted, at each step: taken back or gone on with" killed CUT_WRITE 3 1

fails() {
	unchanged "$with FAIL=sriov_numvfs weir host apply /tmp/small.yaml" 'cannot set vfs to 1'
}
it "a write that the kernel refuses takes the steps before it back" fails

absent() {
	run 'rmmod igbvf && weir vf create eth0 2 2>&1' | says 'the 2 VFs of 0000:01:00.0 have no driver, since igbvf is not loaded' || return 1
	run 'weir vf list eth0 -j' | jq -e 'length == 2 and all(.driver == null)' || return 1
	run 'weir vf delete eth0 >/dev/null && modprobe igbvf'
}
it "functions whose driver is not there are said to have none" absent

full() {
	run 'mkdir -p /tmp/full && mount -t tmpfs -o size=8k,mode=755 none /tmp/full && ! dd if=/dev/zero of=/tmp/full/fill bs=4096 2>/dev/null'
	unchanged 'weir host apply /tmp/small.yaml --state /tmp/full' 'No space left on device'
	run 'umount /tmp/full'
}
it "nothing is begun that the journal has no room for" full

# Longer than weir waits for a number of VFs, 32 s.
hangs() {
	vm_behind sriov hung "$with HANG=sriov_numvfs HANG_S=38 weir vf create eth0 1"
	until_ok 20 run 'grep -q "vf create" /var/lib/weir/host/lock'
	not run 'weir vf create eth1 1 --wait 200ms' 2>&1 | says 'weir [0-9]+ .vf create.* is changing this host' || return 1
	run 'weir nic list -j' | jq -e 'length == 4' || return 1
	VM_LIMIT=90 run 'weir vf create eth1 1 --wait 80s >/dev/null && weir vf delete eth1 >/dev/null' || return 1
	VM_LIMIT=90 vm_result sriov hung | says 'has not answered in time' || return 1
	until_ok 20 run "grep -qx 1 /sys/bus/pci/devices/$one/sriov_numvfs"
	run 'weir vf delete eth0 >/dev/null'
}
it "a driver that hangs is given up; a second weir says meanwhile who has the host, or waits" hangs

pulled_out() {
	run 'cat >/tmp/both.yaml <<-END
	pfs:
	  one: {match: 0000:01:00.0, vfs: 1}
	  two: {match: 0000:02:00.0, vfs: 1}
	vfs:
	  a: {pf: one, vf: 0, vlan: 100}
	  b: {pf: two, vf: 0, driver: vfio-pci}
	END'
	settings "$one" >"$T/one"
	vm_behind sriov pulled "$with HANG=driver_override HANG_S=15 weir host apply /tmp/both.yaml"
	until_ok 20 run 'ls /sys/bus/pci/devices/0000:02:00.0/virtfn0' && sleep 2
	qmp device_del '{"id": "igb1"}'
	until_ok 20 not run 'ls /sys/bus/pci/devices/0000:02:00.0'
	VM_LIMIT=60 vm_result sriov pulled >"$T/pulled"
	says '^weir: nothing is changed: .*0000:02:(00|10)\.0.* is gone' <"$T/pulled" || { cat "$T/pulled"; return 1; }
	settings "$one" | diff "$T/one" - && run 'weir host check --only journal' | says 'nothing found'
}
it "a card that is pulled out in the middle leaves the other as it was" pulled_out
it "neither the guest's kernel nor a sanitizer complained of anything" content
