#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What kernels send each other through weir arrives: ping, TCP and UDP both ways, large frames.
# timeout: 90
# cpus: 2
. "$(dirname "$0")/lib.sh"

endpoint a b big1 big2 low
config <<YAML
networks: {small: {}, big: {}}
ports:
  a:    {tap: eth0, netns: a, network: small}
  b:    {tap: eth0, netns: b, network: small}
  big1: {tap: eth0, netns: big1, network: big, mtu: 9000}
  big2: {tap: eth0, netns: big2, network: big, mtu: 9000}
  low:  {tap: eth0, netns: low, network: big, mtu: 1500}
YAML
switch_start || exit 1
address a eth0 10.0.0.1/24
address b eth0 10.0.0.2/24
address big1 eth0 10.0.1.1/24
address big2 eth0 10.0.1.2/24
address low eth0 10.0.1.3/24
# A busy machine may keep the worker from its CPU for longer than the kernel's 1000 frames last.
for ns in a b; do ip -n $ns link set eth0 txqueuelen 8000; done

it "two namespaces ping each other" ping_ok a 10.0.0.2

flood_ping() {
	in_ns a ping -q -c 2000 -i 0.001 -s "$1" 10.0.0.2 | tee /dev/stderr | has ' 0% packet loss'
}
it "of 2000 pings a millisecond apart none is lost" flood_ping 56
it "of 2000 pings in three IP fragments each none is lost" flood_ping 4000

ping6() {
	local ns
	for ns in a b; do
		in_ns $ns sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
	done
	ip -n a addr add fd00::1/64 dev eth0 nodad
	ip -n b addr add fd00::2/64 dev eth0 nodad
	until_ok 3 in_ns a ping -6 -q -c 1 -W 1 fd00::2
	in_ns a ping -6 -q -c 200 -i 0.001 -s 1000 fd00::2 | has ' 0% packet loss'
}
it "IPv6 finds its neighbour by multicast and pings it" ping6

# Some 50 Mbit/s would do on a slow machine; a broken checksum or segment gives none at all.
tcp() { # options of iperf3
	iperf b a 10.0.0.2 -t 2 "$@" >"$T/tcp.json"
	jq -c '.end.sum_sent, .end.sum_received' "$T/tcp.json"
	jq -e '.end.sum_received.bits_per_second > 5e7' "$T/tcp.json"
}
it "TCP flows from a to b" thrice tcp
it "TCP flows from b to a" thrice tcp -R
it "TCP flows both ways at once, in four streams each" thrice tcp --bidir -P 4

udp() { # RECEIVER [OPTION of iperf3]...
	local late
	late=$(late "$1")
	iperf b a 10.0.0.2 -u -b 40M -l 1400 -w 1M -t 2 "${@:2}" >"$T/udp.json"
	late=$(($(late "$1") - late))
	echo "$(jq -c '.end.sum | {packets, lost_packets}' "$T/udp.json"), $late too late for the socket"
	jq -e ".end.sum | .packets > 6000 and .lost_packets <= $late" "$T/udp.json"
}
it "of 40 Mbit/s of UDP from a to b nothing is lost" udp b
it "of 40 Mbit/s of UDP from b to a nothing is lost" udp a -R

link_stat() { # NS DEVICE COUNTER
	ip -n "$1" -s -j link show dev "$2" | jq ".[0].stats64.$3"
}
whole_segments() {
	local bytes packets
	bytes=$(link_stat b eth0 rx.bytes) packets=$(link_stat b eth0 rx.packets)
	iperf b a 10.0.0.2 -t 1 >"$T/tcp.json"
	bytes=$(($(link_stat b eth0 rx.bytes) - bytes))
	packets=$(($(link_stat b eth0 rx.packets) - packets))
	echo "$bytes bytes in $packets frames"
	[[ $((bytes / packets)) -gt 4000 ]]
	show ports 'map(select(.name == "b"))[0].tx | .segmented == 0 and .checksummed == 0'
}
it "TCP segments pass whole between two TAPs: none is cut or summed by weir" whole_segments

it "a frame of 9000 bytes passes where the MTU is 9000" ping_ok big1 10.0.1.2 -M "do" -s 8972

too_big() {
	ping_ok big1 10.0.1.3 -M "do" -s 1472
	not in_ns big1 ping -q -c 3 -i 0.1 -W 1 -M "do" -s 4000 10.0.1.3
	[[ $(drops low too-big) -ge 3 ]]
}
it "a frame larger than its receiver's MTU is dropped as too-big" too_big
