#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What `weir bench frames` counts, against the counters of the kernel and of the switch.
# timeout: 120
# cpus: 3
. "$(dirname "$0")/lib.sh"

SECOND="--time 1s --omit 0s --repeat 1 --quiet -j"

# frames ARGS...: runs the generator into $T/result.json.
frames() {
	weir bench frames "$@" >"$T/result.json" || { cat "$T/result.json"; return 1; }
}

# figure NAME DIRECTION-OR-ENDPOINT: the value of the last repeat.
figure() {
	jq --arg name "$1" --arg of "$2" '.figures[] | select(.name == $name and
		(.labels.direction == $of or .labels.endpoint == $of)) | .values[-1]' "$T/result.json"
}

# counter NS DEVICE WHICH
counter() {
	ip -n "$1" -s -j link show "$2" | jq ".[0].stats64.$3.packets"
}

equal() { # WHAT A B
	[[ $2 = "$3" ]] || { echo "$1: $2 and $3"; return 1; }
}

veth() {
	local two="numtxqueues 2 numrxqueues 2"
	endpoint left right
	# shellcheck disable=SC2086
	ip -n left link add name va $two type veth peer name vb $two netns right
	ip -n left link set va up
	ip -n right link set vb up
	until_ok 5 eval 'ip -n left link show va | has "state UP"'
}

# exact_over_veth KIND OPTION...
exact_over_veth() {
	local a=$1:left/va b=$1:right/vb tx rx was=() pair
	for pair in "left va" "right vb"; do
		# shellcheck disable=SC2086
		was+=("$(counter $pair tx)" "$(counter $pair rx)")
	done
	# shellcheck disable=SC2086
	frames "$a" "$b" --rate 20k --both "${@:2}" $SECOND
	for pair in "0 left va $a $b" "2 right vb $b $a"; do
		# shellcheck disable=SC2086
		set -- $pair
		tx=$(($(figure 'frames sent' "$4 to $5") + $(figure 'learning frames sent' "$4")))
		rx=$(($(figure 'frames arrived' "$4") + $(figure 'frames missed by the sink' "$4")))
		equal "sent from $4" "$tx" $(($(counter "$2" "$3" tx) - was[$1]))
		equal "received at $4" "$rx" $(($(counter "$2" "$3" rx) - was[$1 + 1]))
		equal "all told apart at $4" "$(figure 'frames arrived' "$4")" $(($(figure 'frames received' \
			"$5 to $4") + $(figure 'learning frames received' "$4") + $(figure 'foreign frames' "$4")))
		equal "lost after $4" "$(figure 'frames lost' "$4 to $5")" \
			"$(figure 'frames missed by the sink' "$5")"
		equal "doubled or swapped after $4" "0 0" \
			"$(figure 'frames duplicated' "$4 to $5") $(figure 'frames reordered' "$4 to $5")"
	done
}

over_xdp() {
	exact_over_veth xdp --size imix --flows 7 --macs 3
	not eval "ip -n left link show va | has -e PROMISC -e xdp"
	refused weir bench frames xdp:left/va if:right/vb --size 1515 | says 'MTU of 1500'
}

by_another_name() {
	local name=the-interface-that-leads-to-the-other-namespace-of-this-test tap=tap-with-a-long-name
	ip -n left link property add dev va altname "$name"
	for name in "if:left/$name" "xdp:left/$name"; do
		frames "$name" if:right/vb --rate 1000 --time 50ms --omit 0s --repeat 1 --quiet -j
		[[ $(figure 'frames received' "$name to if:right/vb") -gt 0 ]]
	done
	ip -n left tuntap add weir9 mode tap
	ip -n left link property add dev weir9 altname "$tap"
	frames "tap:left/$tap" if:left/weir9 --rate 1000 --time 50ms --omit 0s --repeat 1 --quiet -j
	[[ $(figure 'frames received' "tap:left/$tap to if:left/weir9") -gt 0 ]]
	ip -n left link del weir9
}

# Of each generator, in each direction: frames of its own flows, numbered by itself.
over_several_cpus() {
	exact_over_veth if --size 60 --flows 5 --cpus "$(two_cpus)"
	jq -c .warnings "$T/result.json"
	exact_over_veth xdp --size 60 --flows 5 --cpus "$(two_cpus)"
}

two_cpus() {
	taskset -pc $$ | sed 's/.*: //' | tr , '\n' | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }' |
		tail -n 2 | paste -sd,
}

# What the generator says it held, the counters must show.
rate_held() { # OPTION...
	local before after
	before=$(counter left va tx)
	frames if:left/va if:right/vb --rate 5000 "$@" --time 2s --omit 0s --repeat 1 --quiet -j
	after=$(counter left va tx)
	if jq -e '.warnings[] | select(test("did not hold|took no more|was the limit: if:left/va"))' \
		"$T/result.json"; then
		echo "the generator says that it did not hold the rate here"
		[[ $((after - before - 1)) -lt 9990 ]]
	else
		[[ $((after - before - 1)) -ge 9990 && $((after - before - 1)) -le 10010 ]]
	fi
	equal offered 10000 "$(figure 'frames offered' 'if:left/va to if:right/vb')"
}

held_by_one_and_two_cpus() {
	rate_held
	rate_held --cpus "$(two_cpus)"
}

# More than any CPU makes: its generator says so, and that what was not sent is missing.
says_when_it_is_the_limit() {
	frames if:left/va if:right/vb --rate 100M --time 300ms --omit 0s --repeat 1 --quiet -j
	jq -c .warnings "$T/result.json"
	jq -e '.warnings | any(test("the generator was the limit|took no more|CPU was taken away"))' \
		"$T/result.json"
	jq -e '[.figures[] | select(.name == "frames offered" or .name == "frames sent").values[0]] |
		.[0] > 20000000 and .[1] < .[0] / 2' "$T/result.json"
	frames if:left/va if:right/vb --rate max --time 300ms --omit 0s --repeat 1 --quiet -j
	jq -e '.warnings | any(test("generator was the limit: if:left/va.*--cpus"))' "$T/result.json"
}

finds_what_was_spoiled() {
	local d="if:left/t1 to if:right/t2" path
	"$TESTS/system/faulty_path.py" left t1 right t2 100 5 --twice 150 --swap 170 --report "$T/did.json" \
		>"$T/path.out" &
	path=$!
	until_ok 5 grep -q ready "$T/path.out"
	ip -n left link set t1 up txqueuelen 10000
	ip -n right link set t2 up txqueuelen 10000
	frames if:left/t1 if:right/t2 --rate 4k --size 600 --frames 3400 --time 10s --omit 0s --repeat 1 \
		--wait 1s --quiet -j
	kill -TERM "$path"
	wait "$path"
	cat "$T/did.json"
	equal sent 3400 "$(figure 'frames sent' "$d")"
	equal lost "$(jq .dropped "$T/did.json")" "$(figure 'frames lost' "$d")"
	equal duplicated "$(jq .twice "$T/did.json")" "$(figure 'frames duplicated' "$d")"
	equal reordered "$(jq .swapped "$T/did.json")" "$(figure 'frames reordered' "$d")"
	[[ $(jq .dropped "$T/did.json") -ge 34 && $(jq .twice "$T/did.json") -ge 11 &&
		$(jq .swapped "$T/did.json") -ge 17 ]]
	jq -e '.latencies[0] | .count == 3366 and .min >= 5000000 and .min < 20000000' "$T/result.json"
	# What was dropped is above every latency; from when it was due, none is shorter than from its hand-over.
	jq -e '.latencies | map(.mode) == ["sent", "open"] and all(.lost == 34 and .timeout == 1000000000 and
		.p99 > 0 and .beyond == ["p99.9", "p99.99", "max"]) and .[1].mean >= .[0].mean' "$T/result.json"
	"$TESTS/lib/valid-result" "$T/result.json"
}

exact_through_the_switch() {
	local a=vhost-user:$T/1.sock b=vhost-user:$T/2.sock
	# shellcheck disable=SC2086
	frames "$a" "$b" --rate max --size 60 --macs 5 --wait 1s $SECOND
	echo "sent $(figure 'frames sent' "$a to $b")"
	# shellcheck disable=SC2016 # jq's variables
	show ports --argjson tx $(($(figure 'frames sent' "$a to $b") +
		$(figure 'learning frames sent' "$a"))) '.[] | select(.name == "vm1").rx.frames == $tx'
	# shellcheck disable=SC2016
	show ports --argjson rx "$(figure 'frames arrived' "$b")" \
		'.[] | select(.name == "vm2").tx.frames == $rx'
	[[ $(figure 'frames received' "$a to $b") -gt 10000 ]]
	jq -c .cpu "$T/result.json"
	# Both spin all the time, which no frame costs.
	jq -e '.cpu[0] | .busy > 0 and .per_mframes > 0 and .spun > 0.1 and
		([.threads[].name] | index("generator") and index("sink"))' "$T/result.json"
	[[ $(figure 'frames astray' "$a") = 0 && $(figure 'foreign frames' "$b") = 0 ]]
	# Each learnt where the other is, so nothing was flooded.
	show macs '[.[] | select(.port == "vm1")] | length == 5'
}

# Each repeat has threads of its own; no buffers stay behind with those that ended.
repeats_last() {
	local a=vhost-user:$T/1.sock b=vhost-user:$T/2.sock
	frames "$a" "$b" --rate 50k --time 10ms --omit 0s --wait 10ms --repeat 60 --quiet -j
	jq -c '.figures[] | select(.name == "frames sent").values' "$T/result.json"
	jq -e '[.figures[] | select(.name == "frames sent").values[-20:][]] | add > 1000' "$T/result.json"
}

# testpmd between two vhost ports counts the same frames as the generator between two guests.
exact_through_testpmd() {
	local a=vhost-user:$T/v0 b=vhost-user:$T/v1 pid
	mkfifo "$T/orders"
	dpdk-testpmd --lcores "0@${WEIR_CPUS%%,*},1@${WEIR_CPUS##*,}" --no-huge -m 256 --no-pci --no-shconf \
		--no-telemetry --vdev "net_vhost0,iface=$T/v0" --vdev "net_vhost1,iface=$T/v1" -- -i \
		--nb-cores=1 --total-num-mbufs=8192 --no-mlockall <"$T/orders" >"$T/testpmd.log" 2>&1 &
	pid=$!
	exec 7>"$T/orders"
	until_ok 15 grep -q 'testpmd>' "$T/testpmd.log"
	echo start >&7
	# shellcheck disable=SC2086
	frames "$a" "$b" --rate 20k --both --wait 1s $SECOND
	printf 'stop\nquit\n' >&7
	exec 7>&-
	wait "$pid"
	sed -n '/Forward statistics/,/++++/p' "$T/testpmd.log"
	for i in 0 1; do
		local to=("$a" "$b" "$a")
		equal "received by port $i" "$(sed -n "/statistics for port $i/,/---\$/s/.*RX-packets: \([0-9]*\).*/\1/p" \
			"$T/testpmd.log")" $(($(figure 'frames sent' "${to[i]} to ${to[i + 1]}") +
			$(figure 'learning frames sent' "${to[i]}")))
		equal "sent by port $i" "$(sed -n "/statistics for port $i/,/---\$/s/.*TX-packets: \([0-9]*\).*/\1/p" \
			"$T/testpmd.log")" "$(figure 'frames arrived' "${to[i]}")"
	done
}

# What lies in the ring of a guest when its port goes is lost, and was not sent.
waits_for_a_switch_that_has_no_cpu() {
	local a=vhost-user:$T/1.sock b=vhost-user:$T/2.sock before pid
	before=$(vm1_frames)
	weir bench frames "$a" "$b" --rate 800 --cpus "$(two_cpus)" --time 1s --omit 0s --repeat 1 \
		--wait 100ms --quiet -j \
		>"$T/result.json" &
	pid=$!
	until_ok 5 more "vm1_frames" $((before + 20))
	kill -STOP "$switch_pid"
	sleep 1.5
	kill -CONT "$switch_pid"
	wait "$pid"
	equal sent "$(vm1_frames)" $((before + $(figure 'frames sent' "$a to $b") +
		$(figure 'learning frames sent' "$a")))
	equal received "$(figure 'frames sent' "$a to $b")" "$(figure 'frames received' "$a to $b")"
}

vm1_frames() {
	weir show ports -j | jq '.[] | select(.name == "vm1").rx.frames'
}

as_a_server() {
	local a=vhost-user:$T/door.sock,server b=vhost-user:$T/2.sock pid
	"$WEIR" bench frames "$a" "$b" --rate 5k --time 1s --omit 0s --repeat 1 --quiet -j >"$T/result.json" &
	pid=$!
	until_ok 5 test -S "$T/door.sock"
	weir port add vm3 vhost-user="$T/door.sock" mode=client
	wait "$pid"
	[[ $(figure 'frames received' "$a to $b") -gt 1000 ]]
	not test -e "$T/door.sock"
}

over_a_tap() {
	local d="tap:weir7 to if:weir7"
	# shellcheck disable=SC2086
	frames tap:weir7 if:weir7 --rate 5k $SECOND
	[[ $(figure 'frames received' "$d") = "$(figure 'frames sent' "$d")" ]]
	[[ $(figure 'frames received' "$d") -gt 1000 ]]
	not ip link show weir7
	# A switch is given the time to learn that was asked for.
	frames tap:weir7 if:weir7 --rate 1k --time 10ms --omit 0s --repeat 1 --wait 10ms --learn-wait 700ms --quiet -j
	jq -e '.seconds >= 0.72' "$T/result.json"
}

interrupted() {
	local status=0 pid
	"$WEIR" bench frames tap:weir8 if:left/va --rate 1000 --time 20s --omit 0s --repeat 1 --quiet -j >"$T/cut.json" &
	pid=$!
	until_ok 5 ip link show weir8
	sleep 1
	kill -INT "$pid"
	wait "$pid" || status=$?
	equal status 1 "$status"
	jq -e '.complete == false and .why_incomplete == "interrupted" and
		(.figures[] | select(.name == "frames sent").values[0] > 100)' "$T/cut.json"
	not ip link show weir8
}

vanishes() {
	local status=0 pid
	weir bench frames if:left/va if:right/vb --rate 1000 --time 20s --omit 0s --repeat 1 --quiet -j \
		>"$T/cut.json" 2>"$T/cut.err" &
	pid=$!
	sleep 1
	ip -n left link del va
	wait "$pid" || status=$?
	equal status 1 "$status"
	jq -e '.complete == false and (.why_incomplete | test("gone"))' "$T/cut.json"
	says 'if:(left/va|right/vb): gone' <"$T/cut.err"
}

refusals() {
	usage() { # PATTERN ARGS...
		local status=0
		weir bench frames "${@:2}" >"$T/out" 2>&1 || status=$?
		equal status 2 "$status"
		says "$1" <"$T/out"
	}
	usage 'no endpoint.*if:.*vhost-user' eth0 if:lo
	usage 'two endpoints' if:lo
	usage 'both endpoints' if:lo if:lo
	usage '60 to 9018' if:lo tap:x --size 59
	refused weir bench frames if:nosuch tap:x | says "no interface 'nosuch'"
	refused weir bench frames if:nosuchns/a tap:x | says "no network namespace 'nosuchns'"
	refused weir bench frames if:left/va if:right/vb --size 1515 | says 'MTU of 1500'
}

# Over a tree of our own in place of the host's devices.
pci_devices() {
	local name devices=/sys/bus/pci/devices
	mount -t tmpfs none "$devices"
	mkdir "$devices/0000:01:00.0" "$devices/0000:01:00.1"
	ln -s /sys/bus/pci/drivers/ixgbe "$devices/0000:01:00.0/driver"
	refused weir bench frames dpdk:02:00.0 if:left/va | says 'there is no PCI device 0000:02:00.0'
	refused weir bench frames if:left/va dpdk:01:00.0,x=1 |
		says 'drives it with ixgbe.*dpdk-devbind.py --bind=vfio-pci 0000:01:00.0'
	refused weir bench frames dpdk:0000:01:00.1 if:left/va | says 'has no driver'
	umount "$devices"
	for name in e1000_igb ixgbe i40e iavf ice igc bnxt ena vmxnet3 virtio; do
		grep -aq "\"name\": \"net_$name\"" "$WEIR" || { echo "no driver net_$name"; return 1; }
	done
}

ip link set lo up
veth
it "frames sent and received over a veth are exactly those that the kernel counted" \
	exact_over_veth if --size imix --flows 7 --macs 3
it "so they are by AF_XDP, on all queues, and the veth is afterwards as before" over_xdp
it "an interface goes by each of its names" by_another_name
it "so they are from several generator CPUs, none doubled nor out of order" over_several_cpus
it "a rate that the generator says it held is held to 0.1 %, by the kernel's counter, from one CPU and from two" \
	held_by_one_and_two_cpus
it "a generator that is the limit says so" says_when_it_is_the_limit
it "lost, doubled, swapped and delayed frames are found exactly" finds_what_was_spoiled
it "what a TAP endpoint sends arrives, and the TAP goes with it" over_a_tap
it "interrupted, it keeps what was measured, marked incomplete, and leaves nothing behind" interrupted
it "bad endpoints and sizes are refused in one sentence" refusals
it "cards of many makers have a driver, and what keeps one from a card is said with its remedy" pci_devices
it "an endpoint that vanishes ends it, with what was measured until then" vanishes

if command -v dpdk-testpmd >/dev/null; then
	it "frames through testpmd are exactly those that it counted" exact_through_testpmd
else
	skip "frames through testpmd are exactly those that it counted" "dpdk-testpmd is not installed"
fi

config <<-END
	ports:
	  vm1: {vhost-user: $T/1.sock, queues: 2}
	  vm2: {vhost-user: $T/2.sock}
END
switch_start
it "frames through the switch are exactly those that its ports counted" exact_through_the_switch
it "frames that a switch without a CPU leaves in two rings are waited for" waits_for_a_switch_that_has_no_cpu
it "sixty repeats later the generator still sends" repeats_last
it "as a vhost-user server it waits for the switch, and removes its socket" as_a_server
