# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
#
# bash completion of weir: commands, options and keys; names of ports and networks are asked of the
# running switch (the one that --api on the line, or WEIR_API, names).

_weir_names() { # ports|networks
	local api=()
	[[ -z $_weir_api ]] || api=(--api "$_weir_api")
	{ command weir "${api[@]}" show "$1" -j 2>/dev/null || true; } |
		sed -n 's/^    "name": "\([^"]*\)",\{0,1\}$/\1/p'
	return 0
}

# What the help of a command, or of its subcommand, lists: subcommands, or options.
_weir_listed() { # PATTERN WORD...
	command weir "${@:2}" --help 2>/dev/null | sed -n "s/^  \\($1\\) .*/\\1/p" || true
}

_weir_keys() {
	local key=${cur%%=*} value=${cur#*=}
	case $cur in
	network=* | native=*)
		mapfile -t COMPREPLY < <(compgen -W "$(_weir_names networks)" -- "$value") ;;
	trunk=*)
		mapfile -t COMPREPLY < <(compgen -P "${value%"${value##*,}"}" -W "$(_weir_names networks)" -- "${value##*,}") ;;
	mode=*) mapfile -t COMPREPLY < <(compgen -W "server client" -- "$value") ;;
	memory=*) mapfile -t COMPREPLY < <(compgen -W "ram any" -- "$value") ;;
	link=*) mapfile -t COMPREPLY < <(compgen -W "up down" -- "$value") ;;
	isolated=* | qinq=*) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$value") ;;
	vhost-user=*) mapfile -t COMPREPLY < <(compgen -f -- "$value") ;;
	tap=*) mapfile -t COMPREPLY < <(compgen -W "$(command ls /sys/class/net 2>/dev/null)" -- "$value") ;;
	netns=*) mapfile -t COMPREPLY < <(compgen -W "$(command ls /run/netns 2>/dev/null)" -- "$value") ;;
	group=*) mapfile -t COMPREPLY < <(compgen -g -- "$value") ;;
	*=*) return ;;
	*)
		mapfile -t COMPREPLY < <(compgen -S = -W "$1" -- "$key")
		compopt -o nospace
		return
		;;
	esac
	# Where '=' ends a word, only what follows it is replaced.
	[[ $COMP_WORDBREAKS = *=* ]] || COMPREPLY=("${COMPREPLY[@]/#/$key=}")
}

_weir() {
	local cur line word i words=() _weir_api=
	COMPREPLY=()
	# Words as weir will see them: bash splits at '=' and ':', we split at blanks.
	line=${COMP_LINE:0:COMP_POINT}
	read -ra words <<<"$line"
	[[ $line != *' ' ]] || words+=('')
	cur=${words[-1]}
	local plain=()
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		case $word in
		--api) _weir_api=${words[++i]-} ;;
		--api=*) _weir_api=${word#--api=} ;;
		-*) ;;
		*) plain+=("$word") ;;
		esac
	done
	if [[ ${words[-2]} = --api || ${words[-2]} = --file || ${words[-2]} = -w || ${words[-2]} = --secret-file || (${words[-2]} = -c && ${plain[0]-} = switch) ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames
		return
	fi
	if [[ ${words[-2]} = --sysfs || ${words[-2]} = --state || (${words[-2]} = -o && ${plain[0]-} = bench) ]]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		compopt -o filenames
		return
	fi
	if [[ ${words[-2]} = --only && "${plain[*]:0:2}" = "host check" ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(command weir host check --rules -j 2>/dev/null |
			sed -n 's/^    "rule": "\([^"]*\)",$/\1/p' || true)" -P "${cur%"${cur##*,}"}" -- "${cur##*,}")
		return
	fi
	local port_keys="vhost-user tap network trunk native queues mtu link mac static-macs mac-limit isolated qinq mode group memory netns"
	local choices=
	case "${plain[*]:0:2}" in
	'') choices="switch apply port network show top trace capture bench nic vf pci host export help --api --version" ;;
	switch) choices="-c --netns --group -v" ;;
	apply)
		if [[ $cur = -* ]]; then
			choices="--dry-run -j"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames
			return
		fi
		;;
	port) choices="add set del" ;;
	network) choices="add del" ;;
	"port set" | "port del") [[ ${#plain[@]} -gt 2 ]] || choices=$(_weir_names ports) ;;
	"network del") [[ ${#plain[@]} -gt 2 ]] || choices=$(_weir_names networks) ;;
	show) choices="ports networks macs workers drops config" ;;
	"show "*) choices="-j" ;;
	top) choices="-d --batch" ;;
	trace | capture) choices=$(_weir_names ports) ;;
	"capture "*) choices="-w -c --snaplen" ;;
	"trace "*) choices="eth arp ipv4 udp -j" ;;
	bench | nic | vf | pci | host | export) choices=$(_weir_listed '[a-z0-9-]*' "${plain[0]}") ;;
	"nic show" | "pci check" | "pci bind" | "pci unbind" | "vf "* | "export "*)
		if [[ $cur = -* ]]; then
			choices=$(_weir_listed '--*[a-z-]*' "${plain[@]:0:2}")
		else
			choices=$(command ls /sys/class/net 2>/dev/null)
		fi
		;;
	"host plan" | "host apply" | "host verify" | "host undo" | "host watch")
		if [[ $cur = -* ]]; then
			choices=$(_weir_listed '--*[a-z-]*' "${plain[@]:0:2}")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames
			return
		fi
		;;
	"bench "* | "nic "* | "pci "* | "host "*) choices=$(_weir_listed '--*[a-z-]*' "${plain[@]:0:2}") ;;
	help) choices="switch apply port network show top trace capture bench nic vf pci host export" ;;
	"help bench" | "help nic" | "help vf" | "help pci" | "help host" | "help export") choices=$(_weir_listed '[a-z0-9-]*' "${plain[1]}") ;;
	esac
	case "${plain[*]:0:2}" in
	"port add" | "port set")
		if [[ ${#plain[@]} -ge 3 ]]; then
			_weir_keys "$port_keys"
			return
		fi
		;;
	"vf set")
		if [[ $cur != -* && ${#plain[@]} -ge 3 ]]; then
			mapfile -t COMPREPLY < <(compgen -S = -W "mac vlan qos proto rate min-rate max-rate spoofchk trust link-state rss-query" -- "$cur")
			compopt -o nospace
			return
		fi
		;;
	"network add")
		if [[ ${#plain[@]} -ge 3 ]]; then
			_weir_keys vlan
			return
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
}

complete -F _weir weir
