#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# `weir bench rr`: against sockperf, the kernel's counters and a path of known faults.
# timeout: 150
# cpus: 2
# alone: cases
# shellcheck disable=SC2317 # functions are called by `it`
. "$(dirname "$0")/lib.sh"

export WEIR_BENCH_SECRET=that-of-servers-and-clients-here

endpoint a b
ip link add va netns a type veth peer name vb netns b
address a va 10.9.0.1/24
address b vb 10.9.0.2/24
until_ok 5 ping_ok a 10.9.0.2

# rr OPTIONS...: one repeat from a to b, as JSON in $T/r.json
rr() {
	weir bench rr ns:a ns:b --repeat 1 --omit 0s --quiet -j "$@" >"$T/r.json"
}

figure() { # NAME: its median
	jq -e --arg n "$1" '.figures[] | select(.name == $n).median' "$T/r.json"
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# noise FILE: by how much the odd and the even rounds of one and the same tool differ
noise() {
	awk -v a="$(awk 'NR % 2' "$1" | median)" -v b="$(awk 'NR % 2 == 0' "$1" | median)" \
		'BEGIN { print(a > b ? a / b - 1 : b / a - 1) }'
}

on_cpu() { # CPU COMMAND...
	(taskset -cp "$1" "$BASHPID" >/dev/null && "${@:2}")
}

# The median round trip, rounds alternating; more of them when the machine is noisy. All on one CPU, where
# nobody waits for another one to wake up. Messages are large, since sockperf looks up the way of each datagram
# (0.8 us a round trip), and weir's sockets are connected.
as_sockperf() { # --tcp or --udp, bytes each way
	local i theirs=() ratio cpu=${WEIR_CPUS%%,*}
	[[ $1 = --udp ]] || theirs=(--tcp)
	rm -f "$T/ratios" "$T/theirs"
	(exec taskset -c "$cpu" ip netns exec b sockperf server "${theirs[@]}" -i 10.9.0.2 -p 11111 >/dev/null 2>&1) &
	until_ok 5 eval 'in_ns b ss -Hltun | has :11111'
	for ((i = 1; i <= 10; i++)); do
		on_cpu "$cpu" in_ns a sockperf ping-pong "${theirs[@]}" -i 10.9.0.2 -p 11111 -t 1 -m "$2" \
			--full-rtt >"$T/sockperf" 2>&1
		on_cpu "$cpu" rr "$1" --request "$2" --response "$2" --time 400ms
		awk -v s="$(figure "latency p50")" '/percentile 50.000/ { print s * 1e6 / $NF }' "$T/sockperf" \
			>>"$T/ratios"
		awk '/percentile 50.000/ { print $NF }' "$T/sockperf" >>"$T/theirs"
		ratio=$(median <"$T/ratios")
		if [[ $i -ge 5 ]] && holds "$ratio >= 0.95 && $ratio <= 1.05" >/dev/null; then
			echo "# $1: $ratio of sockperf in $i rounds" >&3
			kill $! && return
		fi
	done
	kill $!
	echo "# $1: $ratio of sockperf in 10 rounds, sockperf differs from itself by $(noise "$T/theirs")" >&3
	within 0.05 "$ratio" 1 || within "$(noise "$T/theirs")" "$ratio" 1
}
if [[ -z ${WEIR_SANITIZED-} ]]; then
	exec 3>&1
	alone it "a TCP round trip takes what sockperf's ping-pong finds, within 5 %" as_sockperf --tcp 8000
	alone it "a UDP round trip takes what sockperf's ping-pong finds, within 5 %" as_sockperf --udp 8000
	exec 3>&-
fi

# From here on what another load can spoil is tried thrice, and its steps hang together by &&.
#
# Datagrams of the server's own count, but for the handshake.
transactions_are_the_kernels() {
	local before after
	before=$(in_ns b nstat -asz UdpInDatagrams | awk '/UdpIn/ { print $2 }')
	rr --udp --flows 3 --time 300ms || return 1
	after=$(in_ns b nstat -asz UdpInDatagrams | awk '/UdpIn/ { print $2 }')
	# A few begin in the moment before counting does.
	within 0.01 "$(jq '.latencies[0].count' "$T/r.json")" $((after - before - 3))
}
it "transactions are as many as the datagrams the kernel counted" thrice transactions_are_the_kernels

connections_are_the_kernels() {
	local before after
	before=$(in_ns b nstat -asz TcpPassiveOpens | awk '/TcpPassive/ { print $2 }')
	rr --connect --flows 4 --time 300ms || return 1
	after=$(in_ns b nstat -asz TcpPassiveOpens | awk '/TcpPassive/ { print $2 }')
	within 0.02 "$(jq '.latencies[0].count' "$T/r.json")" $((after - before - 1)) &&
		holds "$(figure refused) == 0 && $(figure lost) == 0"
}
it "with --connect there are as many connections as transactions" thrice connections_are_the_kernels

many_flows() {
	rr --flows 200 --time 300ms --request 100 --response 2000 && holds "$(figure transactions) > 2000" &&
		rr --flows 200 --time 300ms --udp && holds "$(figure transactions) > 2000 && $(figure lost) == 0"
}
it "200 flows ask at once" thrice many_flows

rate_is_kept() {
	rr --rate 2000 --time 500ms "$@" && within 0.01 "$(figure transactions)" 2000 &&
		within 0.01 "$(figure offered)" 2000 && jq -e '.latencies[0].mode == "open"' "$T/r.json"
}
alone it "a rate of TCP transactions is kept within 1 %" thrice rate_is_kept --flows 8
alone it "a rate of UDP transactions is kept within 1 %" thrice rate_is_kept --udp --flows 8
alone it "a rate of connections is kept within 1 %" thrice rate_is_kept --connect --flows 32

# A request each 50 us is waited for by looking at the clock, which is no work.
spins_for_nothing() {
	rr --rate 20000 --time 300ms &&
		holds "$(figure "busiest client") < 0.9" && jq -e '.cpu[0] | .spun > 0.02 and .spun < .busy + 0.1' "$T/r.json" &&
		jq -e '.warnings | all(test("client thread .* never rested") | not)' "$T/r.json"
}
it "a client that looks at the clock until a request is due is not called busy" thrice spins_for_nothing

# A server that stands still for 0.3 s of 1 s: of the requests that fall due meanwhile, none is spared.
# Closed loop, one request waits; open loop, three in ten wait 0.15 s on average.
stall() {
	local pid
	rr --time 1s --interval 100ms "$@" &
	sleep "${STALL_AT-0.5}"
	pid=$(pgrep -f 'weir bench rr' | tail -n 1)
	kill -STOP "$pid"
	sleep "${STALL_FOR-0.3}"
	kill -CONT "$pid"
	wait $!
}
stalls_show() {
	stall --flows 4 && holds "$(figure "latency p90") < 0.1" && stall --flows 4 --rate 1000 &&
		holds "$(figure "latency p90") > 0.1 && $(figure "latency max") > 0.25"
}
# It stands still when the time ends, with room for but one request a flow: those that were due by then and
# could not be sent have waited longest, and are among the latencies.
overdue_ones_count() {
	STALL_AT=0.8 STALL_FOR=0.8 stall --flows 4 --rate 1000 --request 32KiB &&
		within 0.01 "$(jq '.latencies[0].count' "$T/r.json")" 1000 &&
		within 0.01 "$(figure offered)" 1000 && holds "$(figure transactions) < 950"
}
it "what an open loop owes when its time is over is among the latencies" thrice overdue_ones_count

it "a server that stands still cannot hide it from an open loop" thrice stalls_show

faults_are_found() {
	"$TESTS/system/faulty_path.py" a ta b tb 10 20 >"$T/relay" 2>&1 &
	until_ok 5 grep -q ready "$T/relay"
	address a ta 10.8.0.1/24
	address b tb 10.8.0.2/24
	until_ok 5 ping_ok a 10.8.0.2
	thrice faults_show
	kill $!
}
# Of 500 datagrams a tenth is lost: nobody can say how long the slowest 5 % took, only that it is more than the
# timeout.
lost_ones_count() {
	jq -e '.latencies[0] | .lost >= 45 and .lost <= 55 and .timeout == 200000000 and .p50 > 40000000 and
		.p99 == null and (.beyond | index("p99") and index("max") and (index("p50") | not))' "$T/r.json" &&
		jq -e '[.figures[] | select(.name == "latency p99" or .name == "latency max")] | length == 2 and
			all(.median == null and .values == [null] and .above == 0.2)' "$T/r.json" &&
		jq -e '.warnings | any(test("^up to (9|1.).* % of the requests never came back"))' "$T/r.json" &&
		"$TESTS/lib/valid-result" "$T/r.json"
}
faults_show() {
	rr --to 10.8.0.2 --time 500ms && delay_is_found &&
		# Requests of 600 bytes are large enough to be dropped, each tenth.
		rr --to 10.8.0.2 --udp --flows 10 --rate 500 --request 600 --timeout 200ms --time 1s &&
		within 0.1 "$(figure lost)" 50 && delay_is_found && lost_ones_count &&
		# As many again are answered, for a lost one does not keep a flow for longer than its timeout.
		rr --to 10.8.0.2 --udp --request 600 --timeout 60ms --time 1s &&
		holds "$(figure lost) >= 1 && $(figure transactions) > 12"
}
delay_is_found() {
	holds "$(figure "latency p50") > 0.040 && $(figure "latency p50") < 0.050"
}
it "injected loss of 10 % and delay of 20 ms each way are found as such" faults_are_found

server_is_killed() {
	local since server status=0
	(exec ip netns exec b "$WEIR" bench serve --listen 10.9.0.2 >"$T/serve" 2>&1) &
	server=$!
	until_ok 5 grep -q listening "$T/serve"
	{
		in_ns a "$WEIR" bench rr if:va 10.9.0.2 --repeat 1 --omit 0s --time 20s --interval 100ms -j \
			>"$T/r.json" 2>"$T/r.err" || status=$?
		echo $status >"$T/status"
	} &
	until_ok 5 pgrep -P "$server"
	sleep 1
	since=$(date +%s%N)
	kill -KILL "$server"
	until_ok 4 test -s "$T/status"
	holds "$(date +%s%N) - $since < 1500000000 * $patience"
	[[ $(<"$T/status") = 1 ]]
	jq -e '.complete == false' "$T/r.json"
	holds "$(figure transactions) > 100"
}
it "a killed server is noticed within 1 s, and what was measured is kept and marked" server_is_killed

nothing_left() {
	local ns
	not pgrep -f 'weir bench'
	for ns in a b; do
		in_ns "$ns" ss -Htuan | awk "!/TIME-WAIT/ { print; left = 1 } END { exit left }"
	done
}
it "no process and no socket is left" nothing_left
