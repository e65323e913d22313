#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Completion in bash: commands, keys, and names asked of the running switch.
# timeout: 30
. "$(dirname "$0")/lib.sh"

config <<YAML
networks: {blue: {vlan: 100}, green: {vlan: 200}}
ports:
  vm1: {vhost-user: $T/vm1.sock, network: blue}
  vm2: {vhost-user: $T/vm2.sock, network: green}
YAML
switch_start || exit 1

# shellcheck source=../../completion/weir.bash
. "$TESTS/../completion/weir.bash"

# after LINE WORD...: what is offered there is exactly these.
after() {
	local line=$1
	shift
	mkdir -p "$T/bin"
	ln -sf "$(realpath "$WEIR")" "$T/bin/weir"
	PATH=$T/bin:$PATH
	compopt() { :; } # works only while bash itself completes
	# shellcheck disable=SC2034 # _weir reads them
	COMP_LINE=$line COMP_POINT=${#line}
	_weir
	diff <(printf '%s\n' "$@") <(printf '%s\n' "${COMPREPLY[@]}")
}

it "commands are offered" after "weir c" capture
it "what show can show is offered" after "weir show " ports networks macs workers drops config
it "ports are offered by name" after "weir port del " vm1 vm2
it "and of the switch that --api names" after "weir --api $T/api.sock capture vm" vm1 vm2
it "without a switch nothing is" after "weir --api $T/nothing port del " ""
it "keys of a port are offered" after "weir port set vm1 m" mtu= mac= mac-limit= mode= memory=
it "networks are offered as values" after "weir port set vm1 network=g" green
it "and in lists" after "weir port set vm1 trunk=blue,g" blue,green
it "words of a key are offered" after "weir port set vm1 link=" up down
it "options are offered" after "weir capture vm1 --" --snaplen
it "instruments are offered" after "weir bench str" stream
it "and their options" after "weir bench stream ns:a ns:b --re" --reverse --repeat --repeat-max
it "consumers are offered" after "weir export lib" libvirt libvirt-network
it "and what they take" after "weir export neutron eth4 --" --physnet --vlans --file --whole --state --sysfs
it "what may be checked is offered" after "weir host che" check
it "rules are offered" after "weir host check --only mac-m" mac-multicast
it "and in lists" after "weir host check --only iommu,mac-m" iommu,mac-multicast
it "options of a check are offered" after "weir pci check eth0 --" --memory --sysfs
it "a folder is offered for a result" after "weir bench stream -o $T/bi" "$T/bin"
it "what vf can do is offered" after "weir vf re" release
it "and the settings of a VF" after "weir vf set eth0 3 tr" trust=
it "and the options of a change" after "weir vf create eth0 3 --d" --dry-run
it "and devices of pci bind" after "weir pci bind l" lo
it "what host can do is offered" after "weir host " plan apply verify undo watch check
it "and a file for it" after "weir host plan $T/bi" "$T/bin"
it "and options" after "weir host watch a.yaml --e" --every
it "what nic can do is offered" after "weir nic " list show
it "and its options" after "weir nic list --v" --vfs
it "and interfaces" after "weir nic show l" lo
