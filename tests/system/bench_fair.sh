#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# `weir bench fair`: against limiters of known rate, the kernel's counters, and what is left of its beds.
# timeout: 150
# cpus: 2
# alone: cases
# shellcheck disable=SC2317 # functions are called by `it`
. "$(dirname "$0")/lib.sh"

export WEIR_BENCH_SECRET=that-of-servers-and-clients-here

endpoint e1 e2 e3 e4 n1 n2 srv
ip link add br0 type bridge forward_delay 0
ip link set br0 up
n=0
for ns in e1 e2 e3 e4 n1 n2 srv; do
	ip link add "to-$ns" type veth peer name eth0 netns "$ns"
	ip link set "to-$ns" master br0 up
	address "$ns" eth0 10.9.0.$((++n))/24
done
until_ok 5 ping_ok e4 10.9.0.7

fair() { # OPTIONS...
	weir bench fair --omit "${OMIT-300ms}" --time "${TIME-500ms}" --repeat 1 --quiet -j "$@" >"$T/r.json"
}

figure() { # NAME: its median
	jq -e --arg n "$1" '.figures[] | select(.name == $n).median' "$T/r.json"
}

# known N SKEW CV JAIN TOTAL: what four rates of 40, 80, 120 and 160 Mbit/s have, or the first N of them.
# Frames of 1514 bytes carry 1448.
known() {
	local i
	OMIT=500ms TIME=1s fair ns:e1 ns:e2 ns:e3 ns:e4 ns:srv --load stream --endpoints "$1" &&
		"$TESTS/lib/valid-result" "$T/r.json" &&
		within 0.02 "$(figure skew)" "$(awk "BEGIN { print $2 }")" &&
		within 0.02 "$(figure cv)" "$(awk "BEGIN { print $3 }")" &&
		within 0.02 "$(figure jain)" "$(awk "BEGIN { print $4 }")" &&
		within 0.02 "$(figure throughput)" "$(awk "BEGIN { print $5 * 1448e6 / 1514 }")" &&
		holds "$(figure overlap) > 0.9" || return 1
	for ((i = 1; i <= $1; i++)); do
		within 0.02 "$(jq --arg e "ns:e$i" '.endpoints[0].values[$e]' "$T/r.json")" \
			"$(awk "BEGIN { print $i * 40 * 1448e6 / 1514 }")" || return 1
	done
}
rates=(40 80 120 160)
for i in 0 1 2 3; do
	in_ns "e$((i + 1))" tc qdisc replace dev eth0 root tbf rate "${rates[i]}mbit" burst 32kb latency 20ms
done
alone it "one endpoint behind a limiter of known rate is told as such" thrice known 1 0 0 1 40
alone it "skew, CV and Jain's index of two are those of their limiters' rates" \
	thrice known 2 "40 / 60" "1 / 3" 0.9 120
alone it "so they are of four" thrice known 4 1.2 "sqrt(0.2)" "100 / 120" 400
for ns in e1 e2 e3 e4; do
	in_ns "$ns" tc qdisc del dev eth0 root
done

counter() { # NS NAME
	in_ns "$1" cat "/sys/class/net/eth0/statistics/$2"
}
noise_is_sent() {
	local noise=$1 size=$2 frames bytes
	frames=$(counter n2 rx_packets) bytes=$(counter n2 rx_bytes)
	fair ns:e1 ns:e2 ns:srv --load rr --noise "none,$noise" --neighbour ns:n1,ns:n2
	frames=$(($(counter n2 rx_packets) - frames)) bytes=$(($(counter n2 rx_bytes) - bytes))
	"$TESTS/lib/valid-result" "$T/r.json"
	echo "$frames frames, $bytes bytes"
	[[ $frames -gt 1000 ]]
	# Beside it there is the talk of agents' addresses and ARP.
	within 0.02 "$bytes" $((frames * size))
	# No more in the interval than in all.
	jq -e --argjson f "$frames" '.figures[] | select(.name == "noise received").median |
		. > 1000 and . * 0.5 <= $f' "$T/r.json"
	figure "lost to noise"
	jq -e '.cpu | any(.[].threads[]; .role == "noise" and .busy > 0.01)' "$T/r.json"
}
it "a flood of long frames is one, and what it costs the others is told" noise_is_sent frames 1514
it "a flood of short frames is one" noise_is_sent 64b 60

connections_are_made() {
	local opens
	opens=$(in_ns n2 nstat -asz TcpPassiveOpens | awk '/TcpPassive/ { print $2 }')
	fair ns:e1 ns:srv --load rr --noise connections --neighbour ns:n1,ns:n2
	opens=$(($(in_ns n2 nstat -asz TcpPassiveOpens | awk '/TcpPassive/ { print $2 }') - opens))
	echo "$opens connections"
	jq -e --argjson n "$opens" '.figures[] | select(.name == "noise sent").median |
		. > 100 and . * 0.5 <= $n' "$T/r.json"
}
it "a flood of connections is one" connections_are_made

# Its clock is taken for another one, and the moment is told as how far ahead it is.
server_elsewhere() {
	local server
	ip addr add 10.9.0.100/24 dev br0
	(exec ip netns exec srv "$WEIR" bench serve --listen 10.9.0.7 >"$T/serve" 2>&1) &
	server=$!
	until_ok 5 grep -q listening "$T/serve"
	fair ns:e1 ns:e2 10.9.0.7 --load stream,rr --flows 2
	kill "$server"
	"$TESTS/lib/valid-result" "$T/r.json"
	jq -e '.complete and ([.endpoints[] | select(.name == "throughput" or .name == "transactions").values |
		.["ns:e1"] > 100 and .["ns:e2"] > 100] | length == 2 and all)' "$T/r.json"
	jq -e '[.figures[] | select(.name == "overlap").median] | length == 2 and all(. > 0.5 and . <= 1)' "$T/r.json"
}
it "endpoints here share the way to a server elsewhere" server_elsewhere

made() {
	TIME=300ms fair --through veth,weir-ns --endpoints 2 --flows 8 --load rr --rps off,on --queues 2
	"$TESTS/lib/valid-result" "$T/r.json"
	jq -e '.complete and ([.figures[] | select(.name == "transactions") | .labels | [.path, .rps]] |
		sort == [["veth", "off"], ["veth", "on"], ["weir-ns", "off"], ["weir-ns", "on"]])' "$T/r.json"
	jq -e '.figures | all(.name != "transactions" or .median > 500)' "$T/r.json"
	jq -e '[.figures[] | select(.name == "CPUs of the switch" and .median > 0).labels.path] | unique == ["weir-ns"]' \
		"$T/r.json"
}
it "paths of its own are measured with and without steering" made

# Paths take turns: after whatever number of rounds each has been measured as often as its neighbours, or once
# more. What it cost is of the time that counted.
in_turn() {
	local status seconds
	for seconds in 4 8 16; do # a busy machine may not be through the first round before
		status=0
		timeout --preserve-status -s INT $seconds "$WEIR" bench fair --through veth,weir-ns --endpoints 1,2 --flows 4 \
			--load rr --omit 100ms --time 50ms --repeat 1000 --quiet -j >"$T/r.json" || status=$?
		[[ $status = 1 && $(jq -r .why_incomplete "$T/r.json") = interrupted ]]
		[[ $(jq '[.figures[] | select(.name == "transactions")] | length' "$T/r.json") != 4 ]] || break
	done
	"$TESTS/lib/valid-result" "$T/r.json"
	jq -e '[.figures[] | select(.name == "transactions").values | length] | length == 4 and max - min <= 1 and
		max >= 1' "$T/r.json"
	# What is worked out from the rates of a round is there for each that had some: of zeros there is no spread.
	# A median is there from the first answer on; p99 wants more of them than a short round has.
	jq -e 'def n($name; counts): [.figures[] | select(.name == $name) |
			{"\(.labels.path) \(.labels.endpoints)": ([.values[] | select(counts)] | length)}] | add;
		n("transactions"; . > 0) as $n | n("skew"; true) == $n and n("cv"; true) == $n and n("jain"; true) == $n and
		(n("latency p50"; true) as $p50 | $n | all(to_entries[]; $p50[.key] >= .value)) and
		([.figures[] | select(.name == "host CPUs busy").values[]] | length) == ([.cpu[] | select(.busy != null)] | length) and
		([.figures[] | select(.name == "CPUs of the switch").values[]] | length) ==
			([.cpu[] | select(.labels.path == "weir-ns")] | length)' "$T/r.json"
	# Of each that has values; the interruption may come before the last one's first.
	jq -e '([.figures[] | select(.name == "transactions" and .values != [])] | length) as $n |
		[.latencies[]] | length == $n and all(.labels.repeat == null)' "$T/r.json"
	jq -e '[.cpu[].labels | select(.path == "veth" and .endpoints == "1").repeat | tonumber] | . == [range(1; length + 1)]' \
		"$T/r.json"
}
it "paths and numbers of endpoints are measured in turn, round by round" in_turn

rounds_of_paths() {
	weir bench paths --paths veth --vms 4 --time 100ms --omit 400ms --repeat 2 --quiet -j >"$T/r.json" &&
		"$TESTS/lib/valid-result" "$T/r.json" || return
	# What is counted is there of each round. What is worked out from it is there for each that was not zero; CPU
	# is of each whose CPUs were there at both its ends.
	jq -e '.complete and (.cpu | length == 12) and
		([.figures[] | select(.name == "throughput").values | length] == [2, 2, 2, 2]) and
		([.figures[] | select(.name == "transactions").values | length] == [2, 2]) and
		([.figures[] | select(.name == "skew").values[]] | length) == ([.figures[] | select(.labels.test == "all pairs" and
			(.name == "throughput" or .name == "transactions")).values[] | select(. > 0)] | length) and
		([.figures[] | select(.name == "host CPUs busy").values[]] | length) == ([.cpu[] | select(.busy != null)] | length) and
		([.figures[] | select(.name == "host CPU a Gbit").values[]] | length) >=
			([.figures[] | select(.name == "throughput").values[] | select(. > 0)] | length) -
			([.cpu[] | select(.busy == null)] | length)' "$T/r.json" || return
	# Without the warm-up; the median, for now and then a CPU is not there at the end of one.
	jq -e '[.cpu[].seconds] | sort | .[6] < 0.3' "$T/r.json"
}
it "the rounds of a path are one figure, and its cost is of the time that counted" thrice rounds_of_paths

# No CPU makes 900 Gbit/s of this: stream says so.
paths_warn() {
	weir bench paths --paths veth --vms 2 --rate 900Gbit --time 100ms --omit 0s --repeat 1 --quiet -j >"$T/r.json"
	jq -c .warnings "$T/r.json"
	jq -e '.warnings | any(test("^path veth: stream at a rate: of what was offered at ns:vm1, up to "))' "$T/r.json"
}
it "what a path's instruments warn of, the result of the paths says" paths_warn

# nothing_left: of processes and namespaces, apart from those that this test has made
nothing_left() {
	until_ok 2 not pgrep -f 'weir bench|weir.yaml'
	[[ $(ip netns list | wc -l) = 7 ]]
	not ip link show eth1
}

# In the bed of a measurement that runs: a command beside vm1.
in_bed() {
	local bed
	bed=$(pgrep -f 'switch -c /run/weir.yaml')
	nsenter -t "$bed" -m ip netns exec vm1 "$@"
}
ended_early() { # HOW REASON
	local status=0
	weir bench fair --through weir-ns --endpoints 2 --queues 2 --rps on --omit 0s --time 20s --repeat 3 \
		--quiet -j >"$T/r.json" 2>"$T/r.err" &
	until_ok 10 in_bed ip -4 addr show dev eth0
	until_ok 5 in_bed sh -c 'ss -Htn state established | grep -q .'
	in_bed cat /sys/class/net/eth0/queues/rx-{0,1}/rps_cpus >"$T/masks"
	sleep 0.7
	$1
	wait $! || status=$?
	[[ $status = 1 ]]
	not grep -qvE '[1-9a-f]' "$T/masks"
	jq -e --arg r "$2" '.complete == false and (.why_incomplete | test($r)) and
		(.figures | any(.name == "throughput" and .median > 1e6))' "$T/r.json"
	nothing_left
}
on_sigint() { pkill -INT -of 'weir bench fair'; }
on_sigterm() { pkill -TERM -of 'weir bench fair'; }
without_switch() { pkill -KILL -f 'switch -c /run/weir.yaml'; }
without_agent() { pkill -KILL -nf 'weir bench fair'; }
it "SIGINT ends it early: what was measured is kept and marked, what was made is removed" ended_early \
	on_sigint '^interrupted$'
it "so does SIGTERM" ended_early on_sigterm '^interrupted$'
it "so does the end of the switch, which is said" ended_early without_switch 'the switch has ended'
it "so does the end of an endpoint" ended_early without_agent 'vanished'

killed() {
	weir bench fair --through weir-ns --endpoints 2 --time 20s --noise 64b --quiet >/dev/null 2>&1 &
	until_ok 10 in_bed ip -4 addr show dev eth0
	sleep 0.5
	pkill -KILL -of 'weir bench fair'
	wait $! || true
	nothing_left
}
it "killed, it leaves nothing behind either" killed

refusals() {
	usage() { # PATTERN ARGS...
		local status=0
		weir bench fair "${@:2}" >"$T/out" 2>&1 || status=$?
		[[ $status = 2 ]]
		says "$1" <"$T/out"
	}
	usage 'which endpoints' ns:e1
	usage "there is no 'ovs'; there are: veth, weir-ns, bridge, " --through ovs
	usage "there is no 'loud'; there are: none, frames, 64b, connections" --through veth --noise loud
	usage "'65' is no number of 1 to 64" --through veth --endpoints 1,65
	usage "'0' is no number of 1 to 16" --through veth --queues 0
	usage 'flows 10 cannot be shared out evenly to 4' --through veth --endpoints 4 --flows 10
	usage '--endpoints 3: there are 2' ns:e1 ns:e2 ns:srv --endpoints 3
	usage '--noise between your own.*--neighbour' ns:e1 ns:srv --noise frames
	usage '--neighbour.*if:x is no namespace' ns:e1 ns:srv --noise frames --neighbour ns:n1,if:x
	usage '--queues and --rps are of' ns:e1 ns:srv --queues 2
	usage '--queues and --rps are of namespaces' --through bridge --queues 2
	usage 'vm:x cannot serve several' ns:e1 ns:e2 vm:x
	usage "'ns:e1' is too much" --through veth ns:e1
	refused weir bench fair ns:e1 ns:nosuch | says 'no such namespace; there are: .*srv'
}
it "bad options and endpoints are refused in one sentence" refusals
