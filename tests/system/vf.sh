#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir vf and weir pci on recorded hosts: what they show, what they would change, and what they refuse.
# timeout: 60
. "$(dirname "$0")/lib.sh"

"$TESTS/host/tree" --all "$T/hosts" || exit 1

# on HOST COMMAND...: weir COMMAND on a recorded host.
on() {
	weir "${@:2}" --sysfs "$T/hosts/$1"
}

# would HOST COMMAND... FILTER: jq -e on what the command says it would do.
would() {
	on "$1" "${@:2:$#-2}" --dry-run -j >"$T/would.json" &&
		jq -e "${*: -1}" "$T/would.json" >/dev/null && return
	cat "$T/would.json"
	return 1
}

# changes HOST COMMAND... LINES: its changes, but for what goes by itself, a line each.
changes() {
	on "$1" "${@:2:$#-2}" --dry-run -j | jq -r '.changes[] | select(.implied | not) |
		"\(.function)\(if .vf then " vf \(.vf)" else "" end) \(.attribute) \(.from) -> \(.to)"' >"$T/changes"
	diff "$T/changes" - <<<"${*: -1}"
}

usage() { # COMMAND...: refused as a usage, with the line that is printed
	local status=0
	"$@" >"$T/usage.out" 2>"$T/usage.err" || status=$?
	[[ $status = 2 && $(wc -l <"$T/usage.err") = 1 ]] || { echo "status $status"; cat "$T/usage.err"; return 1; }
	cat "$T/usage.err"
}

keys='["address","driver","enforced","enforced_stale","interface","iommu_group","link_state","mac","max_rate",
"min_rate","numa","owner","pf","pf_interface","proto","qos","representor","rss_query","spoofchk","trust","use",
"vf","vlan"]'

listed() {
	local host
	for host in ixgbe i40e ice mlx5 igb bnxt noiommu; do
		on $host vf list -j | jq -e "length > 0 and all(keys == $keys)" || return 1
	done
	on i40e vf list ens1f1 -j | jq -e 'length == 2 and all(.pf_interface == "ens1f1")' &&
		on mlx5 vf list -j | jq -e '.[1] | .representor == "enp1s0f0npf0vf1" and .use.kind == "dpdk"' &&
		on mlx5 vf list | says '^enp1s0f0np0 +1 +0000:01:00.3 .*DPDK process dpdk-testpmd'
}
it "every VF is listed with the same keys" listed

by_way_of_none() {
	changes igb vf create eth0 3 "0000:03:00.0 vfs 7 -> 0
0000:03:00.0 vfs 0 -> 3" &&
		would igb vf create eth0 3 '.done == false and .transaction == 0 and
			([.changes[] | select(.implied and .attribute == "mac")] | length == 7)' &&
		on igb vf create eth0 3 --dry-run | says '^0000:03:00.0 +vfs +7 -> 0' 'settings of VFs go with them' &&
		changes igb vf delete 03:00.0 "0000:03:00.0 vfs 7 -> 0" &&
		on igb vf create eth0 7 --dry-run | says '^nothing to change$'
}
it "another number of VFs goes by way of none" by_way_of_none

switchdev() {
	changes ice vf create ens2f1 2 --eswitch switchdev "0000:17:00.1 eswitch legacy -> switchdev
0000:17:00.1 vfs 0 -> 2" &&
		refused on igb vf create eth0 2 --eswitch switchdev --dry-run | says 'has no eswitch'
}
it "the eswitch changes before there are VFs, where the driver wants it so" switchdev

too_many() {
	refused on igb vf create eth0 8 --dry-run | says '8 VFs are too many' '0 to 7' &&
		refused on ixgbe vf create eno2 64 --dry-run | says '0 to 63' &&
		refused on noiommu vf create eth1 1 --dry-run | says 'no SR-IOV capability' &&
		usage on igb vf create eth0 many --dry-run | says "'many' is no number of VFs; it is 0 to 65535"
}
it "more VFs than device or driver can have are refused" too_many

in_use() {
	refused on mlx5 vf delete enp1s0f0np0 --dry-run |
		says '0000:01:00.2 would go, but is in use: its interface is in another namespace' &&
		would mlx5 vf delete enp1s0f0np0 --force '.changes[-1].to == "0"'
}
it "VFs that are in use do not go, unless forced" in_use

rest_stays() {
	changes ixgbe vf set eno1 3 qos=5 "0000:04:00.0 vf 3 vlan 100 -> 100 qos 5" &&
		changes igb vf set eth0 2 vlan=100 "0000:03:00.0 vf 2 vlan 0 -> 100" &&
		changes igb vf set 0000:03:10.4 qos=3 vlan=7 "0000:03:00.0 vf 2 vlan 0 -> 7 qos 3" &&
		changes igb vf set eth0 0-1,4 max-rate=1Gbit trust=on "0000:03:00.0 vf 0 rate min 0 max 0 -> min 0 max 1000
0000:03:00.0 vf 0 trust off -> on
0000:03:00.0 vf 1 rate min 0 max 0 -> min 0 max 1000
0000:03:00.0 vf 1 trust off -> on
0000:03:00.0 vf 4 rate min 0 max 0 -> min 0 max 1000
0000:03:00.0 vf 4 trust off -> on" &&
		on igb vf set eth0 all spoofchk=on --dry-run | says '^nothing to change$'
}
it "settings of several VFs change in one go, and only those that are named" rest_stays

own_macs() {
	would igb vf set eth0 all mac=auto '[.changes[].to] | length == 7 and (unique | length) == 7 and
		all(test("^.[26ae]:"))'
}
it "each VF gets a MAC of its own, locally administered" own_macs

bad_settings() {
	refused on igb vf set eth0 3 vlan=4095 --dry-run | says "'4095' is no VLAN; write 1 to 4094" &&
		refused on igb vf set eth0 3 mac=01:00:5e:00:00:01 --dry-run | says 'group address' &&
		refused on igb vf set eth0 0-1 mac=52:54:00:00:00:01 --dry-run | says 'the same MAC' &&
		refused on igb vf set eth0 3 min-rate=2Gbit max-rate=1Gbit --dry-run | says 'above the max rate' &&
		refused on igb vf set eth0 7 trust=on --dry-run | says 'no VF 7; it has 7, counted from 0' &&
		refused on igb vf set eth0 3-1 trust=on --dry-run | says 'no numbers of VFs' &&
		refused on igb vf set eth0 3,3 trust=on --dry-run | says 'named twice' &&
		refused on igb vf set eth9 3 trust=on --dry-run | says "'eth9' is neither" &&
		usage on igb vf set eth0 3 colour=1 --dry-run | says 'keys are: mac, vlan' &&
		usage on igb vf set eth0 3 --dry-run | says 'set what' &&
		usage on igb vf set eth0 3 trust=on trust=off --dry-run | says 'given twice' &&
		usage on igb vf set eth0 3 trust=on --quick --dry-run | says "no such option '--quick'" &&
		usage on igb vf sett | says 'no such subcommand'
}
it "what cannot be is refused with its range" bad_settings

recorded() {
	refused on igb vf set eth0 3 trust=on | says 'is a recorded tree, which is never changed'
}
it "a recorded host is never changed" recorded

bound() {
	changes bnxt vf bind enp65s0f0np0 0-1 vfio-pci "0000:41:00.0 vf 0 override none -> vfio-pci
0000:41:00.0 vf 0 driver bnxt_en -> vfio-pci
0000:41:00.0 vf 1 override none -> vfio-pci
0000:41:00.0 vf 1 driver bnxt_en -> vfio-pci" &&
		on bnxt vf bind enp65s0f0np0 0 kernel --dry-run | says '^nothing to change$' &&
		refused on igb vf bind eth0 0 vfio-pci --dry-run | says 'group 4 is shared with' &&
		refused on noiommu vf bind eth0 0 vfio-pci --dry-run | says 'IOMMU'
}
it "a VF is given to vfio-pci where its IOMMU group allows it" bound

devices() {
	changes bnxt pci bind 41:00.0 --force "0000:41:00.0 vfs 2 -> 0
0000:41:00.0 override none -> vfio-pci
0000:41:00.0 driver bnxt_en -> vfio-pci" &&
		refused on bnxt pci bind 41:00.1 --dry-run | says 'would cut you off from this host: 192.0.2.50' &&
		changes noiommu pci unbind 01:00.1 none --force "0000:01:00.1 driver uio_pci_generic -> none" &&
		refused on noiommu pci unbind 01:00.1 none --dry-run | says 'l3fwd' &&
		refused on noiommu pci unbind 01:00.1 --dry-run | says 'name it' &&
		usage on bnxt pci bind | says 'something is missing'
}
it "a device is not taken from who comes in by it" devices

allocated() {
	would bnxt vf alloc enp65s0f0np0 --owner vm7 --vlan 300 --driver vfio-pci '.function == "0000:41:02.0" and
			(.changes[0] | .attribute == "owner" and .to == "vm7") and
			([.changes[].attribute] == ["owner", "override", "driver", "mac", "vlan"]) and
			(.changes[3].to | test("^.[26ae]:"))' &&
		would ixgbe vf alloc eno1 --owner vm7 --numa 0 --mac 52:54:00:00:00:07 '.changes[-1].to == "52:54:00:00:00:07"' &&
		refused on ixgbe vf alloc eno1 --owner vm7 --numa 1 --dry-run | says 'no VF is free: of 6' 'another NUMA node' &&
		refused on ixgbe vf alloc eno1 --owner 'vm 7' --dry-run | says "'vm 7' is no name of an owner" &&
		refused on ixgbe vf alloc eno1 --owner none --dry-run | says 'nobody' &&
		usage on ixgbe vf alloc eno1 --dry-run | says 'whose will it be' &&
		refused on ixgbe vf release eno1 0 --dry-run | says 'has no owner' &&
		refused on ixgbe vf release --owner vm7 --dry-run | says 'vm7 has no VF'
}
it "a free VF is picked near the CPUs, with a MAC and an owner" allocated

helped() {
	local sub
	for sub in list create delete set bind alloc release prove; do
		weir vf $sub --help | says "^usage: weir vf $sub" || return 1
	done
	weir pci bind --help | says '^usage: weir pci bind' && weir vf --help | says '^  alloc '
}
it "each subcommand has its help" helped

# Each value is in the end what it was in the beginning, and drivers are the first to come and the last to go.
round='[.changes[] | {key: "\(.function) \(.vf) \(.attribute)", from, to}] | group_by(.key) |
	length >= 5 and all(.[0].from == .[-1].to and ([.[1:][].from] == [.[:-1][].to]))'
proving() {
	local host
	for host in igb:03:00.0 ixgbe:04:00.0 ice:17:00.0 bnxt:41:00.0; do
		would ${host%%:*} vf prove ${host#*:} "$round" || return 1
	done
	would ixgbe vf prove 04:00.0 '[.changes[] | select(.attribute == "driver") | "\(.vf) \(.to)"] ==
		["3 ixgbevf", "4 ixgbevf", "4 none", "3 vfio-pci"] and (.changes[-1] | .attribute == "driver")'
}
it "what proving a card changes leads back to where it began" proving
unproved() {
	not on i40e vf prove 5e:00.0 --dry-run 2>&1 | says 'of the 4 VFs of 0000:5e:00.0 1 is free.*nobody owns or uses'
	not on mlx5 vf prove 01:00.0 --dry-run 2>&1 | says 'switchdev mode.*nothing to prove'
	not on igb vf prove 03:00.0 2>&1 | says 'recorded tree, by which no frames can be sent'
	not on igb vf prove 03:10.0 --dry-run 2>&1 | says 'has no SR-IOV'
}
it "a card is not proved where nothing can be, and it says why" unproved
