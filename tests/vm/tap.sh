#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A guest on QEMU's own TAP, joined to weir's as docs/tap.md says (its commands are run): virtio-net and
# e1000, with offloads and tags, and after either program was killed.
# timeout: 120
# cpus: 3
# load: 1
. "$(dirname "$0")/lib.sh"

endpoint host lab
joint() { # WEIR'S-TAP QEMU'S-TAP
	# shellcheck disable=SC2016 # the document's own backquotes
	sed -n '/^```sh$/,/^```$/{/^```/d;p}' "$vm_here/../../docs/tap.md" | sed '/^qemu-system/,$d' |
		sed "s/\<weir0\>/$1/g; s/\<vm0\>/$2/g" >"$T/joint.sh"
	grep -q "redirect dev $2" "$T/joint.sh"
	in_ns lab bash -e "$T/joint.sh"
}
it "the commands of docs/tap.md join weir's TAP to QEMU's" joint weir0 vm0
it "and a second pair" joint weir1 vm1

config <<YAML
networks: {lan: {}, blue: {vlan: 100}}
ports:
  host:   {tap: eth0, netns: host, network: lan}
  virtio: {tap: weir0, netns: lab, trunk: [blue], native: lan}
  e1000:  {tap: weir1, netns: lab, trunk: [blue], native: lan}
YAML
switch_start || exit 1
vm_address[host]=10.0.0.100
up() {
	address host eth0 10.0.0.100/24
	in_ns host iperf3 -s -D
}
up

vm_nic a virtio 10.0.0.1/24 tap:vm0
vm_nic a e1000 10.0.0.2/24 tap:vm1 e1000
vm_netns[a]=lab
vm_start a
vm_it "the guest boots" vm_wait a

for nic in virtio e1000; do
	vm_it "$nic and host ping each other" eval "pings a/$nic host && pings host a/$nic"
	vm_it "TCP flows both ways between $nic and host" tcp a/$nic host
	vm_it "UDP reaches the guest's $nic" udp host a/$nic 5
done
vm_it "TCP flows both ways between virtio and e1000" tcp a/virtio a/e1000
whole() {
	show ports 'map(.tx.segmented + .tx.checksummed) | add == 0'
	show drops 'map(select(.reason == "tx-error" or .reason == "offload-bad").frames) | add == 0'
}
vm_it "weir cut nothing: segments and checksums passed through" whole

tags() {
	local n=0
	for nic in virtio e1000; do
		n=$((n + 1))
		vm_run a "ip -n $nic link add link eth0 name eth0.100 type vlan id 100 &&
			ip -n $nic addr add 10.0.9.$n/24 dev eth0.100 && ip -n $nic link set eth0.100 up"
	done
	at a/virtio 'ping -c 3 -i 0.1 -W 2 10.0.9.2'
	VM_LIMIT=20 at a/virtio 'iperf3 -c 10.0.9.2 -t 1 --connect-timeout 3000'
}
vm_it "tags pass both ways, with TCP's segments behind them" tags

answers() { # NIC
	at host "ping -q -c 1 -W 1 ${vm_address[a/$1]}"
}
weir_back() {
	until_ok 5 answers virtio
	until_ok 5 answers e1000
	tcp a/virtio host
}
kill -9 "$switch_pid"
until_ok 2 test -s "$T/weir.status"
it "weir starts again after kill -9" switch_start
switch_pid=$(<"$T/weir.pid")
up
vm_it "and traffic goes on by itself" weir_back

vm_start a
vm_it "QEMU killed and started anew boots" vm_wait a
vm_it "and is reached again" eval "pings a/virtio host && pings a/e1000 host"
