#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Guest memory in more regions than a memory table takes: each NUMA node makes one.
# timeout: 90
# cpus: 2
# shellcheck disable=SC2016,SC2317 # variables of jq; functions are called by `it`
. "$(dirname "$0")/lib.sh"

config <<YAML
networks: {one: {}}
ports:
  first: {vhost-user: $T/first, network: one}
YAML
switch_start || exit 1
vm_nic a plain 10.0.0.1/24 "vhost:$T/first"

# start NODES: a guest with so many, the first of 256 MiB and the others of 32.
start() {
	local i more=()
	for ((i = 1; i < $1; i++)); do
		more+=(-object "memory-backend-memfd,id=x$i,size=32M,share=on" -numa "node,memdev=x$i")
	done
	vm_start a -m $((256 + 32 * ($1 - 1))) "${more[@]}"
}

is() { # STATE REASON, a regular expression
	show ports --arg s "$1" --arg r "$2" '.[0] | .state == $s and (.reason // "" | test($r))'
}

start 11
vm_it "a guest of 11 NUMA nodes boots" vm_wait a
it "its port says that no memory table came, how many regions one takes, and what makes fewer" \
	until_ok 10 is waiting 'no memory table: .* more than 8 regions .*fewer NUMA nodes'
switch_stop
it "weir is started again under it" switch_start
switch_pid=$(<"$T/weir.pid")
it "QEMU does not stay then, and the port says what it lacks" \
	until_ok 10 is waiting 'left without a memory table.* more than 8 regions .*fewer NUMA nodes'
start 8
vm_it "with 8 NUMA nodes it boots" vm_wait a
it "and its port is up" until_ok 10 is up '^$'
