# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# shellcheck shell=bash
#
# Linux guests under QEMU for the tests beside this file. A guest boots in about four seconds without
# KVM; boot once, test much. Commands reach it over its second serial port, so control never rides the
# path that is tested.
#
#     vm_nic a plain 10.0.0.1/24 vhost:$dir/a.sock mrg_rxbuf=off
#     vm_start a -smp 2;  vm_wait a
#     vm_run a 'ip netns exec plain ping -c 3 10.0.0.2'
#
# Every NIC lives in a network namespace of its own inside the guest (see init), so that two NICs of
# one guest reach each other only through the switch. All processes die with the test, by pid.
#
# WEIR_BUILD       the build folder, default: build beside tests/
# WEIR_VM_ACCEL    QEMU's accelerator, default tcg,thread=multi
# WEIR_VM_KEEP=1   leaves the test's folder, with logs, behind

export PATH=$PATH:/usr/sbin:/sbin
vm_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_build=$(cd "${WEIR_BUILD:-$vm_here/../../build}" && pwd) || exit 1
vm_accel=${WEIR_VM_ACCEL:-tcg,thread=multi}

# Before version 8, QEMU without KVM crashes when a vhost-user NIC uses MSI-X: it dereferences the KVM
# interrupt routes it does not have. Such NICs then interrupt by INTx.
vm_vhost_opts=vectors=0
case $vm_accel in kvm*) vm_vhost_opts= ;; esac
qemu-system-x86_64 --version | grep -q 'version [1-7]\.' || vm_vhost_opts=

vm_dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-vm.XXXXXX") # short: socket paths have 107 bytes
vm_guests=()
declare -A vm_pid vm_in vm_out vm_netns

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
	local id=n${#nics[@]} mac
	mac=$(printf '52:54:00:00:%02x:%02x' $((vm_index_ + 1)) ${#nics[@]})
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
# vm_netns[GUEST]=NAME beforehand runs QEMU in that network namespace.
vm_start() {
	local guest=$1 d=$vm_dir/guest-$1 ns=() in out
	shift
	declare -n args=vm_args_$guest nics=vm_nics_$guest
	[ -n "${vm_initrd:-}" ] || { "$vm_here/image.sh" "$vm_build/vm" && vm_initrd=$vm_build/vm/initrd; } || return
	vm_stop "$guest"
	mkdir -p "$d"
	rm -f "$d/ctl.in" "$d/ctl.out"
	mkfifo "$d/ctl.in" "$d/ctl.out"
	[ -z "${vm_netns[$guest]:-}" ] || ns=(ip netns exec "${vm_netns[$guest]}")
	"${ns[@]}" qemu-system-x86_64 -nodefaults -no-user-config -display none \
		-machine q35,usb=off -accel "$vm_accel" -cpu max -smp 2 \
		-m 256 -object memory-backend-memfd,id=m,size=256M,share=on -numa node,memdev=m \
		-kernel "$vm_build/vm/vmlinux" -initrd "$vm_initrd" \
		-append "console=ttyS0 panic=0 tsc=reliable mitigations=off random.trust_cpu=on weir.name=$guest ${nics[*]}" \
		-serial "file:$d/console" -chardev "pipe,id=ctl,path=$d/ctl" -serial chardev:ctl \
		"${args[@]}" "$@" >"$d/qemu.log" 2>&1 </dev/null &
	vm_pid[$guest]=$!
	exec {in}<>"$d/ctl.in" {out}<>"$d/ctl.out"
	vm_in[$guest]=$in vm_out[$guest]=$out
}

# vm_wait GUEST [SECONDS]: until it has booted.
vm_wait() {
	local line end=$((SECONDS + ${2:-60}))
	while [ $SECONDS -lt $end ] && kill -0 "${vm_pid[$1]}" 2>/dev/null; do
		read -r -t 1 line <&"${vm_out[$1]}" && [ "$line" = 'boot 0 -' ] && return
	done
	echo "# guest $1 did not boot; QEMU said:" >&2
	sed 's/^/# /' "$vm_dir/guest-$1/qemu.log" >&2
	tail -n 20 "$vm_dir/guest-$1/console" 2>/dev/null | tr -d '\r' | sed 's/^/# /' >&2
	return 1
}

# vm_run GUEST COMMAND: runs it with sh in the guest; its output and status are ours. One at a time: what
# is to run on is sent to the background there (with output to a file). VM_LIMIT: seconds, default 30.
vm_run() {
	local limit=${VM_LIMIT:-30} id=$BASHPID.$RANDOM.$RANDOM got status out end
	echo "$id $limit $(printf %s "$2" | base64 -w0)" >&"${vm_in[$1]}"
	end=$((SECONDS + limit + 5))
	while [ $SECONDS -lt $end ] && kill -0 "${vm_pid[$1]}" 2>/dev/null; do
		read -r -t 1 got status out <&"${vm_out[$1]}" || continue
		[ "$got" = "$id" ] || continue
		[ -z "$out" ] || base64 -d <<<"$out"
		return "$status"
	done
	echo "guest $1 did not answer: $2" >&2
	return 124
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

# vm_cleanup: for the test's EXIT trap.
vm_cleanup() {
	local g
	for g in "${!vm_pid[@]}"; do vm_stop "$g"; done
	[ -n "${WEIR_VM_KEEP:-}" ] && echo "# left: $vm_dir" || rm -rf "$vm_dir"
}
