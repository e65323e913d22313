#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What others change on weir's interfaces: put right or followed, and shown as it is.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a b c elsewhere
in_ns c ip tuntap add eth0 mode tap
ip -n c link set eth0 up
taps '{blue: {vlan: 100}}' a b c

# shellcheck disable=SC2016 # the words with $ are jq's
is() { # PORT FILTER: of what `weir show ports` has of it
	show ports --arg p "$1" "any(.[]; .name == \$p and ($2))"
}
mtu_is() { # NS MTU
	[[ $(ip -n "$1" -j link show dev eth0 | jq '.[0].mtu') = "$2" ]]
}
logged() { # TIMES PATTERN
	[[ $(grep -c "$2" "$T/weir.log") = "$1" ]] || { cat "$T/weir.log"; return 1; }
}

mtu() {
	ip -n a link set eth0 mtu 9000
	until_ok 1 mtu_is a 1500
	is a '.mtu == 1500 and .state == "up"'
	logged 1 'port a: somebody set the MTU of eth0 to 9000; it is 1500 again, as mtu: says'
	weir port set a mtu=1400
	mtu_is a 1400
	is a '.mtu == 1400'
	weir port set a mtu=1500
	mtu_is a 1500
	logged 1 'somebody set the MTU'
	ping_ok a 10.0.0.2
}
it "an MTU that somebody else set is set back at once, and said once; weir's own changes stay" mtu

quarrel() {
	local end rounds=0 before after
	before=$(grep -c 'somebody set the MTU of eth0 to 8000' "$T/weir.log") || true
	end=$(($(date +%s) + 4))
	while [[ $(date +%s) -lt $end ]]; do
		ip -n b link set eth0 mtu 8000
		rounds=$((rounds + 1))
	done
	after=$(grep -c 'somebody set the MTU of eth0 to 8000' "$T/weir.log")
	echo "$rounds times set, $((after - before)) times set back"
	# After 1, 2, 4 ... seconds: three times in so many.
	[[ $rounds -gt 20 && $((after - before)) -ge 1 && $((after - before)) -le 4 ]]
	is b '.mtu == 1500'
	until_ok 16 mtu_is b 1500
}
it "a manager that sets it again and again is met less and less often" quarrel

link_down() {
	weir port set c link=down
	is c '.state == "down" and .active_pairs == 0 and (.reason | contains("in the configuration"))'
	ip -n c link set eth0 up
	until_ok 2 not eval 'ip -n c link show up | has eth0'
	is c '.state == "down" and .active_pairs == 0'
	logged 1 'port c: somebody set eth0 up; it is down again, as link: says'
	weir port set c link=up
	until_ok 2 ping_ok c 10.0.0.2 -c 1
}
it "an interface set up against link: down carries nothing and is set down again" link_down

up_and_down() {
	ip -n a link set eth0 down
	# shellcheck disable=SC2016 # weir's own backquotes
	until_ok 1 is a '.state == "down" and .active_pairs == 0 and .reason == "interface eth0 is down; `ip link set eth0 up`"'
	ip -n a link set eth0 up
	until_ok 1 is a '.state == "up" and .active_pairs == 1'
}
it "up and down are followed where the configuration leaves them" up_and_down

carrier() {
	local before
	ip -n c link set eth0 carrier off
	until_ok 3 is c '.state == "down" and .active_pairs == 0 and (.reason | contains("no carrier"))'
	before=$(drops c port-down)
	in_ns a ping -q -b -c 1 -W 0.1 10.0.0.255 || true
	in_ns a ping -q -c 1 -W 0.1 10.0.0.77 || true
	until_ok 2 more drops "$before" c port-down
	ip -n c link set eth0 carrier on
	until_ok 3 is c '.state == "up" and .active_pairs == 1'
	until_ok 3 ping_ok c 10.0.0.2 -c 1
}
it "the carrier is followed, and without it frames are dropped as port-down" carrier

address_changed() {
	ip -n a link set eth0 address 02:00:00:00:0a:0a
	ping_ok a 10.0.0.2
	show macs 'any(.[]; .mac == "02:00:00:00:0a:0a" and .port == "a")'
	is a '.mtu == 1500 and .state == "up"'
}
it "another address is learned like any" address_changed

renamed() {
	ip -n a link set eth0 down
	ip -n a link set eth0 name other
	ip -n a link set other up
	until_ok 2 is a '.state == "up" and .interface == "other" and .path == "eth0"'
	logged 1 'port a: its interface eth0 is called other now'
	until_ok 2 ping_ok a 10.0.0.2 -c 1
	# One that takes its name is nobody's of weir's.
	in_ns a ip tuntap add eth0 mode tap
	ip -n a link set eth0 mtu 3000
	ip -n a link set other mtu 4000
	# shellcheck disable=SC2016 # for eval
	until_ok 8 eval '[[ $(ip -n a -j link show dev other | jq ".[0].mtu") = 1500 ]]'
	mtu_is a 3000
	ip -n a link del eth0
	ip -n a link set other down
	ip -n a link set other name eth0
	ip -n a link set eth0 up
	until_ok 2 is a '.interface == "eth0" and .state == "up"'
}
it "another name is followed, said once and shown" renamed

# Whoever administers the namespace may do it in a loop: 5 lines of a kind in ten seconds, and one with a count.
lines() { # PATTERN
	grep -c "$1" "$T/weir.log" || true
}
loop() {
	local before i
	before=$(lines 'port b: .*is called')
	ip -n b link set eth0 down
	for ((i = 0; i < 30; i++)); do
		ip -n b link set eth0 name other
		ip -n b link set other name eth0
	done
	ip -n b link set eth0 up
	until_ok 2 is b '.interface == "eth0" and .state == "up"'
	[[ $(($(lines 'port b: .*is called') - before)) -le 16 ]]
	before=$(lines 'port b: \(lost\|open again\)')
	for ((i = 0; i < 30; i++)); do
		until_ok 5 ip -n b link show dev eth0
		ip -n b link del eth0
	done
	until_ok 5 ip -n b link show dev eth0
	address b eth0 10.0.0.2/24
	until_ok 5 is b '.state == "up"'
	[[ $(($(lines 'port b: \(lost\|open again\)') - before)) -le 16 ]]
}
it "an interface that is renamed or removed in a loop does not fill the log" loop

moved() {
	ip -n a link set eth0 netns elsewhere
	# Another of its name stays behind: it is not the port's.
	in_ns a ip tuntap add eth0 mode tap
	ip -n a link set eth0 mtu 3000
	until_ok 2 is a '.state == "down" and (.peer | endswith("moved elsewhere"))'
	address elsewhere eth0 10.0.0.1/24
	until_ok 2 is a '.state == "up"'
	until_ok 2 ping_ok elsewhere 10.0.0.2 -c 1
	ip -n elsewhere link set eth0 mtu 9000
	until_ok 16 mtu_is elsewhere 1500
	mtu_is a 3000
	logged 1 'port a: its interface eth0 was moved to another network namespace'
	ip -n a link del eth0
	ip -n elsewhere link set eth0 netns a
	until_ok 2 is a '.peer == "netns a"'
}
it "an interface that is moved to another namespace is followed there and back" moved

nothing_left() {
	weir apply "$T/weir.yaml" -j | jq -e 'length == 0'
	ip -n c link del eth0
	until_ok 2 is c '.state == "down" and .interface == null'
}
it "weir apply finds nothing to change, and a deletion is seen" nothing_left
