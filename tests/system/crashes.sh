#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A switch that crashes again and again with a port at work lets that port in later each time, and the
# others as ever.
# timeout: 90
. "$(dirname "$0")/lib.sh"

config <<YAML
ports:
  v: {vhost-user: $T/v.sock}
  w: {vhost-user: $T/w.sock}
YAML
# The signals that end it here are ours and nothing for a sanitizer to report.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:handle_segv=0:handle_abort=0
switch_start || exit 1

# Somebody who attaches to v as soon as he is let in, and stays: a port is at work then.
python3 - "$T/v.sock" 2>"$T/front.log" <<'PY' &
import socket, sys, time
while True:
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(sys.argv[1])
        s.recv(1) # until the switch is gone
    except OSError:
        pass
    s.close()
    time.sleep(0.02)
PY
front=$!

port() { # NAME FILTER
	weir show ports -j | jq -e --arg name "$1" "map(select(.name == \$name))[0] | $2"
}
listens() { # PATH; the file of a switch that was killed is still there
	socat -u OPEN:/dev/null "UNIX-CONNECT:$1"
}
crash() { # SIGNAL
	kill "-$1" "$switch_pid"
	until_ok 5 test -e "$T/weir.status"
	switch_start
}
attached() {
	until_ok "$1" port v '.reason | startswith("connected")'
}

twice() {
	attached 5
	crash KILL
	attached 1
	port v '.crashes == 1'
	crash SEGV
	attached 1
	port v '.crashes == 2'
	port w '.crashes == 0'
}
it "after two crashes a port that was at work is let in at once" twice
switch_pid=$(<"$T/weir.pid")

# held SECONDS: v waits for at least so long, and says so; w does not.
held() {
	port v ".state == \"waiting\" and (.reason | test(\"at the last $2 crashes.*let in at [0-9:]+, in [0-9]+ s\"))"
	port w '.state == "waiting" and (.reason | startswith("nobody"))'
	listens "$T/w.sock"
	not listens "$T/v.sock"
	grep "port v was at work at $2 crashes; it is let in $1 ms from now" "$T/weir.log"
}
third() {
	crash KILL
	held 1000 3
	attached 10
	port v '.crashes == 3'
}
it "after the third it is held for a second, and shown as waiting with the reason and the time" third
switch_pid=$(<"$T/weir.pid")

fourth() {
	crash ABRT
	held 2000 4
	# An apply does not let it in.
	weir port set v mac=52:54:00:00:00:01
	weir port add x vhost-user="$T/x.sock"
	not listens "$T/v.sock"
	listens "$T/x.sock"
	attached 10
}
it "after the fourth for two, and an apply in between does not let it in" fourth
switch_pid=$(<"$T/weir.pid")

absent() {
	crash KILL
	held 4000 5
	crash KILL # v is not at work now
	held 4000 5
}
it "a crash without it does not count" absent
switch_pid=$(<"$T/weir.pid")

clean() {
	kill -TERM "$switch_pid"
	until_ok 5 test -e "$T/weir.status"
	not test -e "$T/api.sock.crashes"
	switch_start
	attached 1
	port v '.crashes == 0'
}
it "a clean end forgets all, and leaves nothing" clean
switch_pid=$(<"$T/weir.pid")

foreign() {
	kill -TERM "$switch_pid"
	until_ok 5 test -e "$T/weir.status"
	mkdir "$T/elsewhere"
	ln -s "$T/elsewhere/file" "$T/api.sock.crashes"
	switch_start
	attached 2
	not test -e "$T/elsewhere/file"
	grep "cannot open $T/api.sock.crashes" "$T/weir.log"
	rm "$T/api.sock.crashes"
}
it "a link in the place of its file is not followed" foreign
switch_pid=$(<"$T/weir.pid")
kill "$front"
