#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Starting, reloading, idling, ending: what a service manager and an operator see.
# timeout: 90
# alone: cases
. "$(dirname "$0")/lib.sh"

endpoint a b
config <<YAML
networks: {blue: {}}
ports:
  a: {tap: eth0, netns: a, network: blue}
  b: {tap: eth0, netns: b, network: blue}
  v: {vhost-user: $T/v.sock, network: blue}
YAML

# The middle one of the numbers on stdin.
median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

starts_fast() {
	local begin end machine middle
	for _ in {1..9}; do
		rm -f "$T/notify" "$T/ready"
		socat -u "UNIX-RECV:$T/notify" "SYSTEM:read x; date +%s%N >$T/ready" &
		until_ok 2 test -S "$T/notify"
		begin=$(date +%s%N)
		NOTIFY_SOCKET=$T/notify "$WEIR" switch -c "$T/weir.yaml" 2>"$T/start.log" &
		until_ok 5 test -s "$T/ready" || { cat "$T/start.log"; return 1; }
		machine=$(waited $!)
		end=$(<"$T/ready")
		kill -TERM $!
		wait $! || { echo "status $?"; cat "$T/start.log"; return 1; }
		echo $(((end - begin) / 1000000 - machine / 1000)) >>"$T/starts"
		echo "ready after $(((end - begin) / 1000000)) ms, of which it had no CPU for $((machine / 1000)) ms"
	done
	middle=$(median <"$T/starts")
	echo "median $middle ms"
	[[ $middle -lt $((300 * patience)) ]]
}
alone it "it is ready, and tells systemd so, within 300 ms" starts_fast

left() {
	[[ ! -e $T/api.sock && ! -e $T/v.sock ]] || { ls -la "$T"; return 1; }
	not ip -n a link show eth0
}
it "what it made is gone with it: sockets and interfaces" left

no_root() {
	mkdir -p "$T/nobody"
	chmod 755 "$T"
	chmod 777 "$T/nobody"
	cat >"$T/nobody.yaml" <<YAML
api: $T/nobody/api.sock
workers: [$WEIR_CPUS]
ports:
  v: {vhost-user: $T/nobody/v.sock}
YAML
	chmod 644 "$T/nobody.yaml"
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs \
		"$WEIR" switch -c "$T/nobody.yaml" 2>"$T/start.log" &
	until_ok 5 "$WEIR" --api "$T/nobody/api.sock" show ports || { cat "$T/start.log"; return 1; }
	kill -TERM $!
	wait $!
}
if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$WEIR" 2>/dev/null; then
	it "vhost-user ports need neither root nor capabilities" no_root
else
	skip "vhost-user ports need neither root nor capabilities" "nobody may not run $WEIR here"
fi

stale() {
	# A socket file whose listener is gone, as kill -9 leaves it.
	python3 -c 'import socket, sys
for path in sys.argv[1:]:
	socket.socket(socket.AF_UNIX).bind(path)' "$T/api.sock" "$T/v.sock"
	[[ -S $T/api.sock && -S $T/v.sock ]]
}
it "socket files nobody listens on are left lying about" stale
switch_start || exit 1
it "and do not keep it from starting" weir show ports
address a eth0 10.0.0.1/24
address b eth0 10.0.0.2/24

second() {
	sed "s,$T/v.sock,$T/v2.sock,; s/eth0/eth7/" "$T/weir.yaml" >"$T/second.yaml"
	refused timeout 10 "$WEIR" switch -c "$T/second.yaml" | says "$T/api.sock" "$switch_pid"
	sed "s,$T/api.sock,$T/api2.sock,; s/eth0/eth7/" "$T/weir.yaml" >"$T/second.yaml"
	refused timeout 10 "$WEIR" switch -c "$T/second.yaml" | says "$T/v.sock" "$switch_pid"
	ping_ok a 10.0.0.2
}
it "a second weir on the same sockets is refused, the owner named by pid" second

second_tap() {
	cat >"$T/tap.yaml" <<YAML
api: $T/other.sock
workers: [$WEIR_CPUS]
ports:
  mine: {tap: eth0, netns: a}
YAML
	refused timeout 10 "$WEIR" switch -c "$T/tap.yaml" |
		says "TAP device 'eth0' is in use by pid $switch_pid \\(weir\\)"
}
it "and one on the same TAP" second_tap

privileges() {
	grep -q '^NoNewPrivs:.1' "/proc/$switch_pid/status"
	# Nothing beyond what TAPs, namespaces, priorities and pinned memory may need.
	local caps
	caps=$((16#$(awk '/^CapEff/ { print $2 }' "/proc/$switch_pid/status")))
	echo "effective: $(printf %x $caps)"
	local cap
	for cap in 0 1 2 3 4 5 6 7 16 17 18 19 22 25 27 39; do # chown, dac_*, ..., sys_module, ...
		[[ $((caps >> cap & 1)) = 0 ]] || { echo "still has capability $cap"; return 1; }
	done
	grep '^Cap' "/proc/$switch_pid/status"
}
it "it gives up the privileges it does not need, for good" privileges

ticks() { # CPU time of the switch, in hundredths of a second
	awk '{ print $14 + $15 }' "/proc/$switch_pid/stat"
}
idle() {
	local before after
	sleep 1 # let neighbour discovery and the like end
	before=$(ticks)
	sleep 5
	after=$(ticks)
	echo "$((after - before)) hundredths of a second in 5 s"
	[[ $((after - before)) -lt $((5 * patience)) ]]
}
alone it "when nothing moves, adaptive idling costs under 1 % of a CPU" idle

wakes() {
	local before machine middle sleeps n=40
	before=$(waited "$switch_pid") sleeps=$(slept)
	in_ns a ping -c $n -i 0.1 10.0.0.2 >"$T/ping"
	machine=$((($(waited "$switch_pid") - before) / n))
	sleeps=$(($(slept) - sleeps))
	middle=$(sed -n 's/.*time=\([0-9.]*\).*/\1/p' "$T/ping" | awk '{ print int($1 * 1000) }' | median)
	tail -n 3 "$T/ping"
	echo "median $middle us there and back; weir had no CPU for $machine us of each; it slept $sleeps times"
	# A wake-up that is missing costs a second; each ping wakes it twice.
	[[ $sleeps -ge $n && $((middle - machine)) -lt 2000 ]]
}
slept() {
	weir show workers -j | jq '[.[].sleeps] | add'
}
alone it "a sleeping worker wakes with the first frame" wakes

reload() {
	sed -i 's/blue: {}/blue: {}, red: {}/; s/b: {tap: eth0, netns: b, network: blue}/b: {tap: eth0, netns: b, network: red}/' "$T/weir.yaml"
	kill -HUP "$switch_pid"
	until_ok 3 show networks 'any(.[]; .name == "red")'
	ping_none a 10.0.0.2
	sed -i 's/network: red/network: blue/' "$T/weir.yaml"
	kill -HUP "$switch_pid"
	until_ok 3 in_ns a ping -q -c 1 -W 1 10.0.0.2
}
it "SIGHUP brings it to the changed file" reload

bad_reload() {
	local before
	before=$(weir show config -j)
	cp "$T/weir.yaml" "$T/good.yaml"
	echo "workers: [banana]" >"$T/weir.yaml"
	kill -HUP "$switch_pid"
	until_ok 3 grep -q banana "$T/weir.log"
	[[ $(weir show config -j) = "$before" ]]
	ping_ok a 10.0.0.2
	cp "$T/good.yaml" "$T/weir.yaml"
}
it "SIGHUP with a bad file is logged and changes nothing" bad_reload

watchdog() {
	local lines
	mkfifo "$T/wd"
	socat -u "UNIX-RECV:$T/notify2" "OPEN:$T/notified,creat" &
	until_ok 2 test -S "$T/notify2"
	sed "s,$T/api.sock,$T/api3.sock,; s,$T/v.sock,$T/v3.sock,; s/eth0/eth8/" "$T/weir.yaml" >"$T/wd.yaml"
	NOTIFY_SOCKET=$T/notify2 WATCHDOG_USEC=500000 "$WEIR" switch -c "$T/wd.yaml" 2>"$T/wd.log" &
	sleep 2
	kill -TERM $!
	wait $!
	lines=$(tr '\0' '\n' <"$T/notified" | grep -o 'WATCHDOG=1' | wc -l)
	echo "$lines messages to the watchdog in 2 s"
	[[ $lines -ge 4 ]]
	grep -q 'STOPPING=1' "$T/notified"
}
it "it feeds systemd's watchdog twice as often as asked, and says when it stops" watchdog
