#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir apply: the difference is printed, carried out in whole or not at all.
# timeout: 60
. "$(dirname "$0")/lib.sh"

endpoint a b c
taps '{blue: {vlan: 100}}' a b

same() {
	weir apply "$T/weir.yaml" | says '^nothing to change$'
	[[ $(weir apply "$T/weir.yaml" -j) = '[]' ]]
}
it "the file the switch runs from already changes nothing" same

config "$T/more.yaml" <<YAML
networks: {blue: {vlan: 100}, green: {vlan: 200}}
ports:
  a: {tap: eth0, netns: a, network: green}
  c: {tap: eth0, netns: c, network: green}
YAML

dry() {
	local before
	before=$(weir show config -j)
	weir apply "$T/more.yaml" --dry-run | tee "$T/plan" | says green 'port.*a' 'port.*b' 'port.*c'
	[[ $(weir show config -j) = "$before" ]]
	ping_ok a 10.0.0.2
}
it "a dry run prints the difference and changes nothing" dry

really() {
	weir apply "$T/more.yaml" >"$T/done"
	says green 'port.*a' 'port.*b' 'port.*c' <"$T/done"
	address c eth0 10.0.0.3/24
	ping_ok a 10.0.0.3
	show ports 'map(.name) | sort == ["a", "c"]'
	show config '.ports.a.network == "green" and .networks.green.vlan == 200'
	not ip -n b link show eth0
}
it "apply brings the switch there: ports removed, added, moved" really

keeps() {
	local index
	index=$(ip -n a -j link show eth0 | jq '.[0].ifindex')
	weir apply "$T/weir.yaml"
	weir apply "$T/more.yaml"
	[[ $(ip -n a -j link show eth0 | jq '.[0].ifindex') = "$index" ]]
	ip -n a -j addr show eth0 | jq -e '[.[0].addr_info[].local] == ["10.0.0.1"]'
}
it "a port that stays keeps its interface and its addresses" keeps

moves_api() {
	sed "s,^api:.*,api: $T/other.sock," "$T/more.yaml" >"$T/api.yaml"
	weir apply "$T/api.yaml" --dry-run |
		says "^~ api: $T/api.sock -> $T/other.sock \\(restart needed: api stays $T/api.sock until weir is started anew\\)\$"
	weir apply "$T/api.yaml" >/dev/null
	show config ".api == \"$T/api.sock\""
	not test -e "$T/other.sock"
	weir apply "$T/more.yaml" | says '^nothing to change$'
}
it "another API socket takes a restart, and the plan says which one is in force until then" moves_api

# The last port cannot be made: everything before it must be undone.
config "$T/half.yaml" <<YAML
networks: {blue: {vlan: 100}, yellow: {vlan: 300}}
ports:
  a: {tap: eth0, netns: a, network: blue}
  d: {tap: eth1, netns: c, network: yellow}
  e: {tap: eth0, netns: nowhere, network: yellow}
YAML
half() {
	local before
	address c eth0 10.0.0.3/24 # it was made anew meanwhile, with another MAC
	ip -n a neigh flush dev eth0
	before=$(weir show config -j)
	refused weir apply "$T/half.yaml" | says 'port e' nowhere
	[[ $(weir show config -j) = "$before" ]]
	show ports 'map(.name) | sort == ["a", "c"]'
	show networks 'map(.name) | index("yellow") == null'
	not ip -n c link show eth1
	ping_ok a 10.0.0.3
}
it "when one step fails nothing is changed" half
