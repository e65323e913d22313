#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What all instruments of `weir bench` share, with `stream` as the example: options, table, JSON,
# directory, interruption, help.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a b
ip link add va netns a type veth peer name vb netns b
address a va 10.9.0.1/24
address b vb 10.9.0.2/24
stream=(weir bench stream ns:a ns:b --rate 100Mbit --omit 0s)

json() {
	"${stream[@]}" --time 100ms --repeat 3 -j >"$T/j.json" 2>"$T/err"
	"$TESTS/lib/valid-result" "$T/j.json"
	not test -s "$T/err" # progress is for terminals
	jq -e '.complete and .instrument == "stream" and
		.command == ["weir", "bench", "stream", "ns:a", "ns:b", "--rate", "100Mbit", "--omit", "0s",
			"--time", "100ms", "--repeat", "3", "-j"]' "$T/j.json"
	jq -e '[.figures[].values | length] | length > 0 and all(. <= 3)' "$T/j.json"
	jq -e '.conditions.kernel == $kernel' --arg kernel "$(uname -r)" "$T/j.json"
	jq -e '.seconds > 0.3 and .seconds < 30' "$T/j.json"
}
it "-j prints one document, as the schema says" json

table() {
	"${stream[@]}" --time 100ms --repeat 2 -o "$T/new" >"$T/table"
	says '^of: .*protocol=tcp' '^FIGURE +MEDIAN +MIN +MAX ' '^HOST CPU ' <"$T/table"
	"$TESTS/lib/valid-result" "$T/new/result.json"
	# What the table says of the first figure is what the document says.
	jq -r '.figures[0].name' "$T/new/result.json" | xargs -I{} grep -q '^{} ' "$T/table"
}
it "a table is printed, and -o makes a directory with the same in JSON" table

interrupt() { # SIGNAL: after one of many repeats
	local status=0 pid
	"$WEIR" bench stream ns:a ns:b --rate 100Mbit --omit 0s --time 300ms --repeat 100 -j >"$T/int.json" &
	pid=$!
	sleep 2.5
	kill "-$1" "$pid"
	wait "$pid" || status=$?
	[[ $status = 1 ]]
	"$TESTS/lib/valid-result" "$T/int.json"
	jq -e '.complete == false and .why_incomplete == "interrupted"' "$T/int.json"
	jq -e '.figures[0].values | length >= 1 and length < 100' "$T/int.json"
}
it "SIGTERM keeps what was measured so far, marked incomplete" interrupt TERM

usage() { # PATTERN WORD...: status 2 and one sentence
	local status=0
	"$WEIR" bench "${@:2}" >"$T/out" 2>"$T/err" || status=$?
	[[ $status = 2 && ! -s $T/out && $(wc -l <"$T/err") = 1 ]]
	says "$1" <"$T/err"
}
it "no instrument is a usage error that names them" usage 'there are: .*stream'
it "so is one that does not exist" usage "no such instrument 'strem'; there are: .*stream" strem
it "and a duration without unit" usage "bench stream: --time: '5' has no unit" stream ns:a ns:b --time 5

helps() {
	weir bench --help | says '^usage: weir bench INSTRUMENT' '^  stream ' '--until'
	weir help bench stream | says '^usage: weir bench stream ' '--until'
	diff <(weir bench stream --help) <(weir help bench stream)
}
it "each instrument has help of its own, with what all have" helps

manual() { # has the options that the help ends with, all of them and no others
	diff <(weir bench stream --help | sed -nE '/^  --repeat N/,$s/^  -(-?[a-z-]+).*/\1/p' | sort) \
		<(sed -n '/^Options that all instruments have:/,/^\.El/s/^\.It Fl \([a-z-]*\).*/\1/p' "$TESTS/../man/weir-bench.1" | sort)
}
it "the manual lists the options that all instruments have" manual
