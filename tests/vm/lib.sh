# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# shellcheck shell=bash
#
# Linux guests under QEMU for the tests beside this file, on top of tests/system/lib.sh. A guest boots
# in about four seconds without KVM; boot once, test much. Commands reach it over its second serial
# port, so control never rides the path that is tested.
#
#     vm_nic a plain 10.0.0.1/24 vhost:$T/a.sock mrg_rxbuf=off
#     vm_start a;  it "the guest boots" vm_wait a
#     at a/plain 'ping -c 3 10.0.0.2'
#
# Every NIC lives in a network namespace of its own inside the guest (see init), so that two NICs of
# one guest reach each other only through the switch. iperf3 serves in each of them.
#
# WEIR_VM_ACCEL   QEMU's accelerator, default tcg,thread=multi
vm_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_image=$vm_here/../../build/vm
# Before the test enters its namespaces, from where apt reaches nothing.
"$vm_here/image" "$vm_image" || exit 1
# shellcheck source=SCRIPTDIR/../system/lib.sh
. "$vm_here/../system/lib.sh"

vm_accel=${WEIR_VM_ACCEL:-tcg,thread=multi}

# Before version 8, QEMU without KVM crashes when a vhost-user NIC uses MSI-X: it dereferences the KVM
# interrupt routes it does not have. Such NICs then interrupt by INTx.
vm_vhost_opts=vectors=0
case $vm_accel in kvm*) vm_vhost_opts= ;; esac
qemu-system-x86_64 --version | grep -q 'version [1-7]\.' || vm_vhost_opts=

# shellcheck source=SCRIPTDIR/control.sh
. "$vm_here/control.sh"
vm_guests=() vm_index_=0
declare -A vm_netns vm_address vm_count vm_program vm_machine vm_memory

# vm_nic GUEST NAME ADDRESS/PREFIX BACKEND [DEVICE-OPTION...]: one more NIC for a guest not yet started.
# BACKEND is vhost:SOCKET[:OPTIONS] (QEMU connects, again every second), listen:SOCKET[:OPTIONS] (QEMU
# listens), or tap:INTERFACE[:OPTIONS]; OPTIONS go to -netdev. DEVICE-OPTION mtu=N sets the guest's own MTU,
# e1000 makes it that; the others go to the virtio NIC.
vm_nic() {
	local guest=$1 name=$2 address=$3 backend=$4 model=virtio-net-pci opts='' mtu='' o
	shift 4
	declare -ga "vm_args_$guest" "vm_nics_$guest"
	declare -n args=vm_args_$guest nics=vm_nics_$guest
	vm_index "$guest"
	local n=${vm_count[$guest]:-0} id mac
	vm_count[$guest]=$((n + 1)) id=n$n
	mac=$(printf '52:54:00:00:%02x:%02x' $((vm_index_ + 1)) "$n")
	for o; do
		case $o in
		e1000) model=e1000 ;;
		mtu=*) mtu=,${o#mtu=} ;;
		*) opts+=,$o ;;
		esac
	done
	local kind=${backend%%:*} rest=${backend#*:}
	local path=${rest%%:*} more=''
	[ "$path" = "$rest" ] || more=,${rest#*:}
	case $kind in
	vhost)
		args+=(-chardev "socket,id=c$id,path=$path,reconnect=1"
			-netdev "vhost-user,id=$id,chardev=c$id$more")
		;;
	listen)
		args+=(-chardev "socket,id=c$id,path=$path,server=on,wait=off"
			-netdev "vhost-user,id=$id,chardev=c$id$more")
		;;
	tap) args+=(-netdev "tap,id=$id,ifname=$path,script=no,downscript=no$more") ;;
	*) echo "vm_nic: what is '$backend'?" >&2; return 1 ;;
	esac
	[ "$kind" = tap ] || opts=${vm_vhost_opts:+,$vm_vhost_opts}$opts
	args+=(-device "$model,netdev=$id,mac=$mac,romfile=$opts")
	vm_address[$guest/$name]=${address%/*}
	nics+=("weir.nic=$mac,$name,$address$mtu")
}

# A guest's number, from 0, in vm_index_.
vm_index() {
	for vm_index_ in "${!vm_guests[@]}"; do
		[ "${vm_guests[$vm_index_]}" = "$1" ] && return
	done
	vm_index_=${#vm_guests[@]}
	vm_guests+=("$1")
}

# vm_start GUEST [QEMU-ARGUMENT...]: starts it and comes back at once, so that several boot together.
# vm_netns[GUEST]=NAME beforehand runs QEMU in that network namespace, vm_program[GUEST] is another QEMU,
# vm_machine[GUEST] options of its machine, vm_memory[GUEST] its memory in MiB, and vm_nics_GUEST (an array)
# words for the kernel's command line.
vm_start() {
	local guest=$1 d=$T/guest-$1 ns=() in out
	shift
	# shellcheck disable=SC2178 # references to arrays
	declare -n args=vm_args_$guest nics=vm_nics_$guest
	vm_stop "$guest"
	mkdir -p "$d"
	rm -f "$d/ctl.in" "$d/ctl.out"
	mkfifo "$d/ctl.in" "$d/ctl.out"
	[ -z "${vm_netns[$guest]:-}" ] || ns=(ip netns exec "${vm_netns[$guest]}")
	local memory=${vm_memory[$guest]:-256}
	"${ns[@]}" "${vm_program[$guest]:-qemu-system-x86_64}" -nodefaults -no-user-config -display none \
		-machine "q35,usb=off${vm_machine[$guest]:+,${vm_machine[$guest]}}" -accel "$vm_accel" -cpu max -smp 2 \
		-m "$memory" -object "memory-backend-memfd,id=m,size=${memory}M,share=on" -numa node,memdev=m \
		-kernel "$vm_image/vmlinux" -initrd "$vm_image/initrd" \
		-append "console=ttyS0 panic=0 tsc=reliable mitigations=off random.trust_cpu=on weir.name=$guest ${nics[*]}" \
		-serial "file:$d/console" -chardev "pipe,id=ctl,path=$d/ctl" -serial chardev:ctl \
		"${args[@]}" "$@" >"$d/qemu.log" 2>&1 </dev/null &
	vm_pid[$guest]=$!
	exec {in}<>"$d/ctl.in" {out}<>"$d/ctl.out"
	vm_in[$guest]=$in vm_out[$guest]=$out
}

# vm_wait GUEST [SECONDS]: until it has booted.
vm_wait() {
	local end=$((SECONDS + ${2:-60}))
	while vm_line "$1" $((end - SECONDS)); do
		[ "$vm_line_" = 'boot 0 -' ] && return
	done
	echo "# guest $1 did not boot; QEMU said:" >&2
	sed 's/^/# /' "$T/guest-$1/qemu.log" >&2
	tail -n 20 "$T/guest-$1/console" 2>/dev/null | tr -d '\r' | sed 's/^/# /' >&2
	return 1
}

# vm_reboot GUEST: as a crash would, without a word to its devices.
vm_reboot() {
	echo "reboot 5 $(base64 -w0 <<<'reboot -f')" >&"${vm_in[$1]}"
	vm_wait "$1"
}

# vm_stop GUEST [SIGNAL]: ends its QEMU.
vm_stop() {
	local pid=${vm_pid[$1]:-}
	[ -n "$pid" ] || return 0
	kill "-${2:-9}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	local in=${vm_in[$1]} out=${vm_out[$1]}
	exec {in}>&- {out}>&-
	unset "vm_pid[$1]"
}

# Whoever ends with the namespace is not in the CPU time of the test.
vm_stop_all() {
	local guest
	for guest in "${!vm_pid[@]}"; do vm_stop "$guest"; done
}
at_end=vm_stop_all

# at GUEST/NIC COMMAND: runs it in that NIC's namespace. A name without a slash is an endpoint of this
# machine (tests/system/lib.sh), with its address in vm_address too.
at() {
	case $1 in
	*/*) vm_run "${1%/*}" "ip netns exec ${1#*/} $2" ;;
	*) in_ns "$1" bash -c "$2" ;;
	esac
}

# between LOW VALUE HIGH: the number lies there, which is shown when it does not.
between() {
	echo "$1 <= $2 <= $3 ?"
	jq -ne "$2 >= $1 and $2 <= $3" >/dev/null
}

# note TEXT: printed after the case it belongs to.
note() {
	echo "# $*" >>"$T/notes"
}

# Notes when this machine itself stood still, as virtual ones do, or had a fourth of its CPUs stolen for a
# second: guests lose time then that no switch can give back.
vm_watch() {
	local last=${EPOCHREALTIME/.} now mark stolen before
	read -r _ _ _ _ _ _ _ _ before _ </proc/stat
	mark=$last
	while sleep 0.2; do
		now=${EPOCHREALTIME/.}
		[[ $((now - last)) -lt 2000000 ]] || echo $(((now - last) / 1000)) >>"$T/stood-still"
		last=$now
		[[ $((now - mark)) -ge 1000000 ]] || continue
		read -r _ _ _ _ _ _ _ _ stolen _ </proc/stat
		[[ $(((stolen - before) * 40000)) -lt $(((now - mark) * vm_cpus)) ]] ||
			echo $(((stolen - before) * 10 / vm_cpus)) >>"$T/stood-still"
		mark=$now before=$stolen
	done
}
vm_cpus=$(nproc --all)
: >"$T/stood-still"
vm_watch &

# vm_it: `it`, and what was noted; again, when it failed and the machine stood still meanwhile.
vm_it() {
	local before try
	for try in 1 2; do
		before=$(wc -l <"$T/stood-still")
		it "$@" >"$T/it.out"
		sleep 0.3 # for the watch to have seen it
		if [[ $try = 2 || $(wc -l <"$T/stood-still") = "$before" ]] || grep -q '^ok' "$T/it.out"; then
			break
		fi
		echo "# this machine stood still for $(tail -n 1 "$T/stood-still") ms: once more"
		calm
		cases=$((cases - 1))
		rm -f "$T/notes"
	done
	cat "$T/it.out"
	[[ ! -e $T/notes ]] || cat "$T/notes"
	rm -f "$T/notes"
}

# pings FROM TO: IPv4, between guests IPv6 too, from an unknown neighbour on; each answered, none twice.
# For the last answer ping waits as long as the interval, so this one is not too short.
pings() {
	local to=${vm_address[$2]} out
	at "$1" "ip neigh flush dev eth0"
	for to in "$to" "$(v6 "$to")"; do
		case $1,$2,$to in
		*/*,*/*,* | *,*,*.*) ;;
		*) continue ;;
		esac
		out=$(at "$1" "ping -c 4 -i 0.3 -W 2 $to") || { echo "$out"; return 1; }
		not grep -E 'DUP|[^0-9](100|[1-9][0-9]?)% packet loss' <<<"$out" || return 1
	done
}

v6() { # what init makes of 10.0.X.Y
	local c d
	IFS=. read -r _ _ c d <<<"$1"
	echo "fd00:$c::$d"
}

# vm_iperf FROM TO [OPTION...]: the client's JSON. With the option -6 first, over IPv6.
vm_iperf() {
	local out to=${vm_address[$2]}
	[[ ${3-} != -6 ]] || to=$(v6 "$to")
	out=$(at "$1" "iperf3 -J -i 0 --connect-timeout 3000 -c $to ${*:3}") || { echo "$out"; return 1; }
	echo "$out"
}

# tcp FROM TO [OPTION...]: both ways at once for two seconds, each over 10 Mbit/s, which a stalled or
# checksum-broken connection does not get and an emulated, busy machine does.
tcp() {
	thrice tcp_once "$@"
}

tcp_once() {
	vm_iperf "$1" "$2" "${@:3}" -t 2 --bidir >"$T/iperf.json" || { cat "$T/iperf.json"; return 1; }
	note "$1 to $2 $(jq -r '.end | "\(.sum_received.bits_per_second / 1e6 | round) Mbit/s, back " +
		"\(.sum_received_bidir_reverse.bits_per_second / 1e6 | round)"' "$T/iperf.json")"
	jq -e '.end | [.sum_received, .sum_received_bidir_reverse | .bits_per_second > 10e6] | all' "$T/iperf.json"
}

# udp FROM TO MBITS [OPTION...]: one way for two seconds, under 2 % lost. At 5 Mbit/s a ring of 256 bears
# a guest that does not run for half a second.
udp() {
	thrice udp_once "$@"
}

udp_once() {
	vm_iperf "$1" "$2" -u -l 1400 -t 2 -b "$3M" "${@:4}" >"$T/iperf.json" || { cat "$T/iperf.json"; return 1; }
	note "$1 to $2 $(jq -r '.end.sum | "\(.lost_packets) of \(.packets) lost"' "$T/iperf.json")"
	jq -e '.end.sum | .packets > 100 and .lost_packets * 50 <= .packets' "$T/iperf.json"
}

# vm_content GUEST...: no kernel complained, of checksums or rings that are wrong, of hangs, of itself.
vm_content() {
	local guest bad='hw csum failure|not a head|virtio.*(rror|bad|fail)|WATCHDOG|WARNING|BUG|Oops|panic - not'
	[[ -s $T/stood-still ]] || bad+='|hung|detected.* stall'
	for guest; do
		not grep -aE -A 40 "$bad" "$T/guest-$guest/console"
	done
}
