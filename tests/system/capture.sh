#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir capture writes what tshark reads; weir trace says what would happen.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a b
config <<YAML
networks: {blue: {vlan: 100}, green: {vlan: 200}}
ports:
  a: {tap: eth0, netns: a, network: blue}
  b: {tap: eth0, netns: b, network: blue}
  t: {tap: eth1, netns: b, trunk: [blue, green]}
YAML
switch_start || exit 1
address a eth0 10.0.0.1/24
address b eth0 10.0.0.2/24

captured() { # PORT FILE: captures while a pings b, ends with SIGINT
	"$WEIR" capture "$1" -w "$2" 2>"$T/capture.err" &
	until_ok 3 test -s "$2"
	sleep 0.3
	in_ns a ping -q -c 10 -i 0.02 -s 1200 10.0.0.2
	sleep 0.3
	kill -INT $!
	wait $! || { echo "status $?"; cat "$T/capture.err"; return 1; }
}

both_ways() {
	rm -f "$T/a.pcapng"
	captured a "$T/a.pcapng" || return 1
	tshark -nr "$T/a.pcapng" -Y icmp -T fields -e icmp.type -e ip.len -e frame.packet_flags_direction \
		>"$T/icmp" 2>/dev/null
	cat "$T/icmp"
	[[ $(grep -c '^8.1228' "$T/icmp") = 10 && $(grep -c '^0.1228' "$T/icmp") = 10 ]]
}
it "a capture holds both directions of a port, whole frames, as tshark reads it" both_ways

directions() {
	# From weir's side: what the port sent came in (1), what it got went out (2).
	[[ $(grep -cE '^8.1228.(0x0*)?1$' "$T/icmp") = 10 ]]
	[[ $(grep -cE '^0.1228.(0x0*)?2$' "$T/icmp") = 10 ]]
}
it "and says which went in and which out" directions

tagged() {
	"$WEIR" capture t -w "$T/t.pcapng" 2>/dev/null &
	until_ok 3 test -s "$T/t.pcapng"
	sleep 0.3
	ip -n a neigh flush dev eth0
	in_ns a ping -q -c 1 10.0.0.2
	in_ns a ping -q -c 2 -i 0.1 -w 1 10.0.0.77 || true
	sleep 0.3
	kill -INT $!
	wait $!
	tshark -nr "$T/t.pcapng" -Y 'vlan.id == 100 and arp' 2>/dev/null | tee "$T/arp"
	[[ -s $T/arp ]]
}
it "on a trunk it holds the tags" tagged

piped() {
	"$WEIR" capture a 2>/dev/null | timeout 10 tshark -lnr - -c 4 -Y icmp >"$T/piped" 2>/dev/null &
	local reader=$! pinging
	in_ns a ping -q -i 0.02 10.0.0.2 >"$T/ping" & # for tshark takes its time to start
	pinging=$!
	wait $reader || true
	sleep 0.2 # the next frame tells weir that its reader is gone
	kill $pinging
	grep -q 'Echo (ping) request' "$T/piped"
}
it "it writes into a pipe for tshark, and ends when the reader does" piped

off() {
	until_ok 3 show ports 'all(.[]; .capture | not)'
}
it "after the last capture ended none goes on" off

traces() {
	local mac
	mac=$(mac_of b eth0)
	in_ns a ping -q -c 1 10.0.0.2
	weir trace a "${mac//:/}0200000000010800$(printf '45%058d' 0)" | tee "$T/trace"
	says blue '\bb\b' <"$T/trace"
	weir trace a "ffffffffffff0200000000010806" | says flood '\bb\b' '\bt\b'
	weir trace t "ffffffffffff0200000000018100012c0806" | says vlan-not-member 300
	show macs 'any(.[]; .mac == "02:00:00:00:00:01") | not'
}
it "trace names the network, the ports and the reason, and teaches the MAC table nothing" traces
