#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# How soon a front end is heard that comes as soon as it can, also when its socket file was removed.
. "$(dirname "$0")/lib.sh"

config <<YAML
ports:
  first: {vhost-user: $T/first.sock}
YAML
switch_start || exit 1

# Connects to a socket as soon as it is there, asks for features and prints after how many ms the
# answer was there, without those in which this program had no CPU.
ask() {
	python3 - "$1" <<'PYTHON'
import socket, struct, sys, time
while True:
    try:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(sys.argv[1])
        break
    except OSError:
        s.close()
        time.sleep(0.001)
def now():
    return time.monotonic() - int(open("/proc/self/schedstat").read().split()[1]) / 1e9
begin = now()
s.send(struct.pack("III", 1, 1, 0)) # VHOST_USER_GET_FEATURES, version 1, no payload
assert len(s.recv(100)) == 20
print(round((now() - begin) * 1000))
PYTHON
}

soon() { # SOCKET: within 200 ms in which weir had a CPU
	local ms machine
	machine=$(waited "$switch_pid")
	ms=$(ask "$1")
	machine=$((($(waited "$switch_pid") - machine) / 1000))
	echo "answered after $ms ms; weir had no CPU for $machine ms"
	[[ $((ms - machine)) -lt $((200 * patience)) ]]
}

again() {
	local asker
	kill -KILL "$switch_pid"
	until_ok 2 test -s "$T/weir.status"
	ask "$T/first.sock" >"$T/ms" &
	asker=$!
	switch_start
	echo "$switch_pid" >"$T/switch_pid"
	wait "$asker"
	[[ $(($(<"$T/ms") - $(waited "$switch_pid") / 1000)) -lt $((200 * patience)) ]]
}
it "a front end that waits for weir to come back is answered at once" again
switch_pid=$(<"$T/switch_pid")

added() {
	weir port add second vhost-user="$T/second.sock"
	soon "$T/second.sock"
}
it "and one that connects to a port just added" added

moved() {
	config "$T/moved.yaml" <<YAML
ports:
  first: {vhost-user: $T/elsewhere.sock}
  second: {vhost-user: $T/second.sock, mtu: 1400}
YAML
	weir apply "$T/moved.yaml"
	soon "$T/elsewhere.sock"
	soon "$T/second.sock"
	not test -e "$T/first.sock"
}
it "and one that connects where the socket of a port has moved to" moved

# shellcheck disable=SC2016 # the words with $ are jq's
is() { # PORT STATE REASON: as `weir show ports` has it
	show ports --arg p "$1" --arg s "$2" --arg r "$3" \
		'any(.[]; .name == $p and .state == $s and (.reason | contains($r)))'
}

logged() { # NUMBER TEXT: so often
	grep -F "$2" "$T/weir.log"
	[[ $(grep -cF "$2" "$T/weir.log") = "$1" ]]
}

# Another process at the path: does as it is told until its input ends, then takes its socket along.
occupy() { # SOCKET connect|listen
	rm -f "$T/hand"
	mkfifo "$T/hand"
	python3 - "$@" 3<"$T/hand" <<'PYTHON' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
if sys.argv[2] == "connect":
    s.connect(sys.argv[1])
else: # in one step, for weir may have made it again already
    s.bind(sys.argv[1] + ".new")
    s.listen()
    os.rename(sys.argv[1] + ".new", sys.argv[1])
os.read(3, 1)
if sys.argv[2] == "listen":
    os.unlink(sys.argv[1])
PYTHON
	occupant=$!
	exec 4>"$T/hand"
}

leave() {
	exec 4>&-
	wait "$occupant"
}

removed() {
	local socket=$T/elsewhere.sock
	occupy "$socket" connect
	until_ok 2 is first waiting "connected; the front end has sent no message"
	rm "$socket"
	until_ok 3 test -S "$socket"
	is first waiting "connected; the front end has sent no message"
	leave
	until_ok 2 is first waiting "nobody has connected to the socket again since"
	soon "$socket"
	logged 1 "port first: the socket file $socket was removed; it is made again"
}
it "a socket file that is removed is made again, and whoever is connected stays so" removed

taken() {
	local socket=$T/elsewhere.sock file
	rm "$socket"
	occupy "$socket" listen
	until_ok 2 test -S "$socket"
	until_ok 3 is first down "socket $socket is in use by pid $occupant"
	file=$(stat -c %i "$socket")
	sleep 2
	[[ $(stat -c %i "$socket") = "$file" ]]
	logged 1 "port first: the socket file $socket was removed and cannot be made again"
	leave
	until_ok 3 is first waiting "nobody has connected"
	soon "$socket"
}
it "one that another process made meanwhile is left to it, the port down, until it is gone" taken

kept() {
	rm "$T/second.sock"
	occupy "$T/second.sock" listen
	until_ok 3 is second down "is in use by pid $occupant"
	weir port del second
	test -S "$T/second.sock"
	leave
}
it "nor does a port that is removed take it away" kept

folder() {
	mkdir "$T/run"
	config "$T/deep.yaml" <<YAML
ports:
  deep: {vhost-user: $T/run/deep.sock}
YAML
	weir apply "$T/deep.yaml"
	rm -r "$T/run"
	until_ok 3 test -S "$T/run/deep.sock"
	soon "$T/run/deep.sock"
}
it "one that went with its folder comes back with it" folder

swept() {
	local folder
	folder=$(readlink /proc/"$switch_pid"/fd/* | grep '^/tmp/weir\.')
	rmdir "$folder"
	soon "$T/run/deep.sock"
	[[ $(stat -c %a "$folder") = 700 ]]
	[[ $(readlink /proc/"$switch_pid"/fd/* | grep '^/tmp/weir\.') = "$folder" ]]
}
it "so is the folder in /tmp through which a front end's messages go to librte_vhost" swept

api() {
	rm "$WEIR_API"
	refused weir show ports | says "no switch is running"
	until_ok 3 weir show ports
	[[ $(stat -c %a "$WEIR_API") = 660 ]]
	logged 1 "API socket: the socket file $WEIR_API was removed; it is made again"
}
it "the API socket is made again too" api
