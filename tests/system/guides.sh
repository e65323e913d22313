#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Every weir command in the guides exists, with the options it is given there; those that only look do
# their work on a recorded host.
. "$(dirname "$0")/lib.sh"

cd "$TESTS/.." || exit 1

# Commands in fenced blocks: also inside $( ), without what is piped or redirected, and without comments.
commands_of() { # FILE
	# shellcheck disable=SC2016 # sed's own dollars
	awk '/^```/ { on = !on; next } on' "$1" | sed -n 's/ #.*//; s/.*\$(\(weir [^)]*\)).*/\1/; s/ [|>].*//; /^weir /p'
}

# Its help, and each option in it.
exists() { # WORD...
	local words=("$@") sub=() option
	[[ ${2-} != [a-z]* ]] || sub=("$2")
	weir "$1" "${sub[@]}" --help >"$T/help" || { echo "no command: ${words[*]}"; return 1; }
	for option in "${words[@]}"; do
		[[ $option = -?* ]] || continue
		grep -qE "(^|[ [|(])$option([] |)=:;,]|\$)" "$T/help" || { echo "no option $option: ${words[*]}"; return 1; }
	done
}
# Also of those inside a sentence.
all_exist() { # FILE
	local line n=0
	# shellcheck disable=SC2016 # backquotes of Markdown
	while read -r line; do
		# shellcheck disable=SC2086 # words
		set -- ${line#weir }
		case $1 in
		nic | vf | pci | host | export) exists "$@" </dev/null || return 1 ;;
		*) continue ;; # of the switch and the ruler, which have tests of their own
		esac
		n=$((n + 1))
	done < <(commands_of "$1"; grep -o '`weir [^`]*`' "$1" | tr -d '`')
	echo "$n commands"
	[[ $n -gt 5 ]]
}
for file in docs/sriov.md docs/passthrough.md README.md; do
	it "commands and options in $file exist" all_exist "$file"
done

# The host that the guides speak of.
H=$T/host
"$TESTS/host/tree" - "$H" <<'HOST' || exit 1
fn 0000:01:00.0 8086:10fb driver=ixgbe numa=0 group=2 total=63 vfdev=10ed offset=128 stride=2 vfs=8 vfdriver=vfio-pci vfgroup=20+
fn 0000:05:00.0 144d:a808 class=010802 driver=vfio-pci group=4
if eth4 at=0000:01:00.0 up mac=a0:36:9f:00:00:04
vf eth4 {0-7} mac=52:54:00:00:04:{x} vlan=100 spoofchk=on trust=off
HOST
mkdir -p "$H/var/lib/weir/host/owners"
jq -n '{owner: "vm7", boot: "", node: ($ARGS.positional[0] | tonumber)}' \
	--args "$(stat -Lc %i "$H/sys/bus/pci/devices/0000:01:10.0/")" >"$H/var/lib/weir/host/owners/0000:01:10.0.json"
awk '/^```yaml/ { on = 1; next } /^```/ { on = 0 } on' docs/sriov.md >"$T/host.yaml"

looks() { # FILE
	local line n=0
	while read -r line; do
		[[ $line =~ ^weir\ (nic|export|host\ plan|pci\ check) && $line != *...* ]] || continue
		[[ $line != *host.yaml* ]] || line=${line//\/etc\/weir\/host.yaml/$T\/host.yaml}
		# shellcheck disable=SC2086 # words
		weir ${line#weir } --sysfs "$H" >"$T/out" 2>"$T/err" </dev/null || [[ $? = 1 && $line = *check* ]] ||
			{ echo "$line"; cat "$T/err"; return 1; }
		n=$((n + 1))
	done < <(commands_of "$1")
	echo "$n commands"
	[[ $n -gt 3 ]]
}
it "those of docs/sriov.md that look do so" looks docs/sriov.md
it "and those of docs/passthrough.md" looks docs/passthrough.md

file_is_taken() {
	awk '/^```yaml/ { on = 1; next } /^```/ { on = 0 } on' docs/passthrough.md >"$T/device.yaml" &&
		weir host plan "$T/device.yaml" --sysfs "$H" -j | jq -e '.changes | length > 0'
}
it "the file in docs/passthrough.md is one" file_is_taken

shown() { # FILE TEXT...: what the guide shows is what weir prints
	awk '/^```(xml|ini)/ { on = 1; next } /^```/ { on = 0 } on' "$1" >"$T/shown"
	while IFS= read -r line; do
		[[ -z $line ]] || grep -qxF -- "$line" "$T/shown" || { echo "not shown: $line"; return 1; }
	done < <(weir "${@:2}" --sysfs "$H" | grep -v '^#\|^<!--\|^$')
}
as_shown() {
	shown docs/sriov.md export libvirt vm7 &&
		shown docs/passthrough.md export libvirt 0000:05:00.0
}
it "the XML in the guides is what weir prints" as_shown
