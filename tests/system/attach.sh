#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# How fast a front end is heard that comes as soon as it can.
. "$(dirname "$0")/lib.sh"

config <<YAML
ports:
  first: {vhost-user: $T/first.sock}
YAML
switch_start || exit 1

# Connects to a socket as soon as it is there, asks for features and prints after how many ms the
# answer was there.
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
begin = time.monotonic()
s.send(struct.pack("III", 1, 1, 0)) # VHOST_USER_GET_FEATURES, version 1, no payload
assert len(s.recv(100)) == 20
print(round((time.monotonic() - begin) * 1000))
PYTHON
}

soon() { # SOCKET: within 200 ms
	local ms
	ms=$(ask "$1")
	echo "answered after $ms ms"
	[[ $ms -lt $((200 * patience)) ]]
}

again() {
	local asker
	kill -KILL "$switch_pid"
	until_ok 2 test -e "$T/weir.status"
	ask "$T/first.sock" >"$T/ms" &
	asker=$!
	switch_start
	echo "$switch_pid" >"$T/switch_pid"
	wait "$asker"
	[[ $(<"$T/ms") -lt $((200 * patience)) ]]
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
