#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What the switch keeps of its privileges, and what works with that.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a
config <<YAML
ports:
  v: {vhost-user: $T/v.sock}
YAML
switch_start || exit 1

capabilities() { # of every thread: effective and permitted, as one word each
	awk '/^Cap(Eff|Prm|Inh|Amb)/ { print $1, $2 }' "/proc/$switch_pid/task"/*/status | sort -u
}
only_net_admin() {
	capabilities
	[[ $(capabilities) = "CapAmb: 0000000000000000
CapEff: 0000000000001000
CapInh: 0000000000000000
CapPrm: 0000000000001000" ]]
	[[ $(awk '/^CapBnd/ { print $2 }' "/proc/$switch_pid/task"/*/status | sort -u) = 0000000000000000 ]]
	[[ $(awk '/^NoNewPrivs/ { print $2 }' "/proc/$switch_pid/task"/*/status | sort -u) = 1 ]]
}
it "each of its threads has NET_ADMIN and nothing else, and no way back" only_net_admin

no_guest_memory() {
	# Shared mappings (bits 1 and 3) and hugepages (5 and 6) stay out of core dumps.
	[[ $((16#$(<"/proc/$switch_pid/coredump_filter") & 0x6a)) = 0 ]]
}
it "a core dump would hold no memory of guests" no_guest_memory

own_namespace() {
	weir port add t tap=hot0
	ip link show hot0
	weir port del t
	not ip link show hot0
}
it "TAP ports in its own namespace come and go" own_namespace

elsewhere() {
	refused weir port add t tap=hot0 netns=a | says 'port t' 'netns|namespace' '[Pp]ermi|permitted'
	show ports 'map(.name) == ["v"]'
}
it "one in another namespace is refused, for that privilege was not asked for" elsewhere
it "that switch ends" switch_stop

with_netns() {
	"$WEIR" switch -c "$T/weir.yaml" --netns 2>"$T/netns.log" &
	local pid=$!
	until_ok 5 weir show ports
	weir port add t tap=hot0 netns=a
	ip -n a link show hot0
	kill -TERM $pid
	wait $pid
	not ip -n a link show hot0
}
it "with --netns it is opened" with_netns
switch_pid=

threads() {
	# Not where a worker runs, when there is another CPU.
	[[ $(nproc) -gt 1 ]] || return 0
	"$WEIR" switch -c "$T/weir.yaml" 2>"$T/netns.log" &
	local pid=$! t
	until_ok 5 weir show ports
	for t in /proc/"$pid"/task/*; do
		echo "$(<"$t/comm") $(awk '/^Cpus_allowed_list/ { print $2 }' "$t/status")"
	done >"$T/threads"
	kill -TERM $pid
	wait $pid
	cat "$T/threads"
	[[ $(grep -c "^worker-" "$T/threads") = 1 ]]
	grep "^worker-" "$T/threads" | says " $WEIR_CPUS\$"
	not eval "grep -v '^worker-' '$T/threads' | grep -qwE '$WEIR_CPUS'"
}
it "its other threads keep off the workers' CPUs" threads

no_memory() {
	local status=0
	(
		ulimit -v 200000
		timeout 10 "$WEIR" switch -c "$T/weir.yaml"
	) >"$T/out" 2>&1 || status=$?
	cat "$T/out"
	[[ $status = 1 && $(wc -l <"$T/out") = 1 ]]
	says '^weir: .*memory' 'ulimit -v' <"$T/out"
}
if [[ -z ${WEIR_SANITIZED-} ]]; then
	it "without memory for DPDK it says how much it wants" no_memory
fi
