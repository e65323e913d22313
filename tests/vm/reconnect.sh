#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Whichever side dies, traffic resumes by itself when it is back: weir killed under load, QEMU killed,
# guests rebooted; with weir listening and connecting, split and packed rings.
# timeout: 240
# cpus: 4
# load: 1.25
. "$(dirname "$0")/lib.sh"

config <<YAML
networks: {one: {}, two: {}}
ports:
  a-split:  {vhost-user: $T/a-split, network: one}
  b-split:  {vhost-user: $T/b-split, network: one, mode: client}
  a-packed: {vhost-user: $T/a-packed, network: two, mode: client}
  b-packed: {vhost-user: $T/b-packed, network: two}
YAML
switch_start || exit 1

vm_nic a split  10.0.0.1/24 "vhost:$T/a-split"
vm_nic a packed 10.0.1.1/24 "listen:$T/a-packed" packed=on
vm_nic b split  10.0.0.2/24 "listen:$T/b-split"
vm_nic b packed 10.0.1.2/24 "vhost:$T/b-packed" packed=on
vm_start a
vm_start b
boot() { vm_wait a && vm_wait b && note "both in $SECONDS s"; }
vm_it "two guests boot, one NIC of each listening for weir and one connecting to it" boot
both() { pings a/split b/split && pings b/packed a/packed; }
vm_it "they ping each other" both

now() { # ms
	echo $(($(date +%s%N) / 1000000))
}

# watch GUEST/NIC TO-NIC: pings it 50 times a second from now on; watched prints the longest silence
# in ms and fails when an answer came twice.
watch() {
	vm_run "${1%/*}" "ip netns exec ${1#*/} /bin/ping -D -i 0.02 ${vm_address[$2]} >/tmp/watch.${1#*/} 2>&1 &"
}
watched() {
	local log
	vm_run "${1%/*}" "killall -INT ping; sleep 0.3"
	log=$(vm_run "${1%/*}" "cat /tmp/watch.${1#*/}")
	tail -n 3 <<<"$log" >&2
	not grep DUP <<<"$log" >&2
	# [seconds.micros] 64 bytes from ...
	tr -d '[]' <<<"$log" | awk '/bytes from/ { if (last && $1 - last > most) most = $1 - last; last = $1; n++ }
		END { printf "%d\n", most * 1000; exit n < 10 }'
}

fix() { # FROM TO
	local mac
	mac=$(at "$2" 'cat /sys/class/net/eth0/address')
	at "$1" "ip neigh replace ${vm_address[$2]} lladdr $mac nud permanent dev eth0"
}

# weir is killed under load and is back half a second later. QEMU that connects tries once a second, so
# what counts is its first try that finds weir. Addresses are fixed meanwhile: a guest that asks by ARP
# before the other one is back asks again only after a second.
killed() {
	local died back silence away
	[[ ! -e $T/switch_pid ]] || switch_pid=$(<"$T/switch_pid")
	fix "a/$1" "b/$1"
	fix "b/$1" "a/$1"
	vm_behind a load "ip netns exec $1 /bin/iperf3 -J --bidir -t 8 -c ${vm_address[b/$1]}"
	watch "b/$1" "a/$1"
	sleep 2
	kill -9 "$switch_pid"
	died=$(now)
	until_ok 5 test -s "$T/weir.status" # on a busy machine it takes time to be gone
	sleep 0.5
	rm -f "$T/api.sock.crashes" # which would hold ports after several; see system/crashes.sh
	switch_start
	echo "$switch_pid" >"$T/switch_pid"
	back=$(now)
	vm_result a load >"$T/load.json"
	silence=$(watched "b/$1")
	away=$((back - died))
	note "silent for $silence ms, of which weir was away $away ms"
	[[ $silence -lt $(((away + 999) / 1000 * 1000 + 1000 * patience)) ]]
	note "TCP moved $(jq -c '[.intervals[].sum.bits_per_second / 1e6 | round]' "$T/load.json") Mbit/s each second"
	jq -e '.end.sum_received.bytes > 1e6 and .error == null' "$T/load.json"
	jq -e '[.intervals[-3:][].sum.bits_per_second] | add / length > 1e6' "$T/load.json"
}
for ring in split packed; do
	vm_it "weir killed under load: traffic of a $ring ring resumes, nothing comes twice, TCP goes on" killed $ring
	switch_pid=$(<"$T/switch_pid")
done
again() {
	local nic
	for nic in a/split b/split a/packed b/packed; do
		at $nic "ip neigh flush nud permanent dev eth0"
	done
	tcp a/split b/split
	tcp a/packed b/packed
	both
}
vm_it "no descriptor was lost: both rings carry TCP as before" again

answered() { # FROM ADDRESS: after how many ms
	local start
	start=$(now)
	vm_run "${1%/*}" "until ip netns exec ${1#*/} /bin/ping -c 1 -W 0.1 $2; do :; done" >/dev/null
	echo $(($(now) - start))
}
# FROM TO: notes how long until it is answered. What it takes to start the programs in an emulated guest
# and to hear of their end is in the time of an answer from itself.
resumed() {
	local ms own
	ms=$(answered "$1" "${vm_address[$2]}")
	own=$(answered "$1" "${vm_address[$1]}")
	note "$1 to $2: answered after $ms ms, by itself after $own ms"
	[[ $((ms - own)) -lt $((1000 * patience)) ]]
}
fresh() {
	resumed b/split a/split
	resumed b/packed a/packed
	tcp b/split a/split
	tcp b/packed a/packed
}
vm_stop a KILL
vm_start a
vm_it "QEMU killed and started again: the guest boots" vm_wait a
vm_it "and is reached at once" fresh
vm_stop b KILL
vm_start b
vm_it "the other one too: the guest boots" vm_wait b
vm_it "and reaches the first at once" fresh
vm_it "a guest reboots" vm_reboot a
vm_it "and is reached at once" fresh
vm_it "the other one reboots" vm_reboot b
vm_it "and reaches the first at once" fresh

counted() {
	weir show ports -j | jq -c '.[] | {name, state, reason, reconnects, shuts}'
	show ports 'map(.shuts == 0 and .state == "up") | all'
}
vm_it "weir shut no port in all this" counted
vm_it "no kernel of a guest complained of anything" vm_content a b
