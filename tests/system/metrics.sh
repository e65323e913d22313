#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What Prometheus scrapes.
# timeout: 40
. "$(dirname "$0")/lib.sh"

endpoint a b
config <<YAML
metrics: 127.0.0.1:9478
ports:
  a: {tap: eth0, netns: a}
  b: {tap: eth0, netns: b}
YAML
switch_start || exit 1
address a eth0 10.0.0.1/24
address b eth0 10.0.0.2/24

scrape() {
	curl -fsS http://127.0.0.1:9478/metrics
}

shape() {
	scrape >"$T/metrics"
	grep -vE '^# (HELP|TYPE) weir_[a-z_]+ .+|^weir_[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [0-9.e+-]+$|^# EOF$' \
		"$T/metrics" && return 1
	grep -c '^weir_' "$T/metrics"
	# Every metric has its type said before it.
	awk '/^# TYPE/ { type[$3] = 1 } /^weir_/ { split($1, n, "{"); if (!(n[1] in type)) { print; bad = 1 } }
		END { exit bad }' "$T/metrics"
}
it "every line is one Prometheus understands, and every metric has its type" shape

value() { # NAME LABEL-PATTERN
	scrape | awk -v name="$1" -v label="$2" 'index($1, name "{") == 1 && $1 ~ label { n += $2 } END { print n + 0 }'
}
counts() {
	local before
	before=$(value weir_port_rx_frames_total 'port="a"')
	in_ns a ping -q -c 100 -i 0.002 10.0.0.2
	[[ $(value weir_port_rx_frames_total 'port="a"') -ge $((before + 100)) ]]
	show ports "any(.[]; .name == \"a\" and .rx.frames >= $before + 100)"
}
it "its counters are those of show ports, and move with traffic" counts

drops_named() {
	scrape | has '^weir_port_drops_total{.*reason="ring-full".*} 0'
	scrape | has '^weir_worker_'
}
it "each drop reason is a counter from the start, each worker has its own" drops_named

not_found() {
	[[ $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9478/etc/passwd) = 404 ]]
	[[ $(curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:9478/metrics) =~ 40[45] ]]
}
it "other paths and methods are refused" not_found

at() { # ADDRESS: metrics are there
	curl -fsS "http://$1/metrics" | has '^weir_worker_'
}

# Whoever opens connections and says nothing, or half a request, keeps nobody out.
crowded() {
	local i fds=() fd
	for ((i = 0; i < 40; i++)); do
		exec {fd}<>/dev/tcp/127.0.0.1/9478
		fds+=("$fd")
		((i % 2)) && printf 'GET /metrics HTTP/1.1\r\n' >&"$fd"
	done
	for i in 1 2 3; do
		curl -fsS --max-time 2 http://127.0.0.1:9478/metrics | has '^weir_worker_' || return 1
	done
	until_ok 15 idle_gone
	for fd in "${fds[@]}"; do exec {fd}>&-; done
	at 127.0.0.1:9478
}
idle_gone() {
	[[ $(ss -Htn state established '( sport = 9478 )' | wc -l) = 0 ]]
}
it "40 idle connections of one address keep no scrape waiting, and go by themselves" crowded

nowhere() {
	not curl -fsS "http://$1/metrics"
}
moves() {
	local started
	started=$(scrape | awk '$1 == "weir_start_time_seconds" { print $2 }')
	cp "$T/weir.yaml" "$T/first.yaml"
	sed 's/^metrics:.*/metrics: 127.0.0.1:9479/' "$T/first.yaml" >"$T/other.yaml"
	weir apply "$T/other.yaml" | says '^~ metrics: 127.0.0.1:9478 -> 127.0.0.1:9479$'
	at 127.0.0.1:9479
	nowhere 127.0.0.1:9478
	[[ $(curl -fsS http://127.0.0.1:9479/metrics | awk '$1 == "weir_start_time_seconds" { print $2 }') = "$started" ]]
	# The same port of all addresses.
	sed 's/^metrics:.*/metrics: 0.0.0.0:9479/' "$T/first.yaml" >"$T/all.yaml"
	weir apply "$T/all.yaml"
	at 127.0.0.2:9479
	sed '/^metrics:/d' "$T/first.yaml" >"$T/none.yaml"
	weir apply "$T/none.yaml"
	nowhere 127.0.0.1:9479
	weir apply "$T/first.yaml"
	at 127.0.0.1:9478
}
it "they move with the configuration, without a restart" moves

taken() {
	local before other
	before=$(weir show config -j)
	socat TCP-LISTEN:9480,bind=127.0.0.1 - </dev/null >/dev/null &
	other=$!
	until_ok 2 eval "ss -Htln | has ':9480 '"
	sed 's/^metrics:.*/metrics: 127.0.0.1:9480/' "$T/first.yaml" >"$T/taken.yaml"
	refused weir apply "$T/taken.yaml" | says 127.0.0.1:9480 'in use' 'choose another'
	kill $other
	sed 's/^metrics:.*/metrics: 127.0.0.1:9481/; s/netns: b/netns: nowhere/' "$T/first.yaml" >"$T/bad.yaml"
	refused weir apply "$T/bad.yaml" | says nowhere
	nowhere 127.0.0.1:9481
	at 127.0.0.1:9478
	[[ $(weir show config -j) = "$before" ]]
}
it "a place that is taken, or another failure, leaves them where they were" taken
