#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# systemd hears from the switch as long as every thread that matters goes on, and no longer.
# timeout: 60
. "$(dirname "$0")/lib.sh"

config <<YAML
idle: busy
ports:
  v: {vhost-user: $T/v.sock}
YAML

# Stops one thread of a process, and lets it go on: ptrace(2) by hand.
cat >"$T/stop.py" <<'PY'
import ctypes, os, socket, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

weir, config, path = sys.argv[1:4]
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(path)
switch = subprocess.Popen([weir, "switch", "-c", config],
    env=dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000"))

def signs(seconds):
    n, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        heard.settimeout(left)
        try:
            n += b"WATCHDOG=1" in heard.recv(4096)
        except TimeoutError:
            pass
    return n

def call(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))

try:
    while b"READY=1" not in heard.recv(4096):
        pass
    print("running:", running := signs(2))
    tid = next(int(t) for t in os.listdir(f"/proc/{switch.pid}/task")
        if open(f"/proc/{switch.pid}/task/{t}/comm").read().startswith("worker-"))
    call(SEIZE, tid)
    call(INTERRUPT, tid)
    os.waitpid(tid, WALL)
    signs(0.5) # of before
    print("worker stopped:", stopped := signs(2))
    answers = subprocess.run([weir, "show", "workers"]).returncode
    call(DETACH, tid)
    signs(0.2)
    print("on again:", again := signs(2))
finally:
    switch.terminate()
    ended = switch.wait()
print("API:", answers, "ended:", ended)
# 20 in 2 s when nobody else needs the CPUs
sys.exit(running < 3 or stopped > 0 or again < 3 or answers != 0 or ended != 0)
PY
worker_stops() {
	python3 "$T/stop.py" "$WEIR" "$T/weir.yaml" "$T/notify" 2>"$T/stop.log" || { cat "$T/stop.log"; return 1; }
	grep 'the worker on CPU [0-9]* does not come to the end of its turn' "$T/stop.log"
	grep 'all workers come to the end of their turns again' "$T/stop.log"
}
it "a worker that stands still in a turn ends the signs of life, though the API answers" worker_stops

sleepers() {
	sed -i 's/^idle: busy/idle: interrupt/' "$T/weir.yaml"
	socat -u "UNIX-RECV:$T/notify2" "OPEN:$T/notified,creat" &
	until_ok 2 test -S "$T/notify2"
	NOTIFY_SOCKET=$T/notify2 WATCHDOG_USEC=400000 "$WEIR" switch -c "$T/weir.yaml" &
	until_ok 5 eval "[[ \$(tr '\0' '\n' <'$T/notified' | grep -o WATCHDOG=1 | wc -l) -ge 10 ]]"
	kill -TERM $!
	wait $!
}
it "workers that sleep are alive" sleepers
