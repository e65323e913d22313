#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# scripts/demo, which is `make run`, with little time.
# timeout: 180
# cpus: 2
# shellcheck disable=SC2317 # functions are called by `it`
. "$(dirname "$0")/lib.sh"
export BUILD=${BUILD:-$TESTS/../build}
pages=$BUILD/demo

rm -rf "$pages"
demo() {
	TMPDIR=$T "$TESTS/../scripts/demo" --seconds 2 >"$T/out" 2>&1 || { tail -n 40 "$T/out"; return 1; }
}
it "the demo runs" demo

tenants_talked() {
	says 'acme: TCP host to VM [0-9.]+ Gbit/s, VM to host [0-9.]+ Gbit/s' <"$T/out"
	says 'bolt: TCP between namespaces [0-9.]+ Gbit/s' <"$T/out"
	awk '$1 ~ /^chip[12]$/ && $2 == "vhost-user" && $6 + 0 > 0 { n++ } END { exit n != 2 }' "$T/out"
	says 'mac-pinned +bolt3 +[1-9]' <"$T/out"
}
it "all three tenants talked, and the forger's frames were dropped by name" tenants_talked

pages_are_there() {
	local i
	for i in stream rr; do
		jq -e '.complete and (.figures | length > 5)' "$pages/$i/result.json"
		says '</html>' <"$pages/$i/index.html"
	done
}
it "weir bench wrote its pages" pages_are_there

nothing_left() {
	says 'the switch ended cleanly' <"$T/out"
	for program in qemu weir iperf3 dpdk; do not pgrep $program; done
	[[ -z $(ip netns) ]]
	[[ ! -e $(echo "$T"/w.*) ]]
}
it "nothing is left of it" nothing_left
