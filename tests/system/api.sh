#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Who talks to the API socket cannot hurt the switch, nor another client; and what is said there is
# what docs/api.md describes.
# timeout: 90
. "$(dirname "$0")/lib.sh"

endpoint a b
taps '{blue: {vlan: 100}}' a b

ask() { # LINE...: sends the lines, prints the replies
	printf '%s\n' "$@" | timeout 20 socat -t 20 - "UNIX-CONNECT:$WEIR_API"
}
call() { # METHOD [PARAMS]
	ask "{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"$1\", \"params\": ${2-{\}}}"
}
alive() {
	ping_ok a 10.0.0.2
	[[ $(call ping | jq -r .result) = pong ]]
}

basics() {
	call version | jq -e '.id == 7 and .jsonrpc == "2.0" and .result.pid > 0 and .result.uptime_s >= 0'
	diff <(call show.ports | jq -S '[.result[].name]') <(weir show ports -j | jq -S '[.[].name]')
	call show.config '{"full": true}' | jq -e '.result.ports.a.mtu == 1500 and .result.idle == "adaptive"'
	call port.set '{"name": "b", "settings": {"mtu": 1400}, "dry_run": true}' |
		jq -e '.result.applied == false and .result.diff[0].to.mtu == 1400'
	show ports 'all(.[]; .mtu == 1500)'
	call port.set '{"name": "b", "settings": {"mtu": 1400}}' | jq -e '.result.applied'
	show ports 'any(.[]; .mtu == 1400)'
	call port.set '{"name": "b", "settings": {"mtu": null}}' | jq -e '.result.diff[0].to.mtu == 1500'
	call apply '{"config": {"ports": 7}, "dry_run": true}' | jq -e '.error.data.errno == "EINVAL"'
	call port.add '{"name": "a", "settings": {}}' | jq -e '.error.data.errno == "EEXIST"'
	call port.set '{"name": "a"}' | jq -e '.error.code == -32602'
	call capture.start '{"port": "a"}' | jq -e '.error.data.errno == "EBADF"'
	alive
}
it "methods answer as described" basics

garbage() {
	ask 'garbage' '{' '[]' '5' '{"jsonrpc":"2.0","id":1,"method":"nope"}' | jq -s -e \
		'map(.error.code) == [-32700, -32700, -32600, -32600, -32601]'
	head -c 300000 /dev/urandom | tr -d '\n' | timeout 5 socat -u - "UNIX-CONNECT:$WEIR_API" || true
	python3 - "$WEIR_API" <<'PY' | says '1 MiB'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(bytes(2000000))
except BrokenPipeError:
    pass
print(s.makefile().readline(), end="")
PY
	{ printf '[%.0s' {1..50000}; echo; } | timeout 5 socat -t 5 - "UNIX-CONNECT:$WEIR_API" | has -- -32700
	printf '{"jsonrpc":"2.0","id":1,"method":"port.del","params":{"name":"a"}}' |
		timeout 5 socat -u - "UNIX-CONNECT:$WEIR_API" # half a line: nothing happens
	show ports 'map(.name) | sort == ["a", "b"]'
	alive
}
it "garbage, half lines and lines without an end harm nobody" garbage

crowd() {
	python3 - "$WEIR_API" <<'PY'
import json, socket, sys
path, ask = sys.argv[1], b'{"jsonrpc":"2.0","id":1,"method":"show.drops"}\n'
def client():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s
# One asks and asks and reads nothing; it may fill what there is to fill, and the others do not notice.
deaf = client()
deaf.setblocking(False)
try:
    while True:
        deaf.send(ask * 1000)
except BlockingIOError:
    pass
# 64 in all; the next is told so, the ones that are there are served.
crowd = [client() for _ in range(63)]
late = client()
reply = json.loads(late.makefile().readline())
assert "64 places" in reply["error"]["message"], reply
for s in crowd:
    s.sendall(ask)
for s in crowd:
    assert json.loads(s.makefile().readline())["id"] == 1
PY
	alive
	local fds=("/proc/$switch_pid/fd"/*)
	[[ ${#fds[@]} -lt 100 ]]
}
it "a client that reads nothing and a crowd of them keep nobody from being served" crowd

parallel() {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		(
			weir port add "p$i" tap="tp$i" network=blue
			weir port set "p$i" mtu=1300
			weir port del "p$i"
		) >"$T/parallel.$i" 2>&1 &
	done
	wait
	cat "$T"/parallel.*
	[[ $(cat "$T"/parallel.* | wc -l) = 24 ]]
	show ports 'map(.name) | sort == ["a", "b"]'
	alive
}
it "edits by several clients at once are all carried out, one after the other" parallel

sessions() {
	weir port add v vhost-user="$T/v.sock"  network=blue queues=2 | says '^\+ port v:' "$T/v.sock"
	weir port set v trunk blue | says '^~ port v: network=blue' 'trunk=blue'
	weir port set v network blue isolated true | says 'isolated=true'
	weir port set v isolated= | says 'isolated=false'
	refused weir port set v mtu=9001 | says 'port v: mtu is 9001' 9000
	refused weir port add v tap=x | says "'v'" set
	weir network add red vlan=7 | says '^\+ network red: vlan=7'
	refused weir network add pink vlan=7 | says red pink 7
	weir network del red | says '^- network red'
	weir port del v | says '^- port v'
	[[ ! -e $T/v.sock ]]
	weir port set a network=blue | says 'nothing to change'
}
it "ports and networks are edited in the words of the file" sessions

quick() { # the middle one of eleven
	local begin middle
	middle=$(for _ in {1..11}; do
		begin=${EPOCHREALTIME/.}
		weir show ports >/dev/null && echo $((${EPOCHREALTIME/.} - begin))
	done | sort -n | sed -n 6p)
	echo "$middle us"
	[[ $middle -lt $((30000 * patience)) ]]
}
it "a command takes milliseconds" thrice quick

tables() {
	weir show ports | says '^PORT +KIND +STATE' '^a +tap +up +blue'
	weir show networks | says '^NETWORK +VLAN' '^blue +100 +a,b'
	weir show macs | says '^MAC +NETWORK'
	weir show workers | says '^ *WORKER' 'CYCLES A FRAME'
	weir show drops | says '^REASON' '^ring-full +all +[0-9]+ +receiver offered too few buffers'
	weir show config | jq -e '.ports.a.netns == "a"'
	[[ $(weir top --batch 2 -d 100ms | grep -c '^PORT') = 2 ]]
	weir top --batch 1 -d 200ms | says '^ *WORKER.*BUSY' '^a +up'
	# curses forgets some memory when it finds no terminal.
	refused env TERM=nothing "ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0" "$WEIR" top | says TERM
}
it "show and top print tables" tables

traces() {
	weir trace a eth src=02:00:00:00:00:05 arp op=request tpa=10.0.0.2 | says 'network blue' '-> port b'
	echo 'ffffffffffff 020000000001 0806' | weir trace a - | says flood
	printf '\377\377\377\377\377\377\002\0\0\0\0\001\010\006' >"$T/raw"
	weir trace a "@$T/raw" -j | jq -e '.verdict == "forward" or .verdict == "flood"'
	refused weir trace a ff:ff | says 'bytes'
	refused weir trace a eth dst=nonsense | says "'nonsense'"
	refused weir trace a zz | says 'hex'
}
it "trace takes hex, bytes and words" traces

captures() {
	in_ns a ping -q -i 0.01 -c 400 10.0.0.2 >/dev/null &
	local load=$!
	weir capture a -c 5 -w "$T/five.pcapng"
	weir capture b -c 5 --snaplen 60 -w "$T/cut.pcapng"
	weir capture a -c 3 >"$T/three.pcapng"
	kill $load
	[[ $(tshark -nr "$T/five.pcapng" 2>/dev/null | wc -l) = 5 ]]
	[[ $(tshark -nr "$T/three.pcapng" 2>/dev/null | wc -l) = 3 ]]
	tshark -nr "$T/cut.pcapng" -T fields -e frame.cap_len 2>/dev/null | sort -u | says '^(42|60)$'
	capinfos "$T/five.pcapng" | says 'weir' 'Name = a' 'nanoseconds' 'Number of stat entries = 1'
	show ports 'all(.[]; .capture | not)'
}
it "a capture ends after as many frames as were asked for" captures

port_goes() {
	weir port add c tap=tc network=blue
	"$WEIR" capture c -w "$T/c.pcapng" &
	until_ok 3 test -s "$T/c.pcapng"
	weir port set c mtu=1400 queues=2 # opened anew: the capture goes on
	show ports 'any(.[]; .name == "c" and .capture)'
	weir port del c
	wait $!
	tshark -nr "$T/c.pcapng" >/dev/null
}
it "a capture follows a port that is opened anew, and ends with a port that is removed" port_goes

usurped() {
	rm "$WEIR_API"
	sed "s/tap: eth0/tap: eth5/" "$T/weir.yaml" >"$T/other.yaml"
	"$WEIR" switch -c "$T/other.yaml" 2>"$T/other.log" &
	local other=$!
	until_ok 5 weir show ports
	refused weir switch -c "$T/other.yaml" | says "pid $other"
	kill -TERM "$switch_pid"
	until_ok 2 test -s "$T/weir.status"
	[[ $(call version | jq .result.pid) = "$other" ]]
	kill -TERM $other
	wait $other
	[[ ! -e $WEIR_API ]]
}

stopped() {
	"$WEIR" capture a -w "$T/last.pcapng" &
	local c=$!
	until_ok 3 test -s "$T/last.pcapng"
	ping_ok a 10.0.0.2
	switch_stop
	wait $c
	tshark -nr "$T/last.pcapng" -Y icmp | has Echo
	[[ ! -e $WEIR_API ]]
}
it "a switch that ends finishes its captures, and removes its socket" stopped
switch_pid=

config <<<'ports: {a: {tap: eth0, netns: a}}'
switch_start || exit 1
it "a switch whose socket was taken over by another leaves it to that one" usurped
switch_pid=
