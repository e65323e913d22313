#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# The units under a real systemd: process 1 of namespaces of its own, with weir.service, weir-host.service
# and nothing else.
# timeout: 120
. "$(dirname "$0")/lib.sh"

# What is lent to it: a cgroup of its own, which goes with the test, and /run, which is the test's.
cgroup=
why_not() {
	[[ -x /lib/systemd/systemd ]] || { echo "systemd is not installed"; return; }
	[[ $(</proc/self/uid_map) = *4294967295* ]] || { echo "only root can lend it a cgroup"; return; }
	mkdir /run/cgroup
	mount -t cgroup2 none /run/cgroup 2>/dev/null && mkdir "/run/cgroup/weir-test-$BASHPID" 2>/dev/null ||
		echo "no cgroup can be made here"
}
return_cgroup() {
	[[ -z $cgroup ]] || until_ok 5 eval "find $cgroup -depth -type d -exec rmdir {} + && [[ ! -e $cgroup ]]"
}
reason=$(why_not)
if [[ -n $reason ]]; then
	skip "the units start, reload, restart and stop weir under systemd" "$reason"
	exit 0
fi
cgroup=$(echo /run/cgroup/weir-test-*)
trap '[[ -z ${init-} ]] || { kill -KILL $init; wait $init; } 2>/dev/null; return_cgroup; finish' EXIT

# The units as they are installed, but for where the program is (its /tmp is private) and where it logs.
units=/run/units
mkdir -p /run/{etc,var}/{up,work} /run/etc/weir /run/bin
cp "$WEIR" /run/bin/weir
for unit in weir weir-host; do
	mkdir -p $units/$unit.service.d
	sed 's,^ExecStart=[^ ]*,ExecStart=/run/bin/weir,' "$(dirname "$WEIR")/$unit.service" >$units/$unit.service
	printf '[Service]\nStandardError=append:/run/%s.log\nWatchdogSec=2s\n' $unit >$units/$unit.service.d/test.conf
	# The leak checker traces its own process, which the units forbid; ASan's shadow is terabytes of data.
	[[ -z ${WEIR_SANITIZED-} ]] || printf '%s\n' 'Environment=ASAN_OPTIONS=detect_leaks=0' LimitDATA=infinity \
		>>$units/$unit.service.d/test.conf
done
for target in basic sysinit network network-pre shutdown; do
	printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $target >$units/$target.target
done

# /etc and /var/lib are the machine's, with the test's /etc/weir and what is written over them.
boot() {
	echo 0 >"$cgroup/cgroup.procs"
	mount --make-shared /run
	# shellcheck disable=SC2016 # expanded by the inner shell
	exec unshare --cgroup --mount --propagation unchanged --pid --fork --kill-child bash -ec '
		mount -t proc proc /proc
		mount --make-private /sys
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount --make-private /
		mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/up,workdir=/run/etc/work /etc
		mount -t overlay overlay -o lowerdir=/var/lib,upperdir=/run/var/up,workdir=/run/var/work /var/lib
		mkdir -p /etc/weir
		mount --bind /run/etc/weir /etc/weir
		export container=other SYSTEMD_UNIT_PATH='$units'
		exec /lib/systemd/systemd --system --unit=basic.target --log-target=null'
}

endpoint a
cat >/run/etc/weir/weir.yaml <<YAML
workers: [$WEIR_CPUS]
networks: {blue: {}}
ports:
  host: {tap: weir0, network: blue}
  a: {tap: eth0, netns: a, network: blue}
  vm1: {vhost-user: /run/weir/vm1.sock, network: blue}
  vm2: {vhost-user: /run/weir/vm2.sock, network: blue}
YAML
export WEIR_API=/run/weir/weir.sock
boot >"$T/boot.log" 2>&1 &
init=$!

# systemd talks to those it can see: in its own namespaces.
ctl() {
	nsenter --mount --pid --target "$(pgrep -P $init)" systemctl "$@"
}
state() { # PROPERTY VALUE
	ctl show weir | grep "^$1=" | says "^$1=$2\$"
}

starts() {
	until_ok 10 ctl show weir || { cat "$T/boot.log"; return 1; }
	ctl start weir || { ctl status weir; cat /run/weir.log; return 1; }
	# Type=notify: start returned because weir said it is ready.
	state ActiveState active
	state StatusText '4 ports, 1 networks, [0-9]+ workers'
	weir show ports
	cat /run/weir.log
}
it "it is started when weir says it is ready" starts

carries() {
	ip addr add 10.0.0.1/24 dev weir0
	address a eth0 10.0.0.2/24
	until_ok 2 ping -q -c 3 -i 0.05 -W 2 10.0.0.2
	"$(dirname "$WEIR")/bench/peers/bench-wake" /run/weir/vm1.sock /run/weir/vm2.sock 200 "${WEIR_CPUS%%,*}" | tee "$T/wake"
	jq -e '.lost == 0' "$T/wake"
}
it "with all its restrictions weir makes TAPs, also in a namespace, and carries frames of vhost-user guests" carries

reloads() {
	local pid
	pid=$(ctl show -P MainPID weir)
	sed -i 's/{blue: {}}/{blue: {}, red: {}}/' /run/etc/weir/weir.yaml
	ctl reload weir
	until_ok 3 show networks 'any(.[]; .name == "red")'
	until_ok 3 state StatusText '4 ports, 2 networks, [0-9]+ workers'
	state ActiveState active
	state MainPID "$pid"
}
it "systemctl reload brings it to the changed file, the process stays" reloads

# another_process PID SECONDS: within them weir runs as another, and carries again.
another_process() {
	until_ok "$2" not state MainPID "$1"
	until_ok 5 weir show ports
	state ActiveState active
	ip addr add 10.0.0.1/24 dev weir0
	address a eth0 10.0.0.2/24
	until_ok 2 ping -q -c 3 -i 0.05 -W 2 10.0.0.2
}
killed() {
	local pid
	pid=$(ctl show -P MainPID weir)
	ctl kill --signal=KILL weir
	another_process "$pid" 5
}
it "it is started again when it is killed" killed

hangs() {
	local pid
	pid=$(ctl show -P MainPID weir)
	ctl kill --signal=STOP weir
	another_process "$pid" 10
	state NRestarts 2
}
it "the watchdog finds a weir that stands still, ends it and starts it again" hangs

crashes() { # more often than systemd's own limit of 5 in 10 s
	local pid
	for _ in {1..7}; do
		pid=$(ctl show -P MainPID weir)
		ctl kill --signal=SEGV weir
		until_ok 5 eval "[[ \$(ctl show -P MainPID weir) != 0 ]] && not state MainPID $pid"
		until_ok 5 weir show ports
	done
	state ActiveState active
	# TAPs were at work at the first of them, so they come later, and were not there at the others.
	show ports 'any(.[]; .name == "host" and .crashes > 2 and (.reason | test("let in at")))'
	until_ok 5 show ports 'any(.[]; .name == "vm1" and .state == "waiting" and .crashes == 0)'
}
it "seven crashes in a row do not end in systemd's giving up" crashes

without_netns() {
	local pid
	sed -i '/netns: a/d' /run/etc/weir/weir.yaml
	ctl restart weir
	until_ok 5 weir show ports
	pid=$(pgrep -f '/run/bin/weir switch')
	[[ $(awk '/^Cap(Prm|Eff|Bnd)/ { print $2 }' /proc/"$pid"/task/*/status | sort -u | xargs) = "0000000000000000 0000000000001000" ]]
	[[ -n ${WEIR_SANITIZED-} ||
		$(awk '/^Max data size/ { print $4 }' "/proc/$pid/limits") = $((16 << 30)) ]]
	state OOMScoreAdjust -900 # which a container may not be allowed to set
	state TasksMax 1536
}
it "without a port in a namespace nothing of it has CAP_SYS_ADMIN, not even its bounding set" without_netns

stops() {
	ctl stop weir
	state ActiveState inactive
	state Result success
	not test -e /run/weir/weir.sock
	not test -e /run/weir/vm1.sock
	not ip link show weir0
	not ip -n a link show eth0
	tail -n 1 /run/weir.log
}
it "systemctl stop ends it cleanly: what it made is gone" stops

# The other unit: here are no PFs, and no interface of the file's.
host_state() { # PROPERTY VALUE
	ctl show weir-host | grep "^$1=" | says "^$1=$2\$"
}
waits() {
	echo 'pfs: {weir-none0: {vfs: 4}}' >/run/etc/weir/host.yaml
	# Type=notify: it says that it is ready, though it waits, so that the start of a host ends.
	ctl start weir-host || { ctl status weir-host; cat /run/weir-host.log; return 1; }
	host_state ActiveState active
	host_state StatusText 'waiting: .*'
	grep weir-none0 /run/weir-host.log || grep 'PCI bus' /run/weir-host.log
	[[ -d /run/var/up/weir/host/journal ]]
}
it "weir-host.service waits for a card that is not there, and keeps the start of the host from waiting" waits

host_reloads() {
	local pid
	pid=$(ctl show -P MainPID weir-host)
	echo 'pfs: 7' >/run/etc/weir/host.yaml
	ctl reload weir-host
	until_ok 3 grep 'reload refused, .*host.yaml:1: pfs is 7' /run/weir-host.log
	echo 'pfs: {}' >/run/etc/weir/host.yaml
	ctl reload weir-host
	until_ok 3 grep 'reloaded .*host.yaml' /run/weir-host.log
	host_state ActiveState active
	host_state MainPID "$pid"
}
it "it reads a changed file again, and stays with what it has when that is wrong" host_reloads

host_stops() {
	ctl stop weir-host
	host_state ActiveState inactive
	host_state Result success
}
it "it ends cleanly" host_stops
