#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# The page of a result in headless Chromium (page.py): it opens from disk with no network, every plot is
# painted and holds the numbers of result.json. And page.py finds it when that is not so.
# timeout: 120
. "$(dirname "$0")/lib.sh"

page="$TESTS/system/page.py"
if ! command -v chromium >/dev/null; then
	skip "the page of a result holds its numbers" "no chromium"
	exit
fi

all="plots: cpu 1, endpoints 4, figures 2, intervals 1, latencies 1, over 1, repeats 1, searches 2"
everything() {
	mkdir "$T/all"
	"$page" make "$T/all/result.json"
	"$TESTS/lib/valid-result" "$T/all/result.json"
	weir bench report "$T/all"
	[[ $("$page" check "$T/all") = "$all" ]]
}
it "each kind of plot is painted and holds the numbers of the result, with no network" everything
it "nothing sticks out of a narrow window" test "$("$page" check "$T/all" 400)" = "$all"

measured() {
	endpoint a b
	ip link add va netns a type veth peer name vb netns b
	address a va 10.9.0.1/24
	address b vb 10.9.0.2/24
	weir bench rr ns:a ns:b --flows 2 --time 50ms --omit 0s --repeat 2 -o "$T/rr" >/dev/null
	"$page" check "$T/rr" >"$T/said" || cat "$T/said"
	says '^plots: cpu 1,.* latencies 1$' <"$T/said"
	[[ $(wc -l <"$T/said") = 1 ]]
}
it "so it is with the page that an instrument writes" measured

# finds PATTERN...: page.py refuses the page in $T/bad, and says all that is wrong.
finds() {
	local status=0
	"$page" check "$T/bad" >"$T/said" || status=$?
	[[ $status = 1 ]]
	says "$@" <"$T/said"
}

numbers() { # those of the result are not what the page was made of
	mkdir -p "$T/bad"
	cp "$T/all/index.html" "$T/bad"
	jq '(.figures[7].median, .figures[8].median, .latencies[2].max, .endpoints[5].values.vm7, .cpu[1].parts.softirq,
		.intervals[0].values[0], .intervals[6].values[9], .searches[1].trials[3].rate) *= 1.001' \
		"$T/all/result.json" >"$T/bad/result.json"
	finds '^figures: the page has' '^lines over endpoints: the page has' '^path.e1000: ends: the page has' '^endpoints: the page has' \
		'^cpu softirq: the page has' '^intervals: the page has' '^repeats: the page has' '^search: fail: the page has'
	[[ $(wc -l <"$T/said") = 11 ]] # three on the figure, one each on the others, and the count of plots
}
it "one number that differs is found in every kind of plot" numbers

pages() { # the page itself is wrong, in five ways
	local edits=(
		's/data: figures.map(f => f.median)/data: figures.map(f => f.mean)/'
		"s/? {...y, type: 'logarithmic'/? {...y/"
		"s/p.chart = new Chart.*;/& if (p.canvas.dataset.kind === 'cpu') p.chart.ctx.clearRect(0, 0, 9999, 9999);/"
		's/^draw();/draw(); nothing();/'
		's#</body>#<img src="http://example.net/x">&#'
	)
	cp "$T/all/"{result.json,index.html} "$T/bad"
	sed -i 's/<meta http-equiv=[^>]*>//' "$T/bad/index.html" # it would not let a request out
	for edit in "${edits[@]}"; do
		sed "$edit" "$T/bad/index.html" >"$T/edited.html"
		not cmp -s "$T/bad/index.html" "$T/edited.html"
		mv "$T/edited.html" "$T/bad/index.html"
	done
	finds '^figures: the page has' '^latencies: axes: the page has' '^cpu, .* painted is only' \
		"browser's console: the page has .*nothing" 'asked of the network: the page has .*example.net'
}
it "so are a plot of something else, a wrong axis, an empty plot, an error and a request" pages
