# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# shellcheck shell=bash
#
# Speaking with a guest that obeys its second serial port (see obey): vm_in[GUEST] and vm_out[GUEST] are
# the descriptors of that port, vm_pid[GUEST] is its QEMU.
declare -A vm_pid vm_in vm_out

# vm_line GUEST SECONDS: the next whole line from it, in vm_line_.
vm_line() {
	local part end=$((SECONDS + $2))
	vm_line_=
	while [ $SECONDS -lt "$end" ] && kill -0 "${vm_pid[$1]}" 2>/dev/null; do
		# What came before the time was over is kept: long lines take long.
		if IFS= read -r -t 1 part <&"${vm_out[$1]}"; then
			vm_line_+=$part
			return
		fi
		vm_line_+=$part
	done
	return 1
}

# vm_run GUEST COMMAND: runs it with sh in the guest; its output and status are ours. One at a time: what
# is to run on is sent to the background there (with output to a file). VM_LIMIT: seconds, default 30.
vm_run() {
	local limit=${VM_LIMIT:-30} id=$BASHPID.$RANDOM.$RANDOM got status out end
	echo "$id $limit $(printf %s "$2" | base64 -w0)" >&"${vm_in[$1]}"
	end=$((SECONDS + limit + 10))
	while vm_line "$1" $((end - SECONDS)); do
		read -r got status out <<<"$vm_line_"
		[ "$got" = "$id" ] || continue
		[ -z "$out" ] || base64 -d <<<"$out"
		return "$status"
	done
	echo "guest $1 did not answer: $2" >&2
	return 124
}

# vm_behind GUEST NAME COMMAND: runs it in the background there; vm_result waits for its end (as long as for
# any command), and prints what it printed.
vm_behind() {
	vm_run "$1" "rm -f /tmp/$2.out; ($3 >/tmp/$2 2>&1; mv /tmp/$2 /tmp/$2.out) &"
}

vm_result() { # GUEST NAME
	vm_run "$1" "until cat /tmp/$2.out 2>/dev/null; do sleep 0.1; done"
}
