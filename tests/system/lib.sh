# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# The harness of the shell tests; each begins with `. "$(dirname "$0")/lib.sh"`.
#
# A test runs in network, mount and process namespaces of its own (and in a user namespace when not
# root), with an empty /run: whatever it makes there is gone with it, and names need not be unique.
# Endpoints are namespaces in it, weir makes a TAP in each. Output is TAP: one `it` is one case.
#
#   T           folder for files of this test            WEIR     the executable under test
#   WEIR_CPUS   CPUs its workers should use              WEIR_SANITIZED  1: ASan and UBSan build
#   WEIR_CASES  alone: run only the cases that want the machine for themselves; beside: the others
set -uo pipefail

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export WEIR=${WEIR:-$TESTS/../build/weir}

if [[ ${WEIR_TEST_INSIDE-} != yes ]]; then
	user=()
	[[ $(id -u) = 0 ]] || user=(--user --map-root-user)
	if ! unshare "${user[@]}" -n -m -p -f true 2>/dev/null; then
		echo "1..0 # SKIP no right to make namespaces (not root, and user namespaces are off)"
		exit 0
	fi
	WEIR_TEST_INSIDE=yes exec unshare "${user[@]}" --net --mount --pid --fork --kill-child \
		--mount-proc bash "$0" "$@"
fi
mount -t tmpfs none /run && mkdir -p /run/netns && ip link set lo up || exit 1
T=$(mktemp -d "${TMPDIR:-/tmp}/w.XXXXXX") || exit 1
export T WEIR_API=$T/api.sock
unset WEIR_TEST_INSIDE
if [[ -z ${WEIR_CPUS-} ]]; then
	# The highest CPU this process may use, as weir itself would choose.
	WEIR_CPUS=$(taskset -pc $$ | sed 's/.*[ ,-]//')
fi
patience=1
[[ -z ${WEIR_SANITIZED-} ]] || patience=4
cases=0 switch_pid='' at_end=: # at_end: a command

finish() {
	local status=$?
	trap - EXIT
	[[ -z $switch_pid ]] || it "the switch ends within 2 s of SIGTERM, with status 0" switch_stop
	[[ $status = 0 ]] || echo "not ok $((++cases)) - the script ended early, status $status"
	echo "1..$cases"
	$at_end
	rm -rf "$T"
	exit 0
}
trap finish EXIT
trap 'exit 1' TERM INT HUP

# it SENTENCE COMMAND...: a case; holds when the command (a function, run in a subshell under set -e)
# succeeds. What it printed is shown when it does not.
it() {
	local sentence=$1 status
	[[ ${WEIR_CASES-} != alone ]] || return 0
	shift
	(
		set -eE
		# shellcheck disable=SC2154 # BASH_COMMAND is bash's
		trap 'echo "failed (status $?): ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
		"$@"
	) >"$T/case.out" 2>&1
	status=$?
	cases=$((cases + 1))
	if [[ $status = 0 ]]; then
		echo "ok $cases - $sentence"
	else
		echo "not ok $cases - $sentence"
		sed 's/^/# /' "$T/case.out"
		[[ ! -s $T/weir.log ]] || { echo "# weir's log:"; tail -n 30 "$T/weir.log" | sed 's/^/#   /'; }
	fi
}

# alone it SENTENCE COMMAND...: a case whose figures another load would spoil. It does not build upon others,
# and the test says so in its head (tests/run).
alone() {
	[[ ${WEIR_CASES-} = beside ]] || WEIR_CASES='' "$@"
}

skip() { # SENTENCE REASON
	cases=$((cases + 1))
	echo "ok $cases - $1 # SKIP $2"
}

# until_ok SECONDS COMMAND...: tries until it succeeds; 1 when the time is over.
until_ok() {
	local end
	end=$(($(date +%s%N) + $1 * patience * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[[ $(date +%s%N) -lt $end ]] || { "$@"; return; }
		sleep 0.05
	done
}

# config [FILE]: writes the configuration from stdin; with the test's socket, and its CPUs unless it
# names some itself.
config() {
	local file=${1:-$T/weir.yaml} body
	body=$(cat)
	{
		echo "api: $T/api.sock"
		grep -q '^workers:' <<<"$body" || echo "workers: [$WEIR_CPUS]"
		echo "$body"
	} >"$file"
}

# Starts `weir switch` with the configuration and waits until it answers. Its process is
# `switch_pid`, its messages are in $T/weir.log, its exit status will be in $T/weir.status.
switch_start() {
	rm -f "$T/weir.status" "$T/weir.pid"
	{
		"$WEIR" switch -c "${1:-$T/weir.yaml}" &
		echo $! >"$T/weir.pid.new"
		mv "$T/weir.pid.new" "$T/weir.pid"
		status=0
		wait $! || status=$?
		echo $status >"$T/weir.status"
	} >>"$T/weir.log" 2>&1 &
	until_ok 2 test -e "$T/weir.pid"
	switch_pid=$(<"$T/weir.pid")
	until_ok 5 switch_answers_or_ended
	[[ ! -e $T/weir.status ]] && return
	echo "# the switch ended with status $(<"$T/weir.status"); its log:"
	sed 's/^/#   /' "$T/weir.log"
	switch_pid=
	return 1
}

switch_answers_or_ended() {
	[[ -e $T/weir.status ]] || weir show ports
}

# Ends it; 1 when that takes over 2 s or its exit status is not 0 (a sanitizer's find is one).
switch_stop() {
	kill -TERM "$switch_pid"
	if ! until_ok 2 test -s "$T/weir.status"; then
		echo "still there after 2 s"
		kill -KILL "$switch_pid"
		return 1
	fi
	[[ $(<"$T/weir.status") = 0 ]] || { echo "exit status $(<"$T/weir.status")"; return 1; }
}

# Like grep -q, but reads to the end, so that whoever writes is not cut off (and failed for it).
has() { # GREP-ARGUMENTS
	local all
	all=$(cat)
	grep -q "$@" <<<"$all"
}

# not COMMAND...: the other way round, and unlike `!` it counts under set -e.
not() {
	if "$@"; then
		return 1
	fi
}

# thrice COMMAND...: one success in three tries; what a busy machine did to a measurement it does not do
# each time, what weir does wrong it does. The command's steps hang together by &&: here -e is off.
thrice() {
	"$@" || { calm && "$@"; } || { calm && "$@"; }
}

# calm: waits until this machine, where it is a virtual one, was given its CPUs for a second: under 5 % of
# them stolen. 30 s at most.
calm() {
	local end=$((SECONDS + 30)) before
	until before=$(stolen) && sleep 1 && [[ $(($(stolen) - before)) -lt $((5 * $(nproc --all))) ]]; do
		[[ $SECONDS -lt $end ]] || break
	done
}

stolen() { # hundredths of a second, of all CPUs
	awk '/^cpu / { print $9 }' /proc/stat
}

within() { # FRACTION A B: A is that near to B
	awk -v f="$1" -v a="$2" -v b="$3" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= f * b) }' ||
		{ echo "$2 is not within $1 of $3"; return 1; }
}

holds() { # EXPRESSION of awk
	awk "BEGIN { exit !($1) }" || { echo "not so: $1"; return 1; }
}

weir() {
	"$WEIR" "$@"
}

# show WHAT FILTER: jq -e on what `weir show WHAT -j` prints.
show() {
	weir show "$1" -j | tee "$T/show.json" | jq -e "${@:2}" || { jq -c . "$T/show.json"; return 1; }
}

# endpoint NAME...: namespaces for TAPs, without IPv6, whose own chatter would spoil counts.
endpoint() {
	local ns
	for ns in "$@"; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
		in_ns "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
	done
}

in_ns() {
	ip netns exec "$@"
}

# taps NETWORKS NS...: starts a switch with these networks (YAML) that has a TAP in each namespace, eth0,
# a port of the same name in network blue; their addresses are 10.0.0.1/24, 10.0.0.2/24 and so on.
taps() {
	local networks=$1 ns n=0
	shift
	{
		echo "networks: $networks"
		echo "ports:"
		for ns in "$@"; do
			echo "  $ns: {tap: eth0, netns: $ns, network: blue}"
		done
	} | config
	switch_start || exit 1
	for ns in "$@"; do
		address "$ns" eth0 "10.0.0.$((++n))/24"
	done
}

# address NS DEVICE ADDRESS/LEN
address() {
	ip -n "$1" addr add "$3" dev "$2"
	ip -n "$1" link set "$2" up
}

# vlan NS DEVICE ID ADDRESS/LEN: a VLAN subinterface vID, with the MAC of its device.
vlan() {
	local ns=$1 lower=$2 id=$3
	if ! ip -n "$ns" link add link "$lower" name "v$id" type vlan id "$id" 2>/dev/null; then
		in_ns "$ns" "$TESTS/system/vlan.py" "$lower" "$id" "v$id" >&2 &
		until_ok 5 ip -n "$ns" link show "v$id" >/dev/null
		ip -n "$ns" link set "v$id" address "$(mac_of "$ns" "$lower")"
	fi
	address "$ns" "v$id" "$4"
}

mac_of() { # NS DEVICE
	ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'
}

# listen NS DEVICE FILE ETHERTYPE...: in the background, a line a frame that arrives into the file.
listen() {
	in_ns "$1" "$TESTS/system/listen.py" "$2" "${@:4}" >"$3" 2>"$3.err" &
	until_ok 5 grep -q '^listening' "$3.err"
}

heard() { # FILE: how many frames so far
	wc -l <"$1"
}

# waited PID: for how many us its threads were ready to run and had no CPU, all of them together: what the
# machine, not weir, took. It is left out of what is measured.
waited() {
	cat "/proc/$1"/task/*/schedstat | awk '{ ns += $2 } END { printf "%d\n", ns / 1000 }'
}

# more COMMAND NUMBER ARGS...: the command prints more than the number.
more() {
	[[ $("$1" "${@:3}") -gt $2 ]]
}

# ping_ok NS ADDRESS [ping options]: at least one answer to a few requests.
ping_ok() {
	in_ns "$1" ping -q -c 3 -i 0.05 -W $((2 * patience)) "${@:3}" "$2"
}

# ping_none NS ADDRESS: nobody answers.
ping_none() {
	not in_ns "$1" ping -q -c 3 -i 0.05 -w 1 -W 1 "$2"
}

# iperf SERVER-NS CLIENT-NS ADDRESS [options]: runs iperf3, prints its JSON.
iperf() {
	local server=$1 client=$2 address=$3 out port=$((5201 + RANDOM % 1000))
	shift 3
	in_ns "$server" iperf3 -s -1 -p "$port" -B "$address" >/dev/null 2>&1 &
	until_ok 3 eval "in_ns $server ss -Htln | has ':$port '"
	out=$(in_ns "$client" iperf3 -c "$address" -p "$port" -J "$@")
	wait $! 2>/dev/null || true
	if jq -e .error <<<"$out" >&2; then
		return 1
	fi
	echo "$out"
}

# late NS: UDP frames that arrived there but found no room in a socket: its reader was late.
late() {
	in_ns "$1" nstat -asz UdpRcvbufErrors | awk '/UdpRcvbufErrors/ { print $2 }'
}

# refused COMMAND...: exit status 1 and exactly one line on stderr beginning `weir: `, which is
# printed without that.
refused() {
	local status=0
	"$@" >"$T/refused.out" 2>"$T/refused.err" || status=$?
	if [[ $status != 1 || $(wc -l <"$T/refused.err") != 1 ]] || ! grep -q '^weir: ' "$T/refused.err"; then
		echo "status $status, stderr:" >&2
		cat "$T/refused.err" >&2
		return 1
	fi
	sed 's/^weir: //' "$T/refused.err"
}

# says PATTERN... : stdin matches each (grep -E), else it is shown.
says() {
	local text pattern
	text=$(cat)
	for pattern in "$@"; do
		grep -qE -- "$pattern" <<<"$text" || { echo "no '$pattern' in: $text" >&2; return 1; }
	done
}

# drops PORT REASON: how many frames so far.
drops() {
	weir show drops -j | jq "[.[] | select(.port == \"$1\" and .reason == \"$2\").frames] | add // 0"
}
