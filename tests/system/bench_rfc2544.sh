#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What `weir bench rfc2544` finds, against a token bucket of known rate.
# timeout: 180
# alone: plain
. "$(dirname "$0")/lib.sh"

# A path of two veths and a bridge, whose way out to `right` is the bucket: 16 Mbit/s of frames of 1000
# bytes (as the kernel counts, without FCS) are 2000 frames/s. What it holds back is 10 frames and 2 in
# the bucket: in a trial of 1 s that is half a percent.
RATE=2000 SIZE=1000 BURST=2000 QUEUE=10000

bed() {
	endpoint left right
	ip link add name br0 type bridge && ip link set br0 up
	for side in left right; do
		ip link add "p$side" type veth peer name v0 netns "$side"
		ip link set "p$side" master br0 up
		ip -n "$side" link set v0 up
	done
	tc qdisc add dev pright root tbf rate $((RATE * SIZE * 8))bit burst $BURST limit $QUEUE
	until_ok 5 eval 'ip -n left link show v0 | has "state UP"'
}

# rfc2544 ARGS...: into $T/result.json.
rfc2544() {
	weir bench rfc2544 "$@" --size $SIZE --quiet -j >"$T/result.json" ||
		{ cat "$T/result.json"; return 1; }
}

# figure NAME: the value of the first repeat.
figure() {
	jq --arg name "$1" '.figures[] | select(.name == $name) | .values[0]' "$T/result.json"
}

between() { # WHAT LEAST VALUE MOST
	jq -en --argjson v "${3:-null}" "\$v >= $2 and \$v <= $4" >/dev/null ||
		{ echo "$1 is ${3:-missing}, not $2 to $4"; jq -c '.warnings, .searches[0]' "$T/result.json"; return 1; }
}

finds_the_rate() { # by && throughout: in a list of alternatives the shell's -e is off
	rfc2544 if:left/v0 if:right/v0 --max-rate 9k --repeat 1 --omit 100ms &&
		jq -c '[.seconds, .warnings]' "$T/result.json" &&
		between throughput $((RATE * 99 / 100)) "$(figure throughput)" $((RATE * 101 / 100)) &&
		between 'least rate that failed' "$(figure throughput)" "$(figure 'least rate that failed')" \
			$((RATE * 1015 / 1000)) &&
		jq -e '.searches[0].trials | (length >= 4) and any(.verdict == "pass") and
			all(.loss == (.offered - .received) / .offered)' "$T/result.json"
}

# A path that carries 2000 frames/s, and when more came drops every 10th for 200 ms from then on. At half
# of the overload, 1100 frames/s, the last of those is dropped up to 9 ms before that time is over.
finds_the_recovery() {
	local path status=0
	"$TESTS/system/faulty_path.py" left t1 right t2 0 0 --police 2000,50,0.2 >"$T/path.out" &
	path=$!
	until_ok 5 grep -q ready "$T/path.out" &&
		ip -n left link set t1 up txqueuelen 10000 &&
		ip -n right link set t2 up txqueuelen 10000 &&
		rfc2544 if:left/t1 if:right/t2 --max-rate 2300 --repeat 1 --omit 0s --procedure recovery \
			--time 600ms --wait 250ms &&
		jq -c '[.seconds, .warnings]' "$T/result.json" &&
		between recovery 0.185 "$(figure 'recovery from overload')" 0.205 || status=1
	kill "$path"
	return $status
}

# Whatever it finds here: the result says for what was searched, and what of the preset was changed.
says_its_goal() {
	rfc2544 if:left/v0 if:right/v0 --preset csit-pdr --max-rate 500 --repeat 1 --omit 0s --time 20ms --wait 20ms --both
	"$TESTS/lib/valid-result" "$T/result.json"
	jq -e '.figures | all(.labels.preset == "csit-pdr, changed: time 0.02s, max-rate 500 frame/s, wait 0.02s" and
		.labels.load == "each direction")' "$T/result.json"
	jq -e '.searches[0] | .goal.preset == "csit-pdr" and .goal.loss_ratio == 0.005 and .goal.exceed_ratio == 0.5 and
		.goal.changed == ["time 0.02s", "max-rate 500 frame/s", "wait 0.02s"] and .goal.max_load == 500 and
		.goal.final_trial_duration == 0.02 and .goal.learn_wait == 0.005 and
		.goal.load == "each direction" and .goal.result == "conditional throughput" and
		.result == .conditional' "$T/result.json"
}

# A path of 2000 frames/s whose endpoints take a million: parts are of what it carries.
latency_at_parts_of_it() {
	rfc2544 if:left/v0 if:right/v0 --preset quick --max-rate 9k --repeat 1 --omit 0s --time 100ms \
		--procedure loads
	"$TESTS/lib/valid-result" "$T/result.json"
	jq -e '(.figures[] | select(.name == "relevant lower bound").values[0]) as $found | [.latencies[] |
		select(.mode == "sent") | [.name, .labels.rate]] == [10, 50, 90 | ["at \(.) % of throughput",
		"\($found * . / 100 | floor) frame/s"]]' "$T/result.json"
}
# What is at N % of throughput is so of what is reported: here of what was delivered, not of what was offered then.
# A path that drops each 300th, where half a percent may be lost, makes two of them.
latency_at_parts_of_what_is_reported() {
	"$TESTS/system/faulty_path.py" left t1 right t2 300 0 >"$T/path.out" &
	until_ok 5 grep -q ready "$T/path.out"
	ip -n left link set t1 up txqueuelen 10000
	ip -n right link set t2 up txqueuelen 10000
	rfc2544 if:left/t1 if:right/t2 --preset csit-pdr --max-rate 2500 --repeat 1 --omit 0s --time 100ms --wait 20ms \
		--procedure loads
	kill $!
	"$TESTS/lib/valid-result" "$T/result.json"
	jq -c '.figures[] | [.name, .values[0]]' "$T/result.json"
	jq -e '(.figures[] | select(.name == "throughput").values[0]) as $found | [.latencies[] |
		select(.mode == "sent") | [.name, .labels.rate]] == [10, 50, 90 | ["at \(.) % of throughput",
		"\($found * . / 100 | floor) frame/s"]]' "$T/result.json"
}
# Of a path that holds back a dozen frames; a veth names 10 Gbit/s, but is no link.
bursts_are_told() {
	rfc2544 if:left/v0 if:right/v0 --preset quick --max-rate 5k --repeat 1 --omit 0s --time 100ms --wait 50ms \
		--procedure burst --burst-max 100ms --burst-step 3 &&
		"$TESTS/lib/valid-result" "$T/result.json" &&
		jq -c '.figures[] | [.name, .unit, .values]' "$T/result.json" &&
		jq -e '[.figures[] | {(.name): .values}] | add | (."back-to-back frames" | length == 2 and
		all(. >= 3 and . <= 498 and . % 3 == 0)) and ."longest burst tried" == [498] and
		."step of bursts" == [3] and has("buffer, corrected, in time") and
		(has("theoretical frame rate") | not)' "$T/result.json" &&
		jq -e '.warnings | any(test("no link whose theoretical frame rate is known"))' "$T/result.json"
}
# Where the goal allows loss there is a search without: RFC 9004 takes off what was forwarded then.
zero_loss_is_a_search() {
	rfc2544 if:left/v0 if:right/v0 --preset csit-pdr --max-rate 5k --repeat 1 --omit 0s --time 20ms --wait 20ms \
		--procedure burst --burst-max 20ms
	"$TESTS/lib/valid-result" "$T/result.json"
	jq -c '.searches[] | [.name, .result, .goal.loss_ratio, .goal.result, (.trials | length)]' "$T/result.json"
	jq -e '(.figures[] | select(.name == "throughput without loss").values[0]) as $found | .searches | length == 2 and
		.[0].goal.loss_ratio == 0.005 and (.[1] | .name == "throughput without loss" and .result == $found and
		.lower == $found and .goal.loss_ratio == 0 and .goal.result == "relevant lower bound" and
		(.trials | length > 1))' "$T/result.json"
}
percent_is_of_the_sender() {
	weir bench frames if:left/v0 if:right/v0 --rate 40% --size $SIZE --time 300ms --omit 0s --repeat 1 \
		--quiet -j >"$T/result.json"
	jq -e '.figures[] | select(.name == "sent").labels.rate == "40% of what if:left/v0 takes"' "$T/result.json"
	jq -e '.warnings | any(test("--rate 40% is of what if:left/v0 takes, .* frame/s, and the path lost [0-9.]+ %"))' \
		"$T/result.json"
}

refusals() {
	usage() { # PATTERN ARGS...
		local status=0
		weir bench rfc2544 "${@:2}" >"$T/out" 2>&1 || status=$?
		[[ $status = 2 ]]
		says "$1" <"$T/out"
	}
	usage "no preset is called 'ndr'; there are: rfc2544" if:a if:b --preset ndr
	usage "none called 'speed'; there are throughput" if:a if:b --procedure latency,speed
	usage '^[^ ]*: .*--max-rate wants frames/s' if:a if:b --max-rate fast
	usage 'two endpoints; 1 were' if:a
	usage 'frames of one size .RFC 9004., not .imix.' if:a if:b --size imix --procedure burst
	usage "no such option '--rate'" if:a if:b --rate 10
}

ip link set lo up
bed
# Half a percent and a queue of 5 ms are seen on CPUs of one's own only: a machine that takes them away now
# and then does not do it each time, a search that is wrong is wrong each time. A sanitized build is too slow.
[[ -n ${WEIR_SANITIZED-} ]] ||
	alone it "throughput through a token bucket is found within 1 % of its rate" thrice finds_the_rate
[[ -n ${WEIR_SANITIZED-} ]] ||
	alone it "the time a path takes to recover from an overload is found to 10 ms" thrice finds_the_recovery
it "a result says what was searched for, and what of the preset was changed" says_its_goal
it "latency is measured at 10, 50 and 90 % of the throughput that was found, and says the rates" \
	latency_at_parts_of_it
it "of a preset that reports what was delivered, these are parts of that" latency_at_parts_of_what_is_reported
it "back-to-back frames are told each time, with the longest tried and the step" thrice bursts_are_told
it "the throughput without loss that they are corrected by is told with its search" zero_loss_is_a_search
it "a percentage of what the sender takes is called so, and warns when the path loses it" percent_is_of_the_sender
it "presets, procedures and rates that are none are refused in one sentence" refusals
