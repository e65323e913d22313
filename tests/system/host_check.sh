#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# `weir host check` and `weir pci check` on recorded hosts.
# timeout: 60
. "$(dirname "$0")/lib.sh"

tree() { # NAME...: recorded hosts as folders of that name
	local name
	for name; do
		"$TESTS/host/tree" "$name" "$T/$name" || return
	done
}
tree tidy ice bnxt mlx5 igb ixgbe noiommu

check() { # STATUS HOST ARGUMENT...: its output is in $T/out
	local status=0
	"$WEIR" host check --sysfs "$T/$2" "${@:3}" >"$T/out" 2>"$T/err" || status=$?
	[[ $status = "$1" ]]
}

clean() {
	for host in tidy ice bnxt mlx5; do
		check 0 $host
		[[ $(<"$T/out") = "nothing found" && ! -s $T/err ]]
	done
}
it "hosts in order have no findings" clean

noiommu() {
	check 1 noiommu
	says '^errors: 1$' '^  host: the IOMMU is off: .* \[iommu\]$' \
		'^    -> the kernel needs the argument intel_iommu=on' <"$T/out"
	check 1 noiommu -j
	jq -e '.errors == 1 and .warnings == 0 and (.findings | length == 1) and
		(.findings[0] | keys == ["evidence", "remedy", "rule", "severity", "subject"] and
			.rule == "iommu" and .severity == "error" and .subject == "host")' "$T/out"
}
it "without an IOMMU the exit status is 1, and the remedy is named" noiommu

warned() {
	check 0 igb
	says '^warnings: 1$' '^  group 4: 0000:03:00.0 \(igb\), .* \[group-shared\]$' <"$T/out"
	check 0 ixgbe -j
	jq -e '[.findings[].rule] == ["trust", "autoprobe"] and
		.findings[0].subject == "0000:04:00.0 vf 5" and .findings[0].severity == "warning" and
		.findings[1].severity == "note"' "$T/out"
}
it "warnings and notes leave the exit status at 0" warned

chosen() {
	check 0 noiommu --only mac-zero,mtu
	[[ $(<"$T/out") = "nothing found" ]]
	check 2 noiommu --only mtu,iomu
	says "^weir: host check: --only: no such rule 'iomu'" <"$T/err"
	check 2 noiommu mtu
	says "what is 'mtu'" <"$T/err"
	check 0 noiommu --rules
	[[ $(wc -l <"$T/out") -gt 25 ]]
	says '^RULE +FINDS$' '^iommu +the IOMMU is off' '^mmio +' <"$T/out"
	check 0 noiommu --rules -j
	jq -e 'length > 25 and all(.rule != "" and .finds != "")' "$T/out"
	# The rules that --rules lists are those that the documentation has.
	# shellcheck disable=SC2016 # backticks of Markdown
	diff <(jq -r '.[].rule' "$T/out" | sort) \
		<(sed -n 's/^| `\([a-z-]*\)` | .*/\1/p' "$TESTS/../docs/host-check.md" | sort)
}
it "rules are listed, chosen, and each is documented" chosen

remembered() { # what weir remembers is in the tree, or where --state says
	mkdir -p "$T/tidy/var/lib/weir/host/owners" "$T/other/owners"
	echo '{"owner": "vm9"}' >"$T/tidy/var/lib/weir/host/owners/0000:04:11.0.json"
	check 0 tidy
	says '0000:04:11.0: it is recorded for vm9' <"$T/out"
	check 0 tidy --state "$T/other"
	[[ $(<"$T/out") = "nothing found" ]]
	mkdir "$T/other/journal"
	mkfifo "$T/other/journal/1.json" # whoever opened it as usual would wait for good
	check 0 tidy --state "$T/other"
	rm -r "$T/tidy/var"
}
it "owners are read from the recorded host, or from --state" remembered

escapes() { # the name of a file of others reaches no terminal as it is
	mkdir -p "$T/tidy/etc/udev/rules.d"
	echo 'ATTR{device/sriov_numvfs}="4"' >"$T/tidy/etc/udev/rules.d/"$'a\e[31m.rules'
	check 0 tidy
	says 'a\?\[31m.rules' <"$T/out"
	not grep -q $'\e' "$T/out"
	rm -r "$T/tidy/etc"
}
it "no escape sequence of a file reaches the terminal" escapes

device() { # STATUS HOST ARGUMENT...
	local status=0
	"$WEIR" pci check --sysfs "$T/$2" "${@:3}" >"$T/out" 2>"$T/err" || status=$?
	[[ $status = "$1" ]]
}

passable() {
	device 0 tidy 04:10.4
	says '^0000:04:10.4 .*: can be passed through$' '^CHECK +VERDICT +EVIDENCE$' \
		'^iommu +good +the IOMMU is on' '^group +good +group 62 has nothing else' \
		'^use +good +not in use' <"$T/out"
	device 0 tidy -j eth1v0 eth1v1
	jq -e 'length == 2 and all(.possible) and .[0].slot == "0000:84:10.0" and
		(.[0].checks | map(.rule)) == ["iommu", "group", "use", "reset", "memory", "vfio",
			"interrupts"]' "$T/out"
}
it "a spare VF can be passed through" passable

refused() {
	device 1 tidy 04:10.0
	says 'cannot be passed through as it is' '^use +error +in use: QEMU web1, pid 2100$' '-> stop process 2100, or take' <"$T/out"
	device 1 tidy -j eth0
	jq -e '.[0].possible == false and (.[0].checks[] | select(.rule == "use") |
		.severity == "error" and (.remedy | test("weir vf delete 0000:04:00.0")))' "$T/out"
	device 1 noiommu 01:10.0
	says '^iommu +error ' 'intel_iommu=on' <"$T/out"
	device 1 igb 03:10.0
	says '^group +error +group 4 is shared with 0000:03:00.0 \(igb\)' <"$T/out"
	device 1 tidy 04:10.4 04:10.0 # one of two
	device 1 tidy 04:10.4 --memory 100GiB
	says '^memory +error +the guest has 102400 MiB' <"$T/out"
}
it "what is in use, in a shared group or without an IOMMU cannot, and why is said" refused

usage() {
	device 2 tidy
	says 'wants 1 to [0-9]+ devices' <"$T/err"
	device 2 tidy eth0 --memory 8x
	says "pci check: --memory: .*'8x'" <"$T/err"
	device 2 tidy eth0 --fast
	says "no such option '--fast'" <"$T/err"
	device 1 tidy eth7
	says 'eth7' <"$T/err"
}
it "what is asked wrongly is said in a sentence" usage
