#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# `weir host plan|apply|verify` on recorded hosts: what is planned, what is refused, what stays untouched.
# timeout: 60
. "$(dirname "$0")/lib.sh"

H=$T/host
"$TESTS/host/tree" ixgbe "$H" || exit 1

weir_host() { # SUBCOMMAND FILE [OPTION...], FILE from stdin
	local sub=$1 name=$2
	shift 2
	cat >"$T/$name"
	"$WEIR" host "$sub" "$T/$name" --sysfs "$H" "$@"
}

# The file that describes the host as it is.
as_it_is() {
	cat <<-'YAML'
		pfs: {eno1: {vfs: 6, link: up}, eno2: {vfs: 0}}
		pools: {t: {pfs: eno1, vfs: 0-3, vlan: 100, max-rate: 1Gbit, driver: vfio-pci}}
		vfs: {w: {pf: eno1, vf: 5, vlan: 200, qos: 3, trust: on, driver: kernel}}
	YAML
}

nothing_to_do() {
	[[ $(as_it_is | sed 's/eno1: {/eno1: {match: enp4s0f0-of-the-first-card-in-the-third-slot-which-leads-to-the-storage-network-of-building-seven, /' | weir_host plan a.yaml) = "nothing to change" ]]
	[[ $(as_it_is | weir_host plan a.yaml) = "nothing to change" ]] &&
		[[ $(as_it_is | weir_host verify a.yaml) = "as wanted" ]] &&
		as_it_is | weir_host plan a.yaml -j | jq -e '.changes == [] and .left == [] and .done == false'
}

a_plan() {
	diff <(sed 's/kernel}}/kernel, max-rate: 100Mbit}}/; s/eno2: {vfs: 0}/eno2: {vfs: 1}/' <(as_it_is) |
		weir_host plan a.yaml | sed 's/ *$//') - <<-'PLAN'
			FUNCTION           ATTRIBUTE  CHANGE
			0000:04:00.0 vf 5  rate       min 0 max 0 -> min 0 max 100
			0000:04:00.1       vfs        0 -> 1
		PLAN
}

a_plan_in_json() {
	as_it_is | sed 's/vlan: 100/vlan: 7/' | weir_host plan a.yaml -j | jq -e '
		[.changes[] | [.function, .vf, .attribute, .from, .to]] ==
		[range(4) | ["0000:04:00.0", ., "vlan", "100", "7"]]'
}

refuses() { # STATUS PATTERN SUBCOMMAND, FILE from stdin
	local want=$1 pattern=$2 status=0
	shift 2
	weir_host "$@" 2>"$T/err" >"$T/out" || status=$?
	cat "$T/err"
	# shellcheck disable=SC2254 # it is a pattern
	[[ $status = "$want" ]] && case $(cat "$T/err") in $pattern) ;; *) false ;; esac
}

in_use() {
	as_it_is | sed 's/vfs: 6/vfs: 7/; s/, driver: vfio-pci//' |
		refuses 1 "weir: 0000:04:10.0 would go, but is in use: *web1*" plan a.yaml
}

drift() {
	local status=0
	as_it_is | sed 's/vlan: 200/vlan: 201/' | weir_host verify a.yaml >"$T/out" || status=$?
	[[ $status = 1 ]] && grep -q "0000:04:00.0 vf 5  vlan *200 qos 3  201 qos 3  vf w" "$T/out" &&
		! "$WEIR" host verify "$T/a.yaml" --sysfs "$H" -j >"$T/out" &&
		jq -e '.drift == [{function: "0000:04:00.0", vf: 5, attribute: "vlan", is: "200 qos 3",
			want: "201 qos 3", by: "vf w", why: "nothing was ever applied here"}]' "$T/out"
}

somebody_elses() {
	mkdir -p "$H/var/lib/weir/host/owners" &&
		jq -n '{owner: "vm9", boot: "", node: $node}' \
			--argjson node "$(stat -Lc %i "$H/sys/bus/pci/devices/0000:04:10.6/")" \
			>"$H/var/lib/weir/host/owners/0000:04:10.6.json" &&
		as_it_is | sed 's/vlan: 100/vlan: 7/' | weir_host plan a.yaml >"$T/out" &&
		grep -qx "0000:04:00.0 vf 3 belongs to vm9 and is left alone (pool t)" "$T/out" &&
		[[ $(grep -c "vlan *100 -> 7" "$T/out") = 3 ]] &&
		as_it_is | sed 's/vlan: 100/vlan: 7/' | weir_host plan a.yaml --force | grep -c "vlan *100 -> 7" |
		grep -qx 4
}

untouched() {
	(cd "$H" && find . -type f -exec cksum {} + | sort) >"$T/before" &&
		as_it_is | sed 's/vlan: 100/vlan: 7/' | weir_host apply a.yaml --dry-run >/dev/null &&
		as_it_is | sed 's/vlan: 100/vlan: 7/' |
		refuses 1 "weir: * is a recorded tree, which is never changed; --dry-run prints *" apply a.yaml &&
		(cd "$H" && find . -type f -exec cksum {} + | sort) | diff "$T/before" -
}

usage() {
	local status args words
	for args in "host plan" "host plan a b" "host apply" "host apply --resume a" "host verify a --dry-run" \
		"host watch a --every 0s" "host undo a b" "host undo --id x" "host watch a -j" "host frob"; do
		status=0
		read -ra words <<<"$args"
		"$WEIR" "${words[@]}" >/dev/null 2>&1 || status=$?
		[[ $status = 2 ]] || {
			echo "weir $args is no usage error"
			return 1
		}
	done
}

mistaken() {
	printf 'pfs:\n  eno1:\n    vfs: 64\n' |
		refuses 1 "weir: $T/a.yaml:3: pf eno1: vfs is 64; *63" plan a.yaml
}

missing() {
	! "$WEIR" host plan "$T/none.yaml" --sysfs "$H" 2>"$T/err" &&
		grep -q "cannot read .*none.yaml: No such file" "$T/err"
}

it "a host that is as its file wants it has nothing to change" nothing_to_do
it "a plan has a line for each attribute that changes" a_plan
it "and in JSON the same" a_plan_in_json
it "what would take a VF from a running VM is planned and said to be refused" in_use
it "verify names what drifted, with status 1" drift
it "a mistake in the file is named with its line" mistaken
it "a file that is not there is said so" missing
it "a VF that belongs to somebody the file does not name is left alone" somebody_elses
it "a recorded tree is never changed" untouched
it "what is not understood is a usage error" usage
