# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# shellcheck shell=bash
#
# A guest with SR-IOV for the tests beside this file, on top of tests/vm/lib.sh: QEMU's igb and a virtual
# IOMMU under software emulation. Its root is this machine's (see tests/vm/init), so weir and every tool are
# there under the same path, weir under its name too; what it writes stays in its memory.
#
#     sriov_start;  it "the guest boots" vm_wait sriov 120
#     run 'weir nic list'
#
# What it has, by PCI address (the names of its interfaces are the kernel's, there is no udev):
#     01:00.0  igb, whose 7 VFs would be 01:10.0, 01:10.2 ... 01:11.4; each function in a group of its own
#     02:00.0  igb, the same; the ports of the two are linked to each other
#     05:00.0  igb, behind a switch without access control: it, its VFs and the switch's ports are one group
#     06:00.0  NVMe disk with ext4, mounted on /data
#     07:00.0  e1000e with the only address, 192.0.2.10/24, and the default route
# QEMU's names of them are igb0, igb1, igb2, disk and nic; igb0's link is cut by `qmp set_link ...`.
#
# Several tests may be parts of one (see functions.sh): the first boots the guest, for each after it the guest is
# made as new (sriov_fresh), which takes a second where a boot takes ten.
[[ -z ${sriov_here-} ]] || return 0
sriov_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Before the test enters its namespaces, from where apt reaches nothing.
if ! sriov_qemu=$("$sriov_here/qemu" "$sriov_here/../../build/qemu" 2>"${TMPDIR:-/tmp}/qemu.$$"); then
	echo "1..0 # SKIP $(tail -n 1 "${TMPDIR:-/tmp}/qemu.$$")"
	rm -f "${TMPDIR:-/tmp}/qemu.$$"
	exit 0
fi
rm -f "${TMPDIR:-/tmp}/qemu.$$"
# shellcheck source=SCRIPTDIR/../vm/lib.sh
. "$sriov_here/../vm/lib.sh"

# sriov_start [KERNEL-ARGUMENT...]: the guest, named sriov, boots; or is as new, when an earlier part booted it.
sriov_start() {
	if [[ -n ${vm_pid[sriov]-} ]]; then
		sriov_fresh
		return
	fi
	local top dir=$T/guest-sriov
	top=$(cd "$sriov_here/../.." && pwd)
	mkdir -p "$dir"
	truncate -s 16M "$dir/disk"
	mkfs.ext4 -q -O ^has_journal "$dir/disk" || return 1
	vm_program[sriov]=$sriov_qemu vm_memory[sriov]=2048 vm_machine[sriov]=kernel-irqchip=split
	# shellcheck disable=SC2034 # by vm_start
	vm_nics_sriov=("weir.root=$sriov_here/init" "weir.top=$top" "weir.weir=$WEIR" "weir.sanitized=${WEIR_SANITIZED-}"
		intel_iommu=on iommu=pt pci=realloc no_timer_check "$@")
	vm_start sriov -device intel-iommu,intremap=on,caching-mode=on -qmp "unix:$dir/qmp,server=on,wait=off" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root,bus=pcie.0,addr=0x1e \
		-fsdev "local,id=top,path=$top,security_model=none,readonly=on,multidevs=remap" \
		-device virtio-9p-pci,fsdev=top,mount_tag=top,bus=pcie.0,addr=0x1d \
		-netdev hubport,id=wire0,hubid=0 -netdev hubport,id=wire1,hubid=0 -netdev hubport,id=wire2,hubid=2 \
		-netdev hubport,id=wire3,hubid=3 -drive "if=none,id=disk0,file=$dir/disk,format=raw" \
		-device pcie-root-port,id=rp0,chassis=1,slot=1,addr=0x2 \
		-device igb,id=igb0,bus=rp0,netdev=wire0,mac=52:54:00:01:00:00,romfile= \
		-device pcie-root-port,id=rp1,chassis=2,slot=2,addr=0x3 \
		-device igb,id=igb1,bus=rp1,netdev=wire1,mac=52:54:00:02:00:00,romfile= \
		-device pcie-root-port,id=rp2,chassis=3,slot=3,addr=0x4 \
		-device x3130-upstream,id=up,bus=rp2 -device xio3130-downstream,id=down,bus=up,chassis=4,slot=4 \
		-device igb,id=igb2,bus=down,netdev=wire2,mac=52:54:00:05:00:00,romfile= \
		-device pcie-root-port,id=rp3,chassis=5,slot=5,addr=0x5 \
		-device nvme,id=disk,bus=rp3,drive=disk0,serial=weir \
		-device pcie-root-port,id=rp4,chassis=6,slot=6,addr=0x6 \
		-device e1000e,id=nic,bus=rp4,netdev=wire3,mac=52:54:00:07:00:00,romfile=
}

# Undoes in the guest what a test can have done there: what runs and is mounted, links, cards that were pulled
# out, what their drivers were told, and weir's own files.
sriov_fresh() {
	run 'test -e /sys/bus/pci/devices/0000:02:00.0' ||
		qmp device_add '{"driver": "igb", "id": "igb1", "bus": "rp1", "netdev": "wire1", "mac": "52:54:00:02:00:00", "romfile": ""}'
	VM_LIMIT=300 run "sh -x $sriov_here/fresh" >"$T/fresh.out" 2>&1 || { sed "s/^/# /" "$T/fresh.out"; return 1; }
	# shellcheck disable=SC2317 # it has booted
	vm_wait() { return 0; }
}

# run COMMAND: with sh in the guest, see vm_run.
run() {
	vm_run sriov "$1"
}

# At the end of a test: neither its kernel nor a sanitized weir has anything to report.
content() {
	vm_content sriov && run "cat /tmp/reports/* 2>/dev/null || :" >"$T/reports"
	[[ ! -s $T/reports ]] || { cat "$T/reports"; return 1; }
}

# qmp COMMAND [JSON]: a command of QEMU's monitor with its arguments, what it returns on stdout.
qmp() {
	"$sriov_here/qmp" "$T/guest-sriov/qmp" "$@"
}

# settings PF...: what can be changed of these (see state), without the coming and going of links.
settings() {
	run "sh $sriov_here/state $*" | sed -E 's/^[0-9]+: (eth[0-9]+): <([^>]*)> mtu ([0-9]+).*/\1 \3 \2/; s/,?(NO-CARRIER|LOWER_UP)//g; s/ ,/ /'
}

sriov_pfs='' # the cards of a test
# unchanged COMMAND PATTERN...: the command is refused in the guest, with one sentence that matches each
# pattern, and nothing in $sriov_pfs is another than before.
unchanged() {
	local before
	before=$(settings "$sriov_pfs")
	not run "$1" >"$T/refused" 2>&1
	diff <(echo "$before") <(settings "$sriov_pfs") || return 1
	grep -c '^weir: ' "$T/refused" | grep -qx 1 && says "${@:2}" <"$T/refused"
}
