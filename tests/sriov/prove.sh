#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir vf prove on QEMU's igb, of which is known what it enforces: VLANs, not spoof check and rates.
# part of: changes
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

pf=0000:01:00.0
sys=/sys/bus/pci/devices

sriov_start || exit 1
boot() {
	vm_wait sriov 120
	run "ip link set eth0 up; ip link set eth1 up" && until_ok 10 run "ip link show eth0 | grep LOWER_UP"
}
vm_it "a guest with igb boots" boot

# What a user could miss afterwards: settings, drivers, interfaces, and who is where.
state() {
	run "ip -d link show eth0 | grep 'vf '; ip -br link | sort; for f in $sys/0000:01:1*; do
		echo \$f \$(readlink \$f/driver) \$(cat \$f/driver_override); done"
}

none() {
	not run "weir vf prove eth0" | says 'has no VFs.*weir vf create'
	not run "weir vf prove eth2" | says 'is down.*ip link set eth2 up'
	not run "weir vf prove eth3" | says 'no SR-IOV'
}
vm_it "without VFs, without a link and without SR-IOV it says what is missing" none

created() {
	run "weir vf prove --create -j eth0" >"$T/found" && jq -e '.findings.vlan.verdict == "enforced"' "$T/found" &&
		run "cat $sys/$pf/sriov_numvfs" | grep -qx 0
}
vm_it "two VFs are made for the time being where there are none" created

verdict() { # NAME VERDICT
	jq -e --arg n "$1" --arg v "$2" '.findings[$n].verdict == $v' "$T/found" >/dev/null ||
		{ jq -c --arg n "$1" '.findings[$n]' "$T/found"; return 1; }
}
# VF 0 is vm7's, VF 2 is given to VFIO, VF 1 has settings. All have a MAC: without one a VF gets another
# whenever its driver is bound or its interface is first set up.
proved() {
	run "weir vf create eth0 3 && weir vf set eth0 all mac=auto && weir vf alloc eth0 --owner vm7 &&
		weir vf set eth0 1 vlan=7 spoofchk=off && weir vf bind eth0 2 vfio-pci" && state >"$T/before" &&
		run "weir vf prove -j eth0" >"$T/found" && jq -e '.vfs == [1, 2] and .driver == "igb"' "$T/found" &&
		note "in $(jq .seconds "$T/found") s"
}
vm_it "a PF is proved with the VFs that are nobody's, also one that vfio-pci has" proved
enforced() {
	verdict vlan enforced && verdict vlan-spoof enforced && verdict broadcast enforced && verdict mac-filter enforced
	jq -e '.findings.vlan.trials | length == 4 and all(.sent == 50) and
		all(if .wanted then .arrived >= 40 else .arrived == 0 end)' "$T/found"
}
vm_it "VLANs, broadcast and the MAC filter are enforced" enforced
vm_it "spoof check is accepted and not enforced" verdict spoofchk not-enforced
vm_it "a maximum rate is accepted and not enforced" verdict rate not-enforced
refused() {
	verdict state refused && jq -e '.findings.state.text | test("igb cannot")' "$T/found"
}
vm_it "the link state is refused" refused
same() {
	state >"$T/after" && diff "$T/before" "$T/after"
}
vm_it "all is as it was" same
kept() {
	run "cat /var/lib/weir/host/proved/$pf.json" | jq -S . >"$T/kept" && jq -S . "$T/found" | diff - "$T/kept"
	run "weir vf list" | says 'vlan.*; not spoofchk, rate'
}
vm_it "what was found is kept, and weir vf list shows it" kept

dry() {
	state >"$T/before" && run "weir vf prove --dry-run eth0" | says 'vf 1 *vlan *7 -> 0' 'vf 2 *driver *vfio-pci -> igbvf' && same
}
vm_it "--dry-run says which settings would be changed, and changes none" dry

killed() {
	state >"$T/before"
	run "weir vf prove eth0 & p=\$!; until ip -d link show eth0 | grep -q 'vlan 4093'; do sleep 0.05; done
		kill -9 \$p; wait \$p; test \$? = 137" && not same >/dev/null && run "weir host undo" && until_ok 5 same
}
vm_it "killed in the midst of it, all is put back by weir host undo" killed

interrupted() {
	state >"$T/before"
	run "weir vf prove eth0 >/tmp/out 2>&1 & p=\$!
		until ip -d link show eth0 | grep -q 'vlan 409'; do sleep 0.05; done
		kill -TERM \$p; wait \$p; test \$? = 1; cat /tmp/out" | grep -q "interrupted; all is as it was" && same
}
vm_it "on SIGTERM it puts all back itself" interrupted

owned() {
	run "weir vf alloc eth0 --owner vm8" && not run "weir vf prove eth0" |
		says 'of the 3 VFs of 0000:01:00.0 1 is free.*weir vf list'
}
vm_it "it is refused when somebody owns all VFs but one" owned
it "neither the guest's kernel nor a sanitizer complained of anything" content
