#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Who may talk to whom: networks, trunks, isolation, addresses that are pinned and that move.
# timeout: 90
. "$(dirname "$0")/lib.sh"

endpoint b1 b2 g1 g2 trunk bare red i1 i2 pin thief
config <<YAML
networks:
  blue:  {vlan: 100}
  green: {vlan: 200}
  red:   {vlan: 300}
  hotel: {vlan: 400}
  bank:  {vlan: 500}
ports:
  b1:    {tap: eth0, netns: b1, network: blue}
  b2:    {tap: eth0, netns: b2, network: blue}
  g1:    {tap: eth0, netns: g1, network: green}
  g2:    {tap: eth0, netns: g2, network: green}
  red:   {tap: eth0, netns: red, network: red}
  trunk: {tap: eth0, netns: trunk, trunk: [blue, green, red], native: red}
  bare:  {tap: eth0, netns: bare, trunk: [blue]}
  i1:    {tap: eth0, netns: i1, network: hotel, isolated: true}
  i2:    {tap: eth0, netns: i2, network: hotel, isolated: true}
  desk:  {tap: desk0, netns: red, network: hotel}
  pin:   {tap: eth0, netns: pin, network: bank, mac: "02:00:00:00:00:77"}
  thief: {tap: eth0, netns: thief, network: bank}
YAML
switch_start || exit 1
address b1 eth0 10.0.0.1/24
address b2 eth0 10.0.0.2/24
address g1 eth0 10.0.0.11/24
address g2 eth0 10.0.0.12/24
address red eth0 10.3.0.1/24
address trunk eth0 10.3.0.9/24
address i1 eth0 10.4.0.1/24
address i2 eth0 10.4.0.2/24
address red desk0 10.4.0.3/24
ip -n pin link set eth0 address 02:00:00:00:00:77
address pin eth0 10.5.0.1/24
address thief eth0 10.5.0.2/24
vlan trunk eth0 100 10.100.0.9/24
vlan trunk eth0 200 10.200.0.9/24
ip -n b1 addr add 10.100.0.1/24 dev eth0
ip -n g1 addr add 10.200.0.1/24 dev eth0
ip -n bare link set eth0 up

# frame NS DEVICE HEX [TIMES]: sends one raw frame (spaces in HEX are for the reader).
frame() {
	in_ns "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for _ in range(int(sys.argv[3])):
	s.send(bytes.fromhex(sys.argv[2]).ljust(60, b"\0"))' "$2" "$3" "${4:-1}"
}

both_inside() {
	ping_ok b1 10.0.0.2
	ping_ok g1 10.0.0.12
}
it "ports of one network reach each other" both_inside

none_across() {
	ping_none b1 10.0.0.11
	ping_none g2 10.0.0.1
}
it "ports of different networks do not" none_across

flood_inside() {
	local ns
	for ns in b1 b2 g1 red trunk; do
		listen $ns eth0 "$T/flood.$ns" 88b5
	done
	frame b1 eth0 "ffffffffffff 020000000001 88b5" 20
	frame b1 eth0 "0200000000ee 020000000001 88b5" 20
	until_ok 3 more heard 39 "$T/flood.b2"
	until_ok 3 more heard 39 "$T/flood.trunk"
	[[ $(heard "$T/flood.b2") = 40 && $(heard "$T/flood.trunk") = 40 ]]
	[[ $(heard "$T/flood.b1") = 0 && $(heard "$T/flood.g1") = 0 && $(heard "$T/flood.red") = 0 ]]
}
it "broadcast and unknown unicast are flooded inside their network only" flood_inside

trunk() {
	ping_ok trunk 10.100.0.1
	ping_ok trunk 10.200.0.1
	ping_ok b1 10.100.0.9
	ping_ok g1 10.200.0.9
}
it "a trunk reaches two networks through VLAN subinterfaces" trunk
it "what is untagged on a trunk belongs to its native network" ping_ok trunk 10.3.0.1

tagged_right() {
	listen trunk eth0 "$T/tagged" 0800
	ping_ok b1 10.100.0.9
	until_ok 2 more heard 2 "$T/tagged"
	cat "$T/tagged"
	[[ $(grep -c 'vlan 100' "$T/tagged") = "$(heard "$T/tagged")" ]]
}
it "frames leave a trunk with the tag of their network" tagged_right

not_member() {
	local before
	before=$(drops trunk vlan-not-member)
	frame trunk eth0 "ffffffffffff 020000000009 8100 03e7 88b5"
	until_ok 2 more drops "$before" trunk vlan-not-member
}
it "a tag the trunk has no network for is dropped as vlan-not-member" not_member

untagged() {
	frame bare eth0 "ffffffffffff 020000000008 88b5"
	until_ok 2 more drops 0 bare untagged
}
it "an untagged frame on a trunk without native network is dropped as untagged" untagged

service_tags() {
	frame b1 eth0 "ffffffffffff 020000000001 88a8 0064 88b5"
	frame b1 eth0 "ffffffffffff 020000000001 9100 00c8 88b5"
	frame b1 eth0 "ffffffffffff 020000000001 8100 0000 88a8 0064 88b5"
}
heard_of() { # NS TIMES PATTERN
	[[ $(grep -c "$3" "$T/service.$1") = "$2" ]]
}

refused_tags() {
	local before
	before=$(drops b1 service-tag)
	listen b2 eth0 "$T/service.b2" 88b5 88a8 9100
	listen trunk eth0 "$T/service.trunk" 88b5 88a8 9100
	service_tags
	until_ok 2 more drops $((before + 2)) b1 service-tag
	[[ $(heard "$T/service.b2") = 0 && $(heard "$T/service.trunk") = 0 ]]
	weir trace b1 "ffffffffffff 020000000001 88a8 0064 88b5" |
		says "service-tag" "service tag \(88a8\): port b1 does not say qinq: true"
}
it "a frame with a service tag is dropped as service-tag, not taken for one of its network's" refused_tags

carried_tags() {
	weir port set b1 qinq=true
	show ports 'any(.[]; .name == "b1" and .qinq) and any(.[]; .name == "b2" and (.qinq | not))'
	listen b2 eth0 "$T/service.b2" 88b5 88a8 9100
	listen trunk eth0 "$T/service.trunk" 88b5 88a8 9100
	listen g1 eth0 "$T/service.g1" 88b5 88a8 9100
	service_tags
	until_ok 2 heard_of b2 2 " vlan 88a8:100 type 88b5 "
	until_ok 2 heard_of b2 1 "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff type 9100 "
	until_ok 2 heard_of trunk 2 " vlan 100 type 88a8 "
	until_ok 2 heard_of trunk 1 " vlan 100 type 9100 "
	[[ $(heard "$T/service.b2") = 3 && $(heard "$T/service.trunk") = 3 && $(heard "$T/service.g1") = 0 ]]
	weir trace b1 "ffffffffffff 020000000001 88a8 0064 88b5" |
		says "service tag \(88a8\): port b1 carries it as payload" "untagged frame: network blue"
	weir port set b1 qinq=
}
it "with qinq it is payload: the same on an access port, and behind a trunk's tag" carried_tags

isolated() {
	ping_ok i1 10.4.0.3
	ping_ok i2 10.4.0.3
	ping_none i1 10.4.0.2
	ip -n i1 neigh replace 10.4.0.2 dev eth0 lladdr "$(mac_of i2 eth0)"
	ping_none i1 10.4.0.2
	[[ $(drops i1 isolated) -gt 0 ]]
}
it "isolated ports reach the others and not each other" isolated

pinned() {
	ping_ok pin 10.5.0.2
	frame pin eth0 "ffffffffffff 0200000000aa 88b5"
	until_ok 2 more drops 0 pin mac-pinned
	show macs 'any(.[]; .mac == "02:00:00:00:00:77" and .port == "pin" and .static)'
	show macs 'any(.[]; .mac == "02:00:00:00:00:aa") | not'
}
it "a pinned port sends from its own MAC only, others are dropped as mac-pinned" pinned

stolen() {
	frame thief eth0 "ffffffffffff 020000000077 88b5"
	until_ok 2 more drops 0 thief mac-stolen
	ping_ok thief 10.5.0.1
}
it "a neighbour cannot take a pinned MAC over: mac-stolen" stolen

never_forwarded() {
	listen b2 eth0 "$T/never" 88cc 88b5
	frame b1 eth0 "0180c200000e 020000000001 88cc"
	frame b1 eth0 "ffffffffffff 010000000001 88b5"
	frame b1 eth0 "ffffffffffff 000000000000 88b5"
	until_ok 2 more drops 0 b1 link-local
	until_ok 2 more drops 1 b1 source-bad
	[[ $(heard "$T/never") = 0 ]]
}
it "link-local groups and bad sources go nowhere, and are counted" never_forwarded

moves() {
	local mac
	mac=$(mac_of b2 eth0)
	ping_ok b1 10.0.0.2
	show macs "any(.[]; .mac == \"$mac\" and .port == \"b2\")"
	ip -n b2 link set eth0 down
	# The station comes up elsewhere: behind the other trunk, with the same MAC and address.
	ip -n bare link set eth0 down
	ip -n bare link set eth0 address "$mac"
	ip -n bare link set eth0 up
	vlan bare eth0 100 10.0.0.2/24
	ping_ok bare 10.0.0.1
	ping_ok b1 10.0.0.2
	show macs "any(.[]; .mac == \"$mac\" and .port == \"bare\")"
	show macs "any(.[]; .mac == \"$mac\" and .port == \"b2\") | not"
}
it "a station that moves to another port is found there at once" moves

tagged_tcp() {
	iperf b1 trunk 10.100.0.1 -t 1 "$@" >"$T/tcp.json"
	jq -e '.end.sum_received.bits_per_second > 1e7' "$T/tcp.json"
}
it "TCP flows from a trunk into an access port" tagged_tcp
it "TCP flows from an access port into a trunk" tagged_tcp -R
