#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What `weir export` prints is what its readers take: libvirt's schemas, Nova's and Neutron's own parsers,
# QEMU. Each reader is also shown something wrong, so that its silence means something.
# timeout: 90
. "$(dirname "$0")/lib.sh"

H=$T/host
"$TESTS/host/tree" - "$H" <<'HOST' || exit 1
fn 0000:00:01.0 8086:3c02 class=060400 driver=pcieport group=1
fn 0000:01:00.0 8086:10fb driver=ixgbe numa=1 group=2 total=63 vfdev=10ed offset=128 stride=2 vfs=4 vfdriver=vfio-pci vfgroup=20+ vfnuma=1
fn 0000:01:00.1 8086:10fb driver=ixgbe numa=1 group=3 total=63 vfdev=10ed offset=128 stride=2 vfs=4 vfdriver=ixgbevf vfgroup=30+ vfnuma=1
fn 0000:05:00.0 144d:a808 class=010802 driver=nvme group=4
fn 0000:06:00.0 10de:1db6 class=030200 driver=vfio-pci group=5
fn 0000:81:00.0 15b3:101d driver=mlx5_core group=6 total=8 vfdev=101e offset=2 stride=1 vfs=2 vfdriver=mlx5_core vfgroup=40+
if eth4 at=0000:01:00.0 alt=port-of-the-storage-network up mac=a0:36:9f:00:00:04
if eth5 at=0000:01:00.1 up mac=a0:36:9f:00:00:05
if ens1 at=0000:81:00.0 up mac=b8:ce:f6:00:00:00 port=p0 switch=00000000f6ceb8
if ens1_1 at=0000:81:00.0 up mac=b8:ce:f6:00:00:01 port=pf0vf1 switch=00000000f6ceb8
vf eth4 0 mac=52:54:00:00:04:00 vlan=100 spoofchk=on trust=off
vf eth4 1 mac=52:54:00:00:04:01 vlan=100 spoofchk=on trust=off
vf eth4 2 mac=52:54:00:00:04:02 vlan=200 qos=3 spoofchk=on trust=off
vf eth4 3 mac=00:00:00:00:00:00 vlan=0 spoofchk=on trust=off
vf eth5 0 mac=52:54:00:00:05:00 vlan=0 spoofchk=on trust=off
vf eth5 1 mac=52:54:00:00:05:01 vlan=150 spoofchk=on trust=off
vf eth5 2 mac=52:54:00:00:05:02 vlan=0 spoofchk=on trust=off
vf eth5 3 mac=52:54:00:00:05:03 vlan=0 spoofchk=off trust=on
vf ens1 0 mac=52:54:00:00:81:00
vf ens1 1 mac=52:54:00:00:81:01
eswitch 0000:81:00.0 switchdev
HOST
own() { # SLOT OWNER
	mkdir -p "$H/var/lib/weir/host/owners"
	jq -n '{owner: $ARGS.positional[0], boot: "", node: ($ARGS.positional[1] | tonumber)}' \
		--args "$2" "$(stat -Lc %i "$H/sys/bus/pci/devices/$1/")" \
		>"$H/var/lib/weir/host/owners/$1.json"
}
own 0000:01:10.0 vm7
own 0000:01:10.4 vm8

export_of() { # ARGUMENT...
	weir export "$@" --sysfs "$H"
}

# The domain or network that the fragment on stdin would be pasted into.
domain() {
	echo "<domain type='kvm'><name>vm7</name><memory unit='GiB'>1</memory>"
	echo "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
	cat
	echo "</devices></domain>"
}
valid() { # domain|network, of stdin
	cat >"$T/$1.xml"
	virt-xml-validate "$T/$1.xml" "$1"
}

refuses() { # SENTENCE-PATTERN ARGUMENT...
	local pattern=$1
	shift
	if export_of "$@" >"$T/out" 2>"$T/err"; then
		echo "done: $*"
		return 1
	fi
	[[ ! -s $T/out && $(wc -l <"$T/err") = 1 ]]
	grep -Ee "$pattern" "$T/err" || { cat "$T/err"; return 1; }
}
domain_valid() {
	local what
	for what in "libvirt vm7" "libvirt vm8" "libvirt eth5" "libvirt 05:00.0 06:00.0" "libvirt eth4 --whole" \
		"libvirt 81:00.2" "teaming vm7 vm8 --bridge br0" "teaming eth5 --network default --pool vf-eth5"; do
		# shellcheck disable=SC2086 # words
		export_of $what >>"$T/all"
	done
	domain <"$T/all" | valid domain
	# A validator that takes anything would take these as well.
	sed 's/id=.100./id="5000"/' "$T/all" | domain | not valid domain
	sed s/transient/transitory/ "$T/all" | domain | not valid domain
}
it "libvirt's schema takes interfaces, hostdevs and failover pairs" domain_valid

network_valid() {
	export_of libvirt-network eth5 --name tenants | valid network
	export_of libvirt-network eth4 eth5 vm7 | valid network
	export_of libvirt-network eth5 | has "<pf dev='eth5'/>"
	export_of libvirt-network eth4 | not has "function='0x0'"
	export_of libvirt-network eth5 | sed 's/<pf /<p /' | not valid network
}
it "libvirt's schema takes a pool of VFs as a network" network_valid

recorded_valid() {
	local host pf n=0 schemas=/usr/share/libvirt/schemas
	"$TESTS/host/tree" --all "$T/recorded"
	mkdir "$T/networks"
	for host in "$T"/recorded/*; do
		for pf in "$host"/sys/bus/pci/devices/*/virtfn0; do
			[[ -e $pf ]] || continue
			pf=${pf%/virtfn0}
			weir export libvirt "${pf##*/}" --sysfs "$host" >>"$T/recorded.domain"
			n=$((n + 1))
			weir export libvirt-network "${pf##*/}" --sysfs "$host" >"$T/networks/$n.xml"
		done
	done
	[[ $n -gt 6 ]]
	domain <"$T/recorded.domain" | valid domain
	xmllint --noout --relaxng "$schemas/network.rng" "$T"/networks/*.xml
}
it "and those of every recorded host" recorded_valid

# QEMU comes as far as opening the device: what it says is about the host, not about the words.
qemu_says() { # PATTERN, arguments on stdin
	local args
	mapfile -t args < <(grep -v '^#' | tr ' ' '\n')
	timeout 20 qemu-system-x86_64 -accel tcg -machine q35 -nodefaults -display none "${args[@]}" \
		>"$T/qemu" 2>&1 </dev/null || true
	grep -E "$1" "$T/qemu" || { cat "$T/qemu"; return 1; }
}
qemu_takes() {
	export_of qemu vm7 | sed 's/host=0000:01:10.0/host=fffe:01:10.0/' |
		qemu_says "host=fffe:01:10.0,id=pci-0000-01-10.0: .*No such file or directory"
	export_of qemu vm7 | sed s/host=/guest=/ | not qemu_says "No such file or directory"
	export_of qemu vm7 | sed s/pci-0000/pci:0000/ | not qemu_says "No such file or directory"
}
it "QEMU takes the arguments, and misses only the device" qemu_takes

# The same host as somebody wants it to be.
cat >"$T/host.yaml" <<'YAML'
pfs:
  eth4: {vfs: 4, physnet: physnet1}
  eth5: {vfs: 4, physnet: physnet2, defaults: {trust: off}}
pools:
  tenants: {pfs: eth4, vfs: 1-3, vlan: 300, owners: [vm1]}
vfs:
  web: {pf: eth5, vf: 0, vlan: 77, mac: "52:54:00:00:00:77", owner: web1}
devices:
  gpu: {match: "0000:06:00.0", owner: vm9, alias: gpu}
  disk: {match: "0000:05:00.0", alias: disk}
YAML
by_file() { # ARGUMENT...
	export_of "$@" --file "$T/host.yaml"
}
file_counts() {
	by_file libvirt web >"$T/web"
	has "<tag id='77'/>" <"$T/web"
	has "<mac address='52:54:00:00:00:77'/>" <"$T/web"
	has 'weir host apply' <"$T/web"
	by_file libvirt vm1 | has "function='0x2'"
	by_file qemu vm9 | has 'host=0000:06:00.0'
	# vm8 has VF 2 on record, and the file says nothing of that.
	by_file libvirt-network tenants -j | jq -e '[.functions[].address] == ["0000:01:10.6"]'
	sed 's/vfs: 4, physnet: physnet1/vfs: 6/; s/1-3/1-5/' "$T/host.yaml" >"$T/more.yaml"
	refuses 'VF 4 of 0000:01:00.0, which has 4 VFs now.*weir host apply' nova tenants --file "$T/more.yaml"
	echo 'pool: {}' >"$T/bad.yaml"
	refuses "bad.yaml:1: unknown key 'pool'" nova --file "$T/bad.yaml"
}
it "with a file, what it says of VFs counts, and its names are words" file_counts

# What Nova and Neutron are asked to read: they take seconds to start, so each is started once, with all
# of it. Nova looks at /sys itself: for it, that of the recorded host is there.
mkdir "$T/nova" "$T/neutron"
wrong() { # OF NAME SED-SCRIPT
	sed "$3" "$T/$1.conf" >"$T/${1%/*}/$2.conf"
	! cmp -s "$T/$1.conf" "$T/${1%/*}/$2.conf"
}
write_all() {
	export_of nova eth4 eth5 --physnet physnet1 >"$T/nova/ports.conf"
	wrong nova/ports bad-vendor 's/"8086"/"8O86"/'
	wrong nova/ports bad-filter s/PciPassthroughFilter/PciPassthruFilter/
	wrong nova/ports bad-product s/10ed/10ee/
	export_of nova 05:00.0 06:00.0 >"$T/nova/devices.conf"
	export_of nova 81:00.0 --whole --name card | grep '^device_spec\|^alias' >"$T/card"
	sed -i "/^\[pci\]/r $T/card" "$T/nova/devices.conf"
	wrong nova/devices bad-type 's/type-PF/type-PCI/'
	wrong nova/devices bad-domain s/0000:05:00.0/10000:05:00.0/
	wrong nova/devices bad-word 's/type-PF/PF/'
	export_of nova eth5 --physnet null --old >"$T/nova/old.conf"
	not grep '^device_spec' "$T/nova/old.conf"
	export_of nova 81:00.0 --physnet null >"$T/nova/switchdev.conf"
	by_file nova >"$T/nova/file.conf"
	by_file neutron >"$T/neutron/file.conf"
	export_of neutron eth4 eth5 --physnet physnet1 >"$T/neutron/ports.conf"
	export_of neutron eth4 --physnet physnet1 --vlans 300-399 >"$T/neutron/vlans.conf"
	wrong neutron/ports bad-exclude 's/^exclude_devices = eth4/exclude_devices = eth9/'
	wrong neutron/ports bad-vlan s/:100:150/:100:5000/
	wrong neutron/ports bad-driver s/sriovnicswitch/sriovnikswitch/
	wrong neutron/ports bad-mapping s/physnet1:eth4/physnet1=eth4/
	# shellcheck disable=SC2016 # the inner shell's words
	unshare -m bash -c 'mount --bind "$1/sys" /sys && shift && exec "$@"' - "$H" \
		/usr/bin/python3 "$TESTS/system/export_nova.py" "$T"/nova/*.conf >"$T/nova.json" 2>"$T/nova.err" &
	/usr/bin/python3 "$TESTS/system/export_neutron.py" "$T"/neutron/*.conf >"$T/neutron.json" 2>"$T/neutron.err"
	wait $! || { cat "$T/nova.err"; return 1; }
	jq -e . "$T/nova.json" "$T/neutron.json" >"$T/judged" || { cat "$T"/n*.err; return 1; }
}
it "Nova and Neutron read what they are given" write_all

nova_is() { # NAME JQ-FILTER
	jq -e ".[\"$1.conf\"] | $2" "$T/nova.json" >"$T/out" || { jq -c ".[\"$1.conf\"]" "$T/nova.json"; return 1; }
}
neutron_is() { # NAME JQ-FILTER
	jq -e ".[\"$1.conf\"] | $2" "$T/neutron.json" >"$T/out" ||
		{ jq -c ".[\"$1.conf\"]" "$T/neutron.json"; return 1; }
}

nova_ports() {
	# All free VFs of both ports, and neither the PFs nor what belongs to vm7 and vm8.
	nova_is ports '.spec | keys == ["0000:01:10.1", "0000:01:10.2", "0000:01:10.3", "0000:01:10.5",
		"0000:01:10.6", "0000:01:10.7"]'
	nova_is ports '.spec["0000:01:10.2"] == {physical_network: "physnet1"}'
	nova_is ports '.spec["0000:01:10.7"] == {physical_network: "physnet1", trusted: "true"}'
	nova_is ports '.filters | index("PciPassthroughFilter") and index("ComputeFilter")'
	nova_is switchdev '.spec == {"0000:81:00.2": {physical_network: null}, "0000:81:00.3": {physical_network: null}}'
}
it "Nova gets the free VFs of two ports, and no other" nova_ports

nova_bad() {
	nova_is bad-vendor '.error | test("PciConfigInvalidSpec.*8O86")'
	nova_is bad-filter '.error | test("PciPassthruFilter")'
	nova_is bad-product '.spec == {}'
	nova_is bad-domain '.error | test("10000.*greater than the maximum")'
	nova_is bad-word '.error | test("PciInvalidAlias.*PF")'
	nova_is bad-type '.alias.card == []'
}
it "Nova would refuse what is wrong in it" nova_bad

nova_devices() {
	nova_is devices '.spec | keys == ["0000:05:00.0", "0000:06:00.0", "0000:81:00.0"]'
	nova_is devices '.alias == {"pci-144d-a808": ["0000:05:00.0"], "pci-10de-1db6": ["0000:06:00.0"],
		"card": ["0000:81:00.0"]}'
}
it "flavors get whole devices by alias, one that can have VFs as type-PF" nova_devices

nova_old() {
	nova_is old '.spec | length == 4'
	grep 'Option "passthrough_whitelist".*is deprecated' "$T/nova.err"
}
nova_file() {
	nova_is file '.spec == {"0000:01:10.3": {physical_network: "physnet2"},
		"0000:01:10.5": {physical_network: "physnet2"}, "0000:01:10.7": {physical_network: "physnet2"},
		"0000:01:10.6": {physical_network: "physnet1"}, "0000:05:00.0": {}}'
	nova_is file '.alias == {disk: ["0000:05:00.0"]}'
	neutron_is file '.mappings == {physnet1: ["eth4"], physnet2: ["eth5"]} and .vlans.physnet1 == [[300, 300]] and
		.excluded == {eth4: ["0000:01:10.0", "0000:01:10.2", "0000:01:10.4"], eth5: ["0000:01:10.1"]}'
}
it "of a file, both get what has no owner, and its networks and aliases" nova_file

it "old Nova reads the same as passthrough_whitelist" nova_old

neutron_reads() {
	neutron_is ports '. == {
		mappings: {physnet1: ["eth4", "eth5"]}, excluded: {eth4: ["0000:01:10.0", "0000:01:10.4"]},
		vlans: {physnet1: [[100, 150]]}, mechanisms: ["openvswitch", "sriovnicswitch"],
		types: ["flat", "vlan"], firewall: "NoopFirewallDriver"}'
	neutron_is vlans '.vlans == {physnet1: [[300, 399]]} and .mappings == {physnet1: ["eth4"]}'
}
it "Neutron reads mappings, exclusions and VLANs as they are meant" neutron_reads

neutron_bad() {
	neutron_is bad-exclude '.error | test("eth9")'
	neutron_is bad-vlan '.error | test("5000")'
	neutron_is bad-driver '.error | test("sriovnikswitch")'
	neutron_is bad-mapping '.error | test("physnet1=eth4")'
}
it "Neutron would refuse what is wrong in it" neutron_bad

agree() {
	jq -e '."ports.conf".spec | keys' "$T/nova.json" >"$T/given"
	jq -e '."ports.conf".excluded.eth4' "$T/neutron.json" >"$T/kept"
	jq -se '(.[0] + .[1] | sort) == [range(8) | "0000:01:10.\(.)"]' "$T/given" "$T/kept"
}
it "Nova's VFs and those that the agent leaves alone are all there are" agree

# Behind Intel's VMD: domains of more than 16 bits. Each reader gets what it takes, or a sentence.
far_domain() {
	local H=$T/vmd
	"$TESTS/host/tree" - "$H" <<-'HOST'
		fn 10000:01:00.0 144d:a808 class=010802 driver=vfio-pci group=4
		fn ffff:02:00.0 144d:a808 class=010802 driver=vfio-pci group=5
	HOST
	export_of qemu 10000:01:00.0 >"$T/far"
	has -e "vfio-pci,sysfsdev=/sys/bus/pci/devices/10000:01:00.0,id=" <"$T/far"
	qemu_says "10000:01:00.0: .*No such file or directory" <"$T/far"
	sed 's|sysfsdev=/sys/bus/pci/devices/|host=|' "$T/far" | qemu_says "doesn't take value '10000:01:00.0'"
	export_of qemu ffff:02:00.0 | qemu_says "host=ffff:02:00.0,.*No such file or directory"
	export_of libvirt 10000:01:00.0 ffff:02:00.0 >"$T/far"
	has "domain='0x10000'" <"$T/far"
	sed 's/^# *//' "$T/far" | tr '\n' ' ' | has "10000:01:00.0 is in a PCI domain above ffff: libvirt takes that"
	not has "ffff:02:00.0 is in a PCI domain" <"$T/far"
	grep -v '^#' "$T/far" | domain | valid domain
	refuses "10000:01:00.0 is in a PCI domain above ffff, and Nova refuses" nova 10000:01:00.0
	export_of nova ffff:02:00.0 | has '"address": "ffff:02:00.0"'
}
it "a PCI domain above ffff is told to each reader in words that it takes, or refused" far_domain

sentences() {
	local long
	printf -v long 'n%.0s' {1..65}
	refuses "up to 64 letters" nova eth4 --physnet "$long"
	refuses "up to 64 letters" libvirt-network eth5 --name "$long"
	refuses "up to 15 characters" teaming vm7 --bridge "bridge-of-tenants"
	sed 's/physnet: physnet2/physnet: "physnet:2"/; s/alias: disk/alias: "disk:1"/' "$T/host.yaml" >"$T/colons.yaml"
	refuses "'physnet:2' has a colon" neutron --file "$T/colons.yaml"
	refuses "'disk:1' has a colon" nova --file "$T/colons.yaml"
	refuses "no VF 9; it has 4" libvirt eth4 9
	refuses "'vm9'" libvirt vm9
	refuses "PCI bridge" qemu 00:01.0
	refuses "switchdev" neutron ens1 --physnet physnet1
	refuses "--physnet NAME" neutron eth4
	refuses "has no MAC" teaming eth4 3 --bridge br0
	refuses "--bridge NAME" teaming vm7
	refuses "whole device" libvirt-network 05:00.0
	refuses "letters, digits" nova eth4 --physnet 'a,b'
	refuses "type-PF and type-PCI|type-PCI and type-PF" nova eth4 05:00.0 --whole --name x
	refuses "there are: qemu, libvirt" lxd vm7
	refuses "no such option '--physnet'" libvirt vm7 --physnet physnet1
	echo '{' >"$H/var/lib/weir/host/owners/0000:01:10.2.json"
	refuses "owners/0000:01:10.2.json cannot be used" nova eth4
	rm "$H/var/lib/weir/host/owners/0000:01:10.2.json"
}
it "what cannot be exported is refused in one sentence" sentences

in_use() {
	weir export qemu eth0 --whole --sysfs "$T/recorded/igb" >"$T/out"
	has 'eth0 (0000:03:00.0) is in use now: .*default route' <"$T/out"
	tr -d '\n' <"$T/out" | has 'shares IOMMU group 4 with .* and more'
	weir export libvirt 01:00.2 --sysfs "$T/recorded/mlx5" >"$T/out"
	has 'representor enp1s0f0npf0vf0 is in a bridge' <"$T/out"
	has "libvirt's <interface> sets a VLAN, which an eswitch" <"$T/out"
	export_of qemu 06:00.0 | not has 'in use'
}
it "what stands in the way of a VM is said" in_use

as_json() {
	cmp <(export_of libvirt eth4) <(export_of libvirt port-of-the-storage-network)
	export_of libvirt vm7 -j | jq -e '.for == "libvirt" and .functions[0].owner == "vm7" and
		.functions[0].mac == "52:54:00:00:04:00" and .functions[0].vlan == 100 and (.xml | length > 100)'
	export_of qemu vm7 -j | jq -e '.arguments == ["-device", "vfio-pci,host=0000:01:10.0,id=pci-0000-01-10.0"]'
	export_of qemu eth5 1,3 05:00.0 eth4 0-1 -j | jq -e '[.functions[].address] == ["0000:01:10.3", "0000:01:10.7",
		"0000:05:00.0", "0000:01:10.0", "0000:01:10.2"]'
	export_of nova eth5 -j | jq -e '.sections[0].options[0].value.vendor_id == "8086"'
}
it "-j has the same with keys" as_json

# What vfio has through a driver of one vendor's own is bound as QEMU and libvirt want it, too.
variant() {
	echo 'fn 0000:07:00.0 15b3:101d driver=mlx5_vfio_pci group=7' | "$TESTS/host/tree" - "$T/variant"
	weir export qemu 07:00.0 --whole --sysfs "$T/variant" >"$T/out"
	grep -q -e '-device vfio-pci,host=0000:07:00.0' "$T/out"
	not grep 'wants it bound' "$T/out"
	weir export libvirt 07:00.0 --whole --sysfs "$T/variant" | says "managed='no'"
}
it "a vendor's own vfio driver needs no other for QEMU and libvirt" variant
