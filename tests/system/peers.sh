#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# How bench/peers/run finds out whether a switch had its CPU, with a process that has one thread which polls and
# others which sleep on the same CPU, as OVS with DPDK has on two CPUs.
# soak: sanitized
. "$(dirname "$0")/lib.sh"

cat >"$T/process.py" <<'END'
import os
import sys
import threading
import time


def bound(work):
    os.sched_setaffinity(0, {int(sys.argv[1])})
    work()


def poll():
    while True:
        pass


for work in [poll, lambda: time.sleep(60), lambda: time.sleep(60)]:
    threading.Thread(target=bound, args=[work], daemon=True).start()
time.sleep(60)
END

threads_of() { # PID NUMBER
	[[ $(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l) = "$2" ]]
}

# The share is that of the thread that polls, as the kernel has it, and never that of one that sleeps.
share_of_the_worker() {
	local pid cpu
	cpu=$(python3 -c 'import os; print(max(os.sched_getaffinity(0)))')
	python3 "$T/process.py" "$cpu" &
	pid=$!
	until_ok 5 threads_of "$pid" 4
	PYTHONPATH="$TESTS/../bench/peers" python3 - "$pid" "$cpu" <<-'END'
		import sys
		import time

		import switches as sw

		pid, cpu = map(int, sys.argv[1:])
		before = sw.cpu_seconds(pid, [cpu])
		threads, most, begin = before[cpu]["threads"], 0, time.monotonic()
		while most < 0.2 and time.monotonic() < begin + 20:
		    time.sleep(0.2)
		    after = sw.cpu_seconds(pid, [cpu])
		    most = max(after[cpu]["threads"][t][0] - threads[t][0] for t in threads)
		took = time.monotonic() - begin
		share = sw.cpu_share(before, after)
		print(f"{len(threads)} threads, of which one ran {most:.2f} s; {share:.2f} of the CPU that it wanted")
		assert len(threads) == 3 and most >= 0.2
		assert 0.9 * most / took < share <= 1  # it never slept: it ran, waited, or was stolen from
		def of(**threads):
		    return {"stolen": threads.pop("stolen", 0.0), "threads": threads}
		# Beside one that sleeps; half of the time asleep; of two workers the one that had least; a stolen CPU.
		for now, want in [({0: of(a=(0.9, 0.1), b=(0.0, 0.0))}, 0.9), ({0: of(a=(0.5, 0.0), b=(0.0, 0.0))}, 1),
		                  ({0: of(a=(0.9, 0.0)), 1: of(a=(0.3, 0.1))}, 0.75), ({0: of(a=(0.6, 0.0), stolen=0.4)}, 0.6)]:
		    was = {cpu: of(**{t: (0.0, 0.0) for t in one["threads"]}) for cpu, one in now.items()}
		    assert abs(sw.cpu_share(was, now) - want) < 1e-9, (now, want)
		assert sw.cpu_share({}, {}) == 1
	END
	kill "$pid"
}
it "a worker's share of its CPU is told apart from that of threads which sleep there" share_of_the_worker
