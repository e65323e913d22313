#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# TAPs with several queues, several workers.
# timeout: 60
# cpus: 2
. "$(dirname "$0")/lib.sh"

endpoint a b
config <<YAML
ports:
  a: {tap: eth0, netns: a, queues: 4}
  b: {tap: eth0, netns: b, queues: 4}
YAML
switch_start || exit 1
address a eth0 10.0.0.1/24
address b eth0 10.0.0.2/24
# A busy machine may keep a worker from its CPU for longer than the kernel's 1000 frames last.
for ns in a b; do ip -n $ns link set eth0 txqueuelen 8000; done

queues() {
	[[ $(in_ns a sh -c 'ls -d /sys/class/net/eth0/queues/tx-*' | wc -l) -ge 4 ]]
	show ports 'all(.[]; .queues == 4)'
}
it "the device has the queues that were asked for" queues

dealt() {
	show workers 'map(.queues) | add == 8 and (max - min) <= 1'
}
it "the queues are dealt evenly to the workers" dealt

streams() {
	iperf b a 10.0.0.2 -t 2 -P 8 "$@" >"$T/tcp.json"
	jq -e '.end.sum_received.bits_per_second > 5e7 and all(.end.streams[]; .receiver.bytes > 0)' "$T/tcp.json"
}
it "eight TCP streams flow from a to b" streams
it "eight TCP streams flow from b to a" streams -R

none_lost() {
	local late
	late=$(late b)
	iperf b a 10.0.0.2 -u -b 10M -P 4 -l 1000 -w 1M -t 2 >"$T/udp.json"
	late=$(($(late b) - late))
	echo "$(jq -c '.end.sum | {packets, lost_packets, out_of_order}' "$T/udp.json"), $late too late for the socket"
	jq -e ".end.sum.lost_packets <= $late and all(.end.streams[]; .udp.out_of_order == 0)" "$T/udp.json"
}
it "of four UDP flows no frame is lost or overtaken" none_lost
