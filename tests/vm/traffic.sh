#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Two Linux guests, whose NICs differ in what they negotiate, and a TAP of this machine: all of them
# talk to each other.
# timeout: 300
# cpus: 4
# load: 1.25
. "$(dirname "$0")/lib.sh"

endpoint host lab
config <<YAML
networks: {lan: {}, big: {}, blue: {vlan: 100}, green: {vlan: 200}}
ports:
  a-plain:  {vhost-user: $T/a-plain, network: lan}
  a-bare:   {vhost-user: $T/a-bare, network: lan}
  a-many:   {vhost-user: $T/a-many, network: lan, queues: 2}
  a-jumbo:  {vhost-user: $T/a-jumbo, network: big, mtu: 9000}
  a-trunk:  {vhost-user: $T/a-trunk, trunk: [blue, green]}
  b-plain:  {vhost-user: $T/b-plain, network: lan}
  b-packed: {vhost-user: $T/b-packed, network: lan}
  b-lean:   {vhost-user: $T/b-lean, network: lan}
  b-direct: {vhost-user: $T/b-direct, network: lan}
  b-noevt:  {vhost-user: $T/b-noevt, network: lan}
  b-nomrg:  {vhost-user: $T/b-nomrg, network: lan}
  b-jumbo:  {vhost-user: $T/b-jumbo, network: big, mtu: 9000}
  b-blue:   {vhost-user: $T/b-blue, network: blue}
  host:     {tap: eth0, netns: host, network: lan}
  lab:      {tap: weir0, netns: lab, network: lan}
YAML
switch_start || exit 1

vm_address[host]=10.0.0.100
address host eth0 10.0.0.100/24
in_ns host iperf3 -s -D

# QEMU's own TAP meets weir's in a bridge; tap.sh does it the other way.
ip -n lab tuntap add qemu0 mode tap
ip -n lab link add br0 up type bridge
for dev in qemu0 weir0; do ip -n lab link set "$dev" master br0 up; done

none=csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off
none+=,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off,mrg_rxbuf=off
vm_nic a plain 10.0.0.1/24 "vhost:$T/a-plain"
vm_nic a bare  10.0.0.2/24 "vhost:$T/a-bare" $none
vm_nic a many  10.0.0.3/24 "vhost:$T/a-many:queues=2" mq=on rx_queue_size=1024 tx_queue_size=1024
vm_nic a jumbo 10.0.1.1/24 "vhost:$T/a-jumbo" host_mtu=9000
vm_nic a trunk 10.0.2.1/24 "vhost:$T/a-trunk"
vm_nic b plain 10.0.0.11/24 "vhost:$T/b-plain"
vm_nic b packed 10.0.0.12/24 "vhost:$T/b-packed" packed=on
vm_nic b lean 10.0.0.13/24 "vhost:$T/b-lean" packed=on indirect_desc=off event_idx=off mrg_rxbuf=off
vm_nic b direct 10.0.0.14/24 "vhost:$T/b-direct" indirect_desc=off
vm_nic b noevt 10.0.0.15/24 "vhost:$T/b-noevt" event_idx=off
vm_nic b nomrg 10.0.0.16/24 "vhost:$T/b-nomrg" mrg_rxbuf=off
vm_nic b jumbo 10.0.1.11/24 "vhost:$T/b-jumbo" host_mtu=9000
vm_nic b blue  10.0.3.11/24 "vhost:$T/b-blue"
vm_nic b e1000 10.0.0.17/24 tap:qemu0 e1000
vm_netns[b]=lab
vm_start a
vm_start b
boot() { vm_wait a && vm_wait b && note "both in $SECONDS s"; }
vm_it "two guests boot" boot

port() { # NAME FILTER
	show ports --arg n "$1" "map(select(.name == \$n))[0] | $2"
}
number() { # NAME FILTER
	weir show ports -j | jq --arg n "$1" "map(select(.name == \$n))[0] | $2"
}

vm_it "two guests ping each other, having asked for the other by ARP and by neighbour discovery" pings a/plain b/plain
vm_it "TCP flows both ways between them" tcp a/plain b/plain
whole() {
	number a-plain '.tx | .segmented + .checksummed' | grep -qx 0
	number b-plain '.tx | .segmented + .checksummed' | grep -qx 0
}
vm_it "between guests with all offloads no segment was cut and no checksum computed" whole
vm_it "UDP flows from the first to the second" udp a/plain b/plain 5
vm_it "UDP flows from the second to the first" udp b/plain a/plain 5

fragments() {
	at a/plain 'ping -c 4 -i 0.3 -W 2 -s 4000 10.0.0.11' | says ' 0% packet loss'
}
vm_it "pings in three IP fragments pass" fragments

declare -A what=(
	[packed]="a packed ring" [lean]="a packed ring without indirect tables, event index and mergeable buffers"
	[direct]="no indirect tables" [noevt]="no event index" [nomrg]="no mergeable buffers"
)
for nic in packed lean direct noevt nomrg; do
	vm_it "a guest with ${what[$nic]} is pinged" pings a/plain "b/$nic"
	vm_it "TCP flows both ways to a guest with ${what[$nic]}" tcp a/plain "b/$nic"
done
packed() {
	port b-packed '.features | tostring | test("packed")'
	port b-plain '.features | tostring | test("packed") | not'
}
vm_it "the ring layout was negotiated as configured" packed

vm_it "a guest without any offload is pinged by one with all" pings b/plain a/bare
vm_it "TCP flows both ways between a guest without any offload and one with all" tcp a/bare b/plain
vm_it "TCP flows both ways between a guest without any offload and one with a packed ring" tcp b/packed a/bare
vm_it "and over IPv6" tcp a/bare b/plain -6
vm_it "UDP with its checksum left to do reaches a guest without offloads" udp b/plain a/bare 5
sums() {
	local errors
	errors=$(at a/bare 'cat /proc/net/snmp')
	echo "$errors"
	# The last column of Tcp and Udp is InCsumErrors, of Ip InHdrErrors is the fifth.
	awk '/^(Tcp|Udp):/ && $NF ~ /^[0-9]+$/ { n++; bad += $NF } END { exit n != 2 || bad != 0 }' <<<"$errors"
	port a-bare '.tx | .segmented > 0 and .checksummed > 0'
}
vm_it "weir cut and summed for it, and its kernel found no wrong checksum" sums

vm_it "a guest pings this machine over a TAP" pings a/plain host
vm_it "TCP flows both ways between guest and TAP" tcp a/plain host
vm_it "TCP flows both ways between a guest without offloads and the TAP" tcp host a/bare
unoffloaded() {
	in_ns host ethtool -K eth0 tx off tso off gso off gro off
	tcp a/plain host
	tcp a/bare host
	in_ns host ethtool -K eth0 tx on tso on gso on gro on
}
vm_it "and when this machine offloads nothing either" unoffloaded
captured() {
	in_ns host ethtool -K eth0 gro off
	in_ns host timeout 10 tcpdump -i eth0 -Q in -nn -vv -c 200 "tcp and src 10.0.0.2" >"$T/dump" 2>"$T/dump.err" &
	until_ok 3 grep -q listening "$T/dump.err"
	vm_iperf a/bare host -t 2 >/dev/null
	wait $! || { cat "$T/dump" "$T/dump.err"; false; }
	in_ns host ethtool -K eth0 gro on
	[[ $(grep -c 'cksum 0x[0-9a-f]* (correct)' "$T/dump") -ge 200 ]]
	not grep 'cksum.*incorrect' "$T/dump"
}
vm_it "every checksum that a guest without offloads computed arrives unchanged" captured

vm_it "a guest with two queues is pinged" pings b/plain a/many
# Two clients, each held on a CPU of its own, and so on a queue of its own, for SECONDS.
two_flows() {
	local cpu
	for cpu in 0 1; do
		vm_behind a "many.$cpu" "ip netns exec many taskset -c $cpu /bin/iperf3 -J --bidir -c 10.0.0.11 \
			-p $((5201 + cpu)) -t $1" || return 1
	done
}
many_result() { # by &&, for thrice
	local cpu
	for cpu in 0 1; do
		vm_result a "many.$cpu" >"$T/many.json" &&
		note "queue $cpu: $(jq -r '.end | "\(.sum_received.bits_per_second / 1e6 | round) Mbit/s, back \(.sum_received_bidir_reverse.bits_per_second / 1e6 | round)"' "$T/many.json")" &&
			jq -e '.end | [.sum_received, .sum_received_bidir_reverse | .bits_per_second > 5e6] | all' "$T/many.json" ||
			return 1
	done
}
at b/plain 'iperf3 -s -D -p 5202'
spread() {
	two_flows 2 && many_result && weir show ports -j | jq -c '.[] | select(.name == "a-many")' &&
		port a-many '[.queue_list[] | .rx.frames > 100 and .tx.frames > 100] | length == 2 and all'
}
vm_it "its two flows take a queue each, both ways" spread
reduce() {
	two_flows 4 && sleep 1.5 && at a/many 'ethtool -L eth0 combined 1' &&
		until_ok 2 port a-many '.active_pairs == 1' && many_result && pings a/many b/packed &&
		at a/many 'ethtool -L eth0 combined 2' && until_ok 2 port a-many '.active_pairs == 2' &&
		tcp b/plain a/many
}
vm_it "it reduces itself to one queue and back while traffic flows" reduce

jumbo() {
	at a/jumbo 'ip link show eth0' | grep -q 'mtu 9000'
	at a/jumbo 'ping -c 3 -i 0.3 -W 2 -M do -s 8972 10.0.1.11'
	pings a/jumbo b/jumbo
}
vm_it "guests are told an MTU of 9000 and ping with it" jumbo
vm_it "TCP flows both ways at an MTU of 9000" tcp a/jumbo b/jumbo

vlan() {
	at a/trunk 'ip link add link eth0 name v100 type vlan id 100'
	at a/trunk 'ip link add link eth0 name v200 type vlan id 200'
	at a/trunk 'ip addr add 10.0.3.1/24 dev v100'
	at a/trunk 'ip link set v100 up'
	at a/trunk 'ip link set v200 up'
	vm_address[a/v100]=10.0.3.1
	at a/trunk 'ping -c 4 -i 0.3 -W 2 10.0.3.11'
	tcp a/trunk b/blue
}
vm_it "a guest on a trunk reaches one on an access port through its VLAN interface" vlan
apart() {
	at a/trunk 'ip addr del 10.0.3.1/24 dev v100'
	at a/trunk 'ip addr add 10.0.3.1/24 dev v200'
	not at a/trunk 'ping -c 3 -i 0.05 -W 1 10.0.3.11'
}
vm_it "and not through that of another network" apart

vm_it "an e1000 on QEMU's own TAP, bridged to one of weir, is pinged" pings a/plain b/e1000
vm_it "TCP flows both ways to it" tcp a/plain b/e1000
vm_it "TCP flows both ways between the e1000 and a guest without offloads" tcp a/bare b/e1000

hot() {
	local before own
	before=$(lost) own=$(overflown)
	vm_behind a hot 'ip netns exec plain iperf3 -J -c 10.0.0.11 -u -l 1400 -b 5M -w 1M -t 5' || return 1
	cp "$T/weir.yaml" "$T/more.yaml"
	printf '  new%d: {vhost-user: %s, network: lan}\n' 1 "$T/new1" 2 "$T/new2" >>"$T/more.yaml"
	echo '  new3: {tap: new3, netns: lab, network: lan}' >>"$T/more.yaml"
	sleep 1
	for _ in 1 2 3 4; do
		weir apply "$T/more.yaml" && sleep 0.3 && weir apply "$T/weir.yaml" && sleep 0.3 || return 1
	done
	vm_result a hot >"$T/hot.json" || return 1
	own=$(($(overflown) - own))
	note "$(jq -c '.end.sum | {packets, lost_packets}' "$T/hot.json"), $own of them by the guest's own socket"
	jq -e --argjson own "$own" '.end.sum | .packets > 1000 and .lost_packets <= $own' "$T/hot.json" &&
		[[ $(lost) = "$before" ]]
}
overflown() { # what the receiving guest's kernel had and its iperf3 was too slow to take
	at b/plain 'cat /proc/net/snmp' | awk '/^Udp: [0-9]/ { print $6 }'
}
lost() { # by the ports of the two guests, for any reason
	weir show drops -j | jq '[.[] | select(.port == "a-plain" or .port == "b-plain").frames] | add // 0'
}
vm_it "three ports come and go four times and not one frame of others is lost" hot
vm_it "no kernel of a guest complained of anything" vm_content a b
