#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# `weir bench compare`: on a result as an instrument writes it, and on variants of it of which is known
# how they differ. What the verdicts are worth is proven in tests/unit/test_compare.c.
. "$(dirname "$0")/lib.sh"

endpoint a b
ip link add va netns a type veth peer name vb netns b
address a va 10.9.0.1/24
address b vb 10.9.0.2/24
"$WEIR" bench rr ns:a ns:b --flows 2 --time 50ms --omit 0s --repeat 3 -o "$T/a" >/dev/null || exit 1

# Six repeats in which the transactions are 1000 to 1005 a second, in the result of directory $2 10 % more.
mkdir "$T/b" "$T/c"
made() { # FACTOR FROM TO
	jq --argjson factor "$1" '.figures |= map(.values =
		if .name == "transactions" then [range(6) | 1000 * $factor + .] else [range(6) | 5 + .] end)' \
		"$T/$2/result.json" >"$T/new" && mv "$T/new" "$T/$3/result.json"
}
made 1.1 a b && made 1 a a || exit 1

table() {
	weir bench compare "$T/a" "$T/b/result.json" >"$T/table"
	says '^A: .*/a$' '^B: .*/b/result.json$' '^FIGURE .* A +SD +B +SD +B - A +95 % +FINDS +VERDICT' \
		'^transactions .* 1.00k/s .* 1.10k/s .* \+10.0% .* B is better$' \
		'^latency p50 .* within noise$' '^1 of [0-9]+ figures differ' 'would be 5 % at most' '^busiest client .* not tested$' '^not tested \([0-9]+\): ' <"$T/table"
	not says '^differs:' <"$T/table" 2>/dev/null
}
it "two results stand side by side, with the difference that exceeds the noise" table

json() {
	weir bench compare "$T/a" "$T/b" -j >"$T/json"
	"$TESTS/lib/valid-result" "$T/json"
	jq -e '[.figures[] | select(.verdict == "differs") | .name] == ["transactions"]' "$T/json"
	jq -e '.figures[] | select(.name == "transactions") | .favours == "b" and
		(.relative * 1000 | round) == 100 and .findable > 1 and .findable < 20 and .a.median == 1002.5 and .p_holm < 0.05' "$T/json"
	jq -e '[.figures[] | select(.name == "host CPUs busy" and .a.repeats == 3)] | length == 1' "$T/json"
}
it "-j prints one document, as the schema says" json

marked() { # an editor elsewhere put a byte-order mark in front of it
	mkdir "$T/marked"
	{ printf '\357\273\277' && cat "$T/b/result.json"; } >"$T/marked/result.json"
	cmp <(weir bench compare "$T/a" "$T/marked" -j | jq .figures) <(weir bench compare "$T/a" "$T/b" -j | jq .figures)
}
it "a byte-order mark in front of a result is passed over" marked

differing() {
	jq '.conditions.kernel = "7.1" | .conditions.versions.weir = "9" | .command += ["--flows", "9", "-o", "x"] |
		.complete = false | .why_incomplete = "interrupted" | .figures[0].labels.flows = "9" |
		.figures[1].values = [7] | .warnings += ["the generator\u001b[2J was the limit"]' \
		"$T/b/result.json" >"$T/c/result.json"
	weir bench compare "$T/a" "$T/c" >"$T/table"
	says '^differs: kernel: .* in A, 7.1 in B$' '^differs: versions.weir: .* in A, 9 in B$' \
		'^differs: command: .* in A, .*--flows 9 in B$' '^B is incomplete: interrupted$' \
		'^B warns: the generator\?\[2J was the limit$' \
		' only in A$' ' only in B$' ' cannot tell$' '^cannot tell \(1\): ' <"$T/table"
	weir bench compare "$T/a" "$T/c" --across flows -j |
		jq -e '.across == ["flows"] and (.figures[0] | .verdict == "differs" and .labels.flows == null)'
}
it "other conditions, an early end, warnings and figures that one lacks are said" differing

bad() { # TEXT PATTERN: a file with that text instead of a result
	printf '%s' "$1" >"$T/bad.json"
	refused "$WEIR" bench compare "$T/a" "$T/bad.json" >"$T/said"
	says "bad.json.*$2" <"$T/said"
	not grep -q '[[:cntrl:]]' "$T/said"
}
refusals() {
	local text
	text=$(jq -c . "$T/a/result.json")
	bad '' 'no result of weir bench: '
	bad '{"schema": "other"}' 'its "schema" is not'
	bad '[1]' 'its "schema" is not'
	bad '{"schema": "weir-bench", "version": 2}' 'version 2'
	bad "${text:0:500}" 'no result of weir bench: '
	bad "${text/\"seconds\":/\"seconds\":1e999, \"x\":}" 'no result of weir bench: .*number'
	bad $'{"a": \e]0;x' 'no result of weir bench: '
	bad "${text/\"rr\"/\"s\\u001b[2J\"}" 'one instrument can be compared'
	bad "${text/\"values\":[/\"values\":[\"x\",}" 'figure 1 is none'
	rm "$T/bad.json"
	refused "$WEIR" bench compare "$T/a" "$T/bad.json" | says 'bad.json: No such file'
	refused "$WEIR" bench compare "$T/a" "$T" | says 'result.json: No such file'
}
it "what is no result is refused in one sentence" refusals

usage() {
	local status=0
	weir bench compare "$T/a" >/dev/null 2>"$T/err" || status=$?
	[[ $status = 2 ]]
	says 'give two results' <"$T/err"
}
it "one result alone is a usage error" usage
