#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir nic: network functions and who uses them, on recorded hosts.
# timeout: 40
. "$(dirname "$0")/lib.sh"

"$TESTS/host/tree" --all "$T/hosts" || exit 1

# nic HOST ARGS...: weir nic on a recorded host.
nic() {
	local host=$1
	shift
	weir nic "$@" --sysfs "$T/hosts/$host"
}

# prints HOST ARGS... FILTER: jq -e on what it prints with -j.
prints() {
	local filter=${*: -1} host=$1
	set -- "${@:2:$#-2}"
	nic "$host" "$@" -j >"$T/nic.json" && jq -e "$filter" "$T/nic.json" >/dev/null && return
	jq -c . "$T/nic.json"
	return 1
}

keys='["address","carrier","class","device","driver","driver_override","eswitch","firmware","group_others",
"interface","iommu_group","kind","mac","mtu","name","numa","offloads","pf","queues","representor","representors",
"speed","subdevice","subvendor","up","use","vendor","vf","vfs"]'

every_function_has_the_same_keys() {
	local host
	for host in "$T"/hosts/*; do
		prints "${host##*/}" list --vfs "length > 0 and all(keys == $keys)
			and all(.use | keys == [\"kind\",\"lifeline\",\"name\",\"pid\",\"text\"])"
	done
}
it "every function of every host has the same keys" every_function_has_the_same_keys

a_port_tells_its_vfs() {
	prints ixgbe list 'length == 2 and .[0].vfs == {"count":6, "total":63, "device":"10ed", "autoprobe":true, "free":3}' &&
		prints ixgbe list --vfs 'length == 8 and .[4] == (.[4] + {"pf":"0000:04:00.0", "vf":3, "kind":"vf", "vfs":null})' &&
		prints i40e list '.[1].vfs.autoprobe == false'
}
it "a port tells its virtual functions, and lists them when asked" a_port_tells_its_vfs

an_interface_is_described() {
	prints ixgbe list '.[0] | .interface == "eno1" and .mac == "90:e2:ba:40:10:00" and .speed == 10000 and .up
		and .carrier and .mtu == 1500 and .queues == {"rx":16, "tx":16} and .numa == 0 and .iommu_group == 24
		and .group_others == [] and .offloads == null' &&
		prints ixgbe list '.[1] | .up and (.carrier | not) and .speed == null' &&
		prints igb list '.[1].group_others | length == 10' &&
		prints noiommu list 'all(.iommu_group == null)'
}
it "link, queues, NUMA node and IOMMU group are told" an_interface_is_described

switchdev_is_described() {
	prints mlx5 list '.[0] | .eswitch == "switchdev" and .firmware == "14.32.1010"
		and .representors == ["enp1s0f0npf0vf0", "enp1s0f0npf0vf1"]' &&
		prints mlx5 list --vfs '.[2] | .representor == "enp1s0f0npf0vf1" and .eswitch == null' &&
		prints ice list '.[0].eswitch == "legacy"'
}
it "eswitch mode and representors are told" switchdev_is_described

users_are_named() {
	prints ixgbe list --vfs '[.[].use | [.kind, .name, .pid]] == [["netdev",null,null], ["vm","web1",2100],
		["vm","lab",2200], ["dpdk","dpdk-testpmd",2300], ["free",null,null], ["free",null,null],
		["free",null,null], ["netdev",null,null]]' &&
		prints ixgbe list '.[0].use | .lifeline and .text == "192.0.2.10/24, default route"' &&
		prints mlx5 list --vfs '.[1].use.kind == "namespace"'
}
it "each function's user is named" users_are_named

the_table_has_a_heading_for_each_card() {
	nic ixgbe list | tee "$T/table" | says '^  ADDRESS +INTERFACE +DRIVER +LINK +GROUP +VFS +FREE +USE$' \
		'^Intel Corporation 82599ES .*, NUMA node 0$' \
		'^  0000:04:00\.0  eno1 +ixgbe +10G +24 +6/63 +3  192\.0\.2\.10/24, default route$' \
		'^  0000:04:00\.1  eno2 +ixgbe +none +25 +0/63 +1 route, bridge br0 ' &&
		[[ $(wc -l <"$T/table") = 4 ]] &&
		nic igb list --vfs | says '^  0000:03:11\.4  igbvf6 +igbvf +down +4 shared +vf 6 +free$' &&
		nic mlx5 list --vfs | says 'REPRESENTOR' '^  0000:01:00\.2 .* enp1s0f0npf0vf0  its interface is in another'
}
it "the table has a heading for each card" the_table_has_a_heading_for_each_card

a_large_host_is_listed_whole() {
	"$TESTS/host/tree" --big 2 256 "$T/hosts/big" &&
		prints big list --vfs 'length == 514 and (map(select(.use.kind == "vm")) | length == 2)
			and all(.[] | select(.vf != null); .pf != null)' &&
		prints big list 'map(.vfs.count) == [256, 256] and map(.vfs.free) == [255, 255]'
}
it "a host with hundreds of functions is listed whole" a_large_host_is_listed_whole

lines_fit_a_terminal() {
	script -qec "stty cols 60; $WEIR nic list --vfs --sysfs $T/hosts/mlx5" /dev/null | tr -d '\r' >"$T/screen" &&
		grep -q '\.\.\.$' "$T/screen" && not grep -qE '.{61}' "$T/screen"
}
it "lines are cut to the terminal's width" lines_fit_a_terminal

a_page_tells_all_of_one() {
	local word
	for word in eno1 0000:04:00.0 04:00.0 enp4s0f0 enp4s0f0-of-the-first-card-in-the-third-slot-which-leads-to-the-storage-network-of-building-seven; do
		nic ixgbe show "$word" >"$T/page" && says '^0000:04:00\.0  eno1$' '^Intel Corporation 82599ES' \
			'^  use +192\.0\.2\.10/24, default route; without it this host cannot be reached$' \
			'^  driver +ixgbe$' '^  link +10G, MTU 1500, 90:e2:ba:40:10:00$' '^  queues +16 receive, 16 transmit$' \
			'^  NUMA node +0$' '^  IOMMU group +24, alone in it$' \
			'^  SR-IOV +6 of 63 VFs \(8086:10ed\), 3 free; new ones get a driver by themselves$' \
			'^ 0  0000:04:10\.0 .* libvirt domain web1, pid 2100$' '^ 4  0000:04:11\.0 .* free \(no driver\)$' \
			<"$T/page" || return 1
	done
	nic ixgbe show 04:11.2 | says '^  SR-IOV +virtual function 5 of 0000:04:00\.0$' &&
		nic noiommu show 01:00.1 | says '^  IOMMU +no group: the IOMMU is off or missing' &&
		nic mlx5 show enp1s0f0np0 | says '^  eswitch +switchdev$' '^  firmware +14\.32\.1010$' &&
		nic igb show eth0 | says '^  IOMMU group +4, with 0000:00:03\.0,'
}
it "a page tells all of one, by any name" a_page_tells_all_of_one

a_page_in_json_has_its_vfs() {
	prints ixgbe show eno1 '.address == "0000:04:00.0" and (.functions | length == 6 and .[0].use.name == "web1")' &&
		prints ixgbe show 'map(.address) == ["0000:04:00.0", "0000:04:00.1"]'
}
it "a page in JSON has its virtual functions" a_page_in_json_has_its_vfs

what_is_not_there_is_refused() {
	refused nic ixgbe show eth9 | says "^'eth9' is neither the address of a PCI function .* nor an interface here" &&
		refused nic ixgbe show 06:00.0 | says '^0000:06:00\.0 is no network function; `weir pci check' &&
		refused nic ixgbe show br0 | says '^br0 is not the interface of a PCI function but a bridge interface$' &&
		refused weir nic list --sysfs "$T/nothing" | says "^there is no $T/nothing/sys; --sysfs names" &&
		mkdir -p "$T/empty/sys" && refused weir nic list --sysfs "$T/empty" | says 'no PCI bus here$' &&
		echo cut >"$T/hosts/bnxt/netlink/link.nl" && refused nic bnxt list | says 'link\.nl'
}
it "what is not there is refused with one sentence" what_is_not_there_is_refused

usage() { # PATTERN ARGS...
	local status=0
	weir nic "${@:2}" 2>"$T/usage" >/dev/null || status=$?
	[[ $status = 2 ]] && says "$1" <"$T/usage"
}
usage_is_explained() {
	usage 'nic: do what\? there are: list, show' && usage "no such subcommand 'lost'" lost &&
		usage "nic list: no such option '--all'; see 'weir nic list --help'" list --all &&
		usage "nic list: no such argument 'eth0'" list eth0 &&
		usage 'nic show: one NIC at a time' show eth0 eth1 && weir nic list --help | says '^usage: weir nic list' &&
		weir nic --help | says '^  show  '
}
it "usage is explained" usage_is_explained

# Its interfaces are all in another namespace than ours.
of_this_host() {
	local slot
	weir nic list >/dev/null && weir nic show >/dev/null && weir nic list --vfs -j >"$T/here.json" &&
		jq -e 'all(.interface == null and .use.kind != "netdev")' "$T/here.json" || return 1
	for slot in $(compgen -G '/sys/bus/pci/devices/*/net'; compgen -G '/sys/bus/pci/devices/*/virtio*/net'); do
		slot=${slot#/sys/bus/pci/devices/}
		jq -e --arg slot "${slot%%/*}" '[.[] | select(.address == $slot).use.kind] | . == [] or . == ["namespace"]' \
			"$T/here.json" || return 1
	done
	ip link add virt0 type veth peer name virt1 &&
		refused weir nic show virt0 | says '^virt0 is not the interface of a PCI function but a veth interface$' &&
		ip link property add dev virt0 altname anothername &&
		refused weir nic show anothername | says '^virt0 is not the interface'
}
if [[ -d /sys/bus/pci/devices ]]; then
	it "of the host it runs on, the interfaces are found to be in another namespace" of_this_host
else
	skip "of the host it runs on, the interfaces are found to be in another namespace" "there is no PCI bus here"
fi
