#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What is wrong is refused in one sentence with value, range and remedy, exit status 1; and a running
# switch stays as it was.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a b
config <<'YAML'
networks: {blue: {vlan: 100}}
ports:
  a: {tap: eth0, netns: a, network: blue, mac: "02:00:00:00:00:0a"}
  b: {tap: eth0, netns: b, network: blue}
YAML
switch_start || exit 1
address a eth0 10.0.0.1/24
ip -n a link set eth0 address 02:00:00:00:00:0a
address b eth0 10.0.0.2/24

# bad SENTENCE PATTERN...: the configuration on stdin is refused by `weir switch`, by `weir apply` and
# by the dry run, in a sentence with each pattern in it, and the running switch does not change.
bad() {
	local sentence=$1
	shift
	config "$T/bad.yaml"
	it "$sentence" bad_case "$@"
}
bad_case() {
	local before
	before=$(weir show config -j)
	# Its own socket: the running switch's would be refused for being in use.
	sed "s,^api: .*,api: $T/other.sock," "$T/bad.yaml" >"$T/bad2.yaml"
	refused timeout 10 "$WEIR" switch -c "$T/bad2.yaml" | says "$@"
	refused weir apply "$T/bad.yaml" | says "$@"
	refused weir apply "$T/bad.yaml" --dry-run | says "$@"
	[[ $(weir show config -j) = "$before" ]]
	ping_ok b 10.0.0.1
}

bad "a misspelt key is named with file, line and what there is" 'bad2?.yaml:[0-9]+' "'netwrok'" network <<'YAML'
ports:
  a: {tap: eth0, netns: a, netwrok: blue}
YAML

bad "YAML that does not parse is named with file and line" 'bad2?.yaml:[0-9]+' <<'YAML'
ports:
  a: {tap: eth0
YAML

bad "an unknown network is named beside the known ones" "port a" "'blu'" 'blue' <<'YAML'
networks: {blue: {vlan: 100}}
ports:
  a: {tap: eth0, netns: a, network: blu}
YAML

bad "a VLAN out of range is named with the range" 4095 '1\.\.4094' <<'YAML'
networks: {blue: {vlan: 4095}}
YAML

bad "a VLAN used by two networks is refused with both named" 100 blue green <<'YAML'
networks: {blue: {vlan: 100}, green: {vlan: 100}}
YAML

bad "a MAC pinned to two ports is refused with both named" '02:00:00:00:00:01' a b <<'YAML'
ports:
  a: {tap: eth0, netns: a, mac: "02:00:00:00:00:01"}
  b: {tap: eth0, netns: b, mac: "02:00:00:00:00:01"}
YAML

bad "what is no MAC is refused" "02:00:00:00:00" <<'YAML'
ports:
  a: {tap: eth0, netns: a, mac: "02:00:00:00:00"}
YAML

bad "a CPU that does not exist is refused, and those that do are named" 4000 "$WEIR_CPUS|[0-9]" <<'YAML'
workers: [4000]
YAML

long=$(printf 'x%.0s' {1..120})
bad "a socket path too long for the kernel is refused with the limit" bytes 107 <<YAML
ports:
  v: {vhost-user: /tmp/$long}
YAML

bad "a port that is neither vhost-user nor TAP is refused" "port a" vhost-user tap <<'YAML'
ports:
  a: {network: default}
YAML

bad "too many queues are refused with the range" 17 16 <<'YAML'
ports:
  a: {tap: eth0, netns: a, queues: 17}
YAML

bad "a network without VLAN cannot be on a trunk" "plain" vlan <<'YAML'
networks: {plain: {}}
ports:
  a: {tap: eth0, netns: a, trunk: [plain]}
YAML

bad "a namespace that does not exist is named" "port a" nowhere <<'YAML'
ports:
  a: {tap: eth0, netns: nowhere}
YAML

bad "an interface name too long for the kernel is refused with the limit" abcdefghijklmnop 15 <<'YAML'
ports:
  a: {tap: abcdefghijklmnop, netns: a}
YAML

bad "a folder that does not exist is named when a socket should go there" "$T/none" <<YAML
ports:
  v: {vhost-user: $T/none/v.sock}
YAML

no_file() {
	refused "$WEIR" switch -c "$T/none.yaml" | says "$T/none.yaml" "No such file"
	refused weir apply "$T/none.yaml" | says "$T/none.yaml" "No such file"
}
it "a configuration that is not there is named" no_file

no_permission() {
	mkdir -m 711 "$T/locked"
	chmod 755 "$T"
	cat >"$T/nobody.yaml" <<YAML
api: $T/locked/api.sock
workers: [$WEIR_CPUS]
YAML
	chmod 644 "$T/nobody.yaml"
	refused setpriv --reuid 65534 --regid 65534 --clear-groups \
		timeout 10 "$WEIR" switch -c "$T/nobody.yaml" | says "$T/locked" '[Pp]ermission'
}
if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$WEIR" 2>/dev/null; then
	it "a socket where weir may not write is refused: no permission" no_permission
else
	# In a user namespace with one user there is nobody else to be.
	skip "a socket where weir may not write is refused: no permission" "nobody may not run $WEIR here"
fi

unknown_port() {
	refused weir port del vm9 | says "vm9" a b
	refused weir port set vm9 mtu=1400 | says "vm9"
	refused weir capture vm9 -w "$T/x.pcapng" | says "vm9"
	refused weir trace vm9 ffffffffffff02000000000188b5 | says "vm9"
}
it "an unknown port is named beside the known ones" unknown_port

pipes() { # nobody writes to them, so whoever opened one as usual would wait for good
	mkfifo "$T/pipe" /run/netns/pipe
	refused timeout 5 "$WEIR" port add t tap=t0 network=blue netns="$T/pipe" | says 'port t' 'not a network namespace'
	refused timeout 5 "$WEIR" port add t tap=t0 network=blue netns=pipe | says 'port t' 'not a network namespace'
	refused timeout 5 "$WEIR" switch -c "$T/pipe" | says "$T/pipe" 'pipe'
	refused timeout 5 "$WEIR" apply "$T/pipe" | says "$T/pipe" 'pipe'
	mv "$T/weir.yaml" "$T/was.yaml"
	mv "$T/pipe" "$T/weir.yaml"
	kill -HUP "$switch_pid"
	until_ok 3 grep "reload refused.*pipe" "$T/weir.log"
	mv "$T/was.yaml" "$T/weir.yaml"
	show ports 'map(.name) == ["a", "b"]'
	ping_ok b 10.0.0.1
}
it "a pipe in the place of a namespace or of the configuration holds nobody up" pipes

no_switch() {
	refused "$WEIR" --api "$T/nothing.sock" show ports | says "$T/nothing.sock" 'no |not '
}
it "without a running switch the CLI says where it looked" no_switch

usage() {
	local status
	for args in "" "fly" "show" "show planes" "apply" "port" "port add" "switch -x"; do
		status=0
		# shellcheck disable=SC2086 # words
		weir $args >"$T/out" 2>"$T/err" || status=$?
		[[ $status = 2 ]] || { echo "weir $args: status $status"; cat "$T/err"; return 1; }
		[[ -s $T/err ]]
	done
}
it "wrong usage ends with status 2 and says what is right" usage

# What the help of a command lists first in a line: PATTERN of sed.
listed() { # PATTERN COMMAND...
	weir "${@:2}" --help | sed -nE "s/^  $1( .*)?\$/\1/p"
}

# A command a line, those with subcommands by each of them.
commands() {
	local c
	for c in switch apply port network show top trace capture; do
		echo "$c"
	done
	for c in bench nic vf pci host export; do
		listed '([a-z][a-z0-9-]*)' "$c" | sed "s/^/$c /"
	done
}

# All options, with a right value where they want one.
options_of() { # COMMAND...
	local option value
	while read -r option value; do
		[[ -z $value ]] || case $option in
		--sysfs | --state | -o) value=$T/bare ;;
		--time | --omit | --wait | --learn-wait | --burst-max | --late | --every | --timeout | --interval) value=1s ;;
		--until) value=2% ;;
		--secret-file) value=$T/secret ;;
		--rate) [[ $* = "bench frames" || $* = "bench rr" ]] && value=1000 || value=1Gbit ;;
		--cpus | --sink-cpus) value=${WEIR_CPUS%%,*} ;;
		--size | --length | --mss) value=100 ;;
		--spoofchk | --trust | --rss-query) value=on ;;
		*) value=2 ;;
		esac
		echo "$option${value:+ $value}"
	done < <(listed '(--?[a-z-]+( ([A-Z0-9]|on\|)[^ ]*)?)' "$@")
}

# With one more that there is not, so that nothing is done.
twice() {
	local command options once again all=0
	mkdir -p "$T/bare/sys/bus/pci/devices"
	(umask 077 && echo 0123456789abcdef0123456789abcdef >"$T/secret")
	while read -r -a command <&3; do
		read -r -d '' -a options < <(options_of "${command[@]}") || true
		once=$(weir "${command[@]}" "${options[@]}" --zz 2>&1 || true)
		again=$(weir "${command[@]}" "${options[@]}" "${options[@]}" --zz 2>&1 || true)
		says "'?--zz'?|takes no FILE" <<<"$once" # of host apply --resume
		diff <(echo "${command[*]}: $once") <(echo "${command[*]}: $again")
		all=$((all + $(grep -c '^-' <(options_of "${command[@]}") || true)))
	done 3< <(commands)
	echo "$all options"
	[[ $all -gt 150 ]]
}
it "each option of each command may be given twice" twice
