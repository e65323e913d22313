#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir-host.service under a real systemd, with all its restrictions, on a real card: it makes the VFs, has their
# drivers loaded, restores what drifts, and after a restart of the machine all is there again.
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

if [[ ! -x /lib/systemd/systemd ]]; then
	skip "the unit keeps a card's functions over a restart of the machine" "systemd is not installed"
	exit 0
fi
: "${BUILD:=$(cd "$(dirname "$0")/../.." && pwd)/build}"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "the guest boots" boot
run true || exit 1

# What a start of the machine does: the unit as it is installed but for where the program is (its /tmp is
# private), and systemd as process 1 of its own. The disk has what outlives the guest: file and state.
up() {
	run "mkdir -p /data/etc /data/state /etc/weir /var/lib/weir /run/units/weir-host.service.d
		mount --bind /data/etc /etc/weir && mount --bind /data/state /var/lib/weir
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		cp /usr/local/sbin/weir /run/weir
		sed 's,^ExecStart=[^ ]*,ExecStart=/run/weir,' $BUILD/weir-host.service >/run/units/weir-host.service
		printf '[Service]\nStandardError=append:/run/weir-host.log\n' >/run/units/weir-host.service.d/test.conf
		for t in basic sysinit network network-pre shutdown; do
			printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' \$t >/run/units/\$t.target
		done
		printf '[Unit]\nDescription=all\nRequires=basic.target\nWants=weir-host.service\n' >/run/units/multi-user.target
		rmmod igbvf vfio_pci
		container=other SYSTEMD_UNIT_PATH=/run/units setsid unshare --cgroup --mount --propagation private --pid --fork \
			--mount-proc /lib/systemd/systemd --system --unit=multi-user.target --log-target=null >/dev/null 2>&1 &
		until p=\$(pgrep -o -x systemd); do sleep 0.2; done; echo \$p >/run/systemd.pid"
}
ctl() {
	run "nsenter --mount --pid --cgroup --target \$(cat /run/systemd.pid) systemctl $*"
}
as_wanted() {
	run 'weir host verify /etc/weir/host.yaml' &&
		run 'ip link show eth0' | says 'vf 0 .*52:54:77:.*vlan 100' 'vf 1 .*52:54:77:.*vlan 100' &&
		run 'readlink /sys/bus/pci/devices/0000:01:10.0/driver /sys/bus/pci/devices/0000:01:10.4/driver' |
		says '/vfio-pci$' '/igbvf$'
}
served() {
	until_ok 60 ctl is-active weir-host || { run 'cat /run/weir-host.log'; ctl status weir-host; return 1; }
	ctl show -P StatusText weir-host
	as_wanted || { run 'cat /run/weir-host.log'; return 1; }
}
first() {
	run 'mkdir -p /data/etc && cat >/data/etc/host.yaml <<END
pfs: {eth0: {vfs: 3, link: up}}
pools: {tenants: {pfs: [eth0], vfs: 0-1, vlan: 100, mac-prefix: 52:54:77, driver: vfio-pci, owners: [vm1]}}
END'
	up && served
}
vm_it "at the start of the machine the service makes the functions, with drivers that were not loaded" first

restored() {
	run 'ip link set eth0 vf 1 vlan 7'
	until_ok 20 run 'grep -q "restored 0000:01:00.0 vf 1 vlan: 7 -> 100" /run/weir-host.log' && as_wanted
}
vm_it "it restores what drifts" restored

again() {
	run 'cd /data/state && find . -type f | sort' >"$T/state" && [[ -s $T/state ]] || return 1
	run sync && qmp system_reset >/dev/null && vm_wait sriov 120 || return 1
	run 'cat /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs' | grep -qx 0 || return 1
	up && served && run 'weir host check --only journal' | says 'nothing found' &&
		run 'weir vf list eth0 -j' | jq -e '[.[].owner] == ["vm1", null, null]'
}
vm_it "after a restart of the machine they are there again, with their owners" again
it "neither the guest's kernel nor a sanitizer complained of anything" content
