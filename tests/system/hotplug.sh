#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Ports come and go and change under load; the others lose nothing.
# timeout: 90
# cpus: 2
. "$(dirname "$0")/lib.sh"

endpoint a b c
taps '{blue: {vlan: 100}, green: {vlan: 200}}' a b c

# A busy machine may keep the worker from its CPU for longer than the kernel's 1000 frames last.
ip -n a link set eth0 txqueuelen 8000

# Drops booked to the two ports that are watched, and those of a's interface, which weir reads.
watched_drops() {
	weir show drops -j | jq '[.[] | select(.port == "a" or .port == "b").frames] | add // 0'
	ip -n a -s -j link show dev eth0 | jq '.[0].stats64.tx.dropped'
}

# loaded COMMAND: runs it over and over while UDP with sequence numbers goes from a to b.
loaded() {
	local before late load rounds=0
	ping_ok a 10.0.0.2
	before=$(watched_drops) late=$(late b)
	iperf b a 10.0.0.2 -u -b 20M -l 1000 -w 1M -t 4 >"$T/load.json" &
	load=$!
	until_ok 3 more_frames
	while kill -0 $load 2>/dev/null; do
		"$@" || { echo "round $rounds failed"; return 1; }
		rounds=$((rounds + 1))
	done
	wait $load || { cat "$T/load.json"; return 1; }
	late=$(($(late b) - late))
	echo "$rounds rounds; $(jq -c '.end.sum | {packets, lost_packets}' "$T/load.json"), $late too late for the socket"
	[[ $rounds -ge 2 ]] # some take a second each
	weir show drops -j | jq -c '.[] | select(.frames > 0)'
	[[ $(watched_drops) = "$before" ]]
	jq -e ".end.sum.lost_packets <= $late" "$T/load.json"
}

# under_load COMMAND: the same, again when the sender was left without a CPU and made no load; frames
# lost are lost in whichever of them.
under_load() {
	local try
	for try in 1 2 3; do
		loaded "$@"
		if jq -e '.end.sum.packets > 8000' "$T/load.json"; then
			return
		fi
		echo "try $try: not the load that was asked for"
	done
	return 1
}
more_frames() {
	show ports 'any(.[]; .name == "b" and .tx.frames > 1000)'
}

add_remove() {
	weir port add x tap=eth1 netns=c network=blue
	in_ns c ping -q -c 1 -W 1 10.0.0.1
	weir port del x
}
it "adding and removing a TAP port loses no frame of another" under_load add_remove

vhost() {
	weir port add y vhost-user="$T/y.sock" network=blue
	show ports 'any(.[]; .name == "y" and .state == "waiting")'
	weir port del y
	not test -e "$T/y.sock"
}
it "adding and removing a vhost-user port loses no frame of another" under_load vhost

change() {
	weir port set c network=green
	ping_none c 10.0.0.1
	weir port set c network=blue
	until_ok 2 in_ns c ping -q -c 1 -W 1 10.0.0.1
	weir port set c mtu=1400
	weir port set c mtu=1500
}
it "changing a port's network and MTU loses no frame of another" under_load change

networks() {
	weir network add red vlan=300
	show networks 'any(.[]; .name == "red" and .vlan == 300)'
	weir network del red
}
it "adding and removing a network loses no frame of a port" under_load networks

# Another CPU when the test has two, and the way each worker waits.
mapfile -t cpus < <(tr , '\n' <<<"$WEIR_CPUS")
moved() { # CPUS IDLE
	sed "s/^workers:.*/workers: [$1]\nidle: $2/" "$T/weir.yaml" >"$T/moved.yaml"
	weir apply "$T/moved.yaml"
	show config "(.idle // \"adaptive\") == \"$2\""
	show workers "map(.cpu) == [$1]"
}
workers() {
	moved "${cpus[-1]}" interrupt
	moved "${cpus[0]}" busy
	moved "$WEIR_CPUS" adaptive
}
it "other workers and another idle mode lose no frame of a port" under_load workers

with_traffic() {
	in_ns c timeout 2 ping -q -f 10.0.0.2 >"$T/flood" 2>&1 &
	sleep 0.1
	ip -n c link set eth0 down
	ip -n c link set eth0 up
	wait $! || true
}
it "an interface that goes down while it sends loses no frame of another" under_load with_traffic

in_use() {
	refused weir network del blue | says "^network 'blue' is in use; move or remove its ports first: a, b, c\$"
	refused weir port add a tap=eth5 netns=a network=blue | says "'?a'?"
	ping_ok a 10.0.0.2
}
it "a network that is in use and a name that is taken are refused" in_use
