#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A switch that may open no more files: who connects waits, and it does not burn its time on him.
# timeout: 60
. "$(dirname "$0")/lib.sh"

METRICS=19478
config <<YAML
idle: interrupt
metrics: 127.0.0.1:$METRICS
ports:
  v: {vhost-user: $T/v.sock}
  w: {vhost-user: $T/w.sock}
YAML
switch_start || exit 1

# Clients that connect and wait: PATH or PORT...
knock() {
	python3 - "$@" <<-'PY' &
		import signal, socket, sys
		held = []
		for where in sys.argv[1:]:
		    s = socket.socket(socket.AF_INET if where.isdigit() else socket.AF_UNIX)
		    s.connect(("127.0.0.1", int(where)) if where.isdigit() else where)
		    held.append(s)
		signal.pause()
	PY
	knocking=$!
	sleep 0.5
}

# CPU time of the control thread, in ms
control_ms() {
	awk -v hz="$(getconf CLK_TCK)" '{print int(($14 + $15) * 1000 / hz)}' \
		"/proc/$switch_pid/task/$switch_pid/stat"
}

# The switch gets no descriptor above those it has, nor one in a gap among them.
free_fd() { # the first
	local n=0
	while [[ -e /proc/$switch_pid/fd/$n ]]; do n=$((n + 1)); done
	echo $n
}

starve() {
	local n='' last=none
	while [[ $n != "$last" ]]; do # weir may be about to close that of the last command
		last=$n
		sleep 0.3
		n=$(free_fd)
	done
	prlimit --pid "$switch_pid" --nofile="$n:"
}

feed() {
	prlimit --pid "$switch_pid" --nofile=1024:
}

stays_calm() {
	local begin used
	starve
	knock "$@"
	begin=$(control_ms)
	sleep 2.2
	used=$(($(control_ms) - begin))
	feed
	kill "$knocking"
	echo "the control thread used $used ms of 2200"
	[[ $used -lt 400 ]]
}
it "front ends that cannot be let in cost no CPU time" stays_calm "$T/v.sock" "$T/w.sock"
it "nor do API clients" stays_calm "$T/api.sock"
it "nor do readers of the metrics" stays_calm $METRICS

said_once() { # WORDS
	[[ $(grep -c "$1.*cannot take a connection.*again in 1 s" "$T/weir.log") = 1 ]] ||
		{ cat "$T/weir.log"; return 1; }
}
it "the log says so once for a port" said_once "port v"
it "and for each other port" said_once "port w"
it "and for the API" said_once "API"
it "and for the metrics" said_once "metrics"

lets_in_later() {
	starve
	timeout 20 "$WEIR" show ports -j >"$T/late.json" &
	sleep 0.5
	[[ ! -s $T/late.json ]]
	feed
	wait $!
	jq -e length "$T/late.json"
	timeout 20 curl -sf "http://127.0.0.1:$METRICS/metrics" | grep weir_
}
it "who waited is served when there is room again" lets_in_later

front_end_later() {
	starve
	knock "$T/v.sock"
	feed
	until_ok 3 bash -c "'$WEIR' show ports -j |
		jq -e 'map(select(.name == \"v\" and (.reason | startswith(\"connected\")))) | length == 1'"
	kill "$knocking"
}
it "a front end too" front_end_later
