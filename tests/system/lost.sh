#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A port whose interface or namespace is taken away comes back by itself; the others lose nothing.
# timeout: 90
# cpus: 2
. "$(dirname "$0")/lib.sh"

endpoint a b c d
in_ns d ip tuntap add eth0 mode tap
taps '{blue: {vlan: 100}}' a b c d
ip -n a link set eth0 txqueuelen 8000

# shellcheck disable=SC2016 # the words with $ are jq's
is() { # PORT STATE [REASON]: as `weir show ports` has it
	show ports --arg p "$1" --arg s "$2" --arg r "${3-}" \
		'any(.[]; .name == $p and .state == $s and ((.reason // "") | contains($r)))'
}

comes_back() { # SECONDS NS ADDRESS/LEN: the interface is made again, and carries
	until_ok "$1" ip -n "$2" link show eth0
	address "$2" eth0 "$3"
	until_ok 2 ping_ok "$2" 10.0.0.2 -c 1
}

made_again() {
	local load sender late
	ping_ok a 10.0.0.2
	ping_ok c 10.0.0.2
	late=$(late b)
	iperf b a 10.0.0.2 -u -b 20M -l 1000 -w 1M -t 4 >"$T/load.json" &
	load=$!
	in_ns c timeout 4 ping -q -f 10.0.0.2 >/dev/null 2>&1 &
	sender=$!
	sleep 1
	ip -n c link del eth0
	comes_back 3 c 10.0.0.3/24
	in_ns c ping -q -c 200 -i 0.002 10.0.0.2 >"$T/flood"
	cat "$T/flood"
	grep -q ' 0% packet loss' "$T/flood"
	is c up
	wait $sender || true
	wait $load || { cat "$T/load.json"; return 1; }
	late=$(($(late b) - late))
	echo "$(jq -c '.end.sum | {packets, lost_packets}' "$T/load.json"), $late too late for the socket"
	jq -e ".end.sum | .packets > 8000 and .lost_packets <= $late" "$T/load.json"
}
it "a TAP weir made, deleted under load, is made again and carries; the others lose nothing" made_again

waited_for() {
	ping_ok d 10.0.0.2
	ip -n d link del eth0
	until_ok 2 is d down "there is no interface 'eth0'; make it with"
	sleep 2
	not ip -n d link show eth0
	in_ns d ip tuntap add eth0 mode tap
	until_ok 6 is d up
	comes_back 1 d 10.0.0.4/24
}
it "a TAP that was there before weir is not made but taken again when it is back" waited_for

namespace() {
	ip netns del c
	until_ok 3 is c down "no network namespace 'c'"
	# Nothing is held of what is gone, and the rest of the switch can be worked on.
	weir port add x tap=eth1 netns=a network=blue
	weir port set c mtu=1400
	weir port del x
	refused weir port set c netns=nowhere | says "no network namespace 'nowhere'"
	ping_ok a 10.0.0.2
	endpoint c
	comes_back 6 c 10.0.0.3/24
	is c up
	show ports 'any(.[]; .name == "c" and .mtu == 1400)'
}
it "a port whose namespace is gone waits for the next of that name; applies go on meanwhile" namespace

removed() {
	ip netns del c
	until_ok 3 is c down "no network namespace 'c'"
	weir port del c
	endpoint c
	sleep 2
	not ip -n c link show eth0
}
it "a lost port that is removed is not tried any more" removed

log() {
	cat "$T/weir.log"
	[[ $(grep -c 'port d: lost: interface eth0 was removed' "$T/weir.log") = 1 ]]
	[[ $(grep -c 'port d: open again' "$T/weir.log") = 1 ]]
	[[ $(grep -c 'port c: lost: network namespace c is gone' "$T/weir.log") = 2 ]]
}
it "the log says once that a port is lost, and once that it is open again" log
