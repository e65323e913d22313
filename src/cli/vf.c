/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "cli/vf.h"

/* `weir vf`: the virtual functions of this host. */

static const struct subcommand table[] = {
	{"list", "[PF...] [-j] [--sysfs DIR] [--state DIR]",
		"Show VFs: their address, driver, settings, owner, and who uses them",
		"\n"
		"ENFORCED says what `weir vf prove` found that the card really does.\n"
		"\n"
		"  --state DIR    where owners are kept (default " STORE_DEFAULT
		")\n" HOST_ARGS_HELP,
		vf_list},
	{"create", "PF N [--eswitch legacy|switchdev]", "Let a PF have N VFs",
		"\n"
		"From one number to another the kernel goes by way of none, so all VFs of the PF "
		"go, and "
		"new\n"
		"ones come with the driver's defaults. Refused while one of them is in use or has "
		"an "
		"owner.\n"
		"With --eswitch the card's switch changes too, in the order that its driver "
		"wants.\n"
		"\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_create},
	{"delete", "PF", "Take all VFs of a PF away",
		"\nRefused while one of them is in use or has an owner.\n\n" HOST_CHANGE_HELP
			HOST_ARGS_HELP,
		vf_delete},
	{"set", "VF KEY=VALUE...", "Change settings of VFs",
		"\n"
		"VF is an address (0000:01:10.0), or a PF and numbers: eth0 3, eth0 0-3,6, eth0 "
		"all.\n"
		"\n"
		"  mac=MAC|auto|none       auto: one that nothing on this host has\n"
		"  vlan=1..4094|none       qos=0..7      proto=802.1Q|802.1ad\n"
		"  max-rate=RATE|none      min-rate=RATE   in whole Mbit/s; both: rate='min 1Gbit "
		"max "
		"2Gbit'\n"
		"  spoofchk=on|off         trust=on|off   rss-query=on|off\n"
		"  link-state=auto|enable|disable\n"
		"\n"
		"What is not mentioned stays, also the other half of a pair. A driver that learns "
		"of a "
		"new MAC\n"
		"only when it is bound (igbvf) is bound anew.\n"
		"\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_set},
	{"bind", "VF DRIVER", "Give VFs to a driver",
		"\n"
		"VF is an address, or a PF and numbers: eth0 0-3. DRIVER is vfio-pci for VMs and "
		"DPDK,\n"
		"'kernel' for the VF's own, 'none', or a name. It stays so when drivers come and "
		"go.\n"
		"\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_bind},
	{"alloc", "PF... --owner NAME [--numa N|--cpus LIST] [--KEY VALUE...]",
		"Pick a free VF, set it up and note whose it is",
		"\n"
		"  --owner NAME   whose it will be\n"
		"  --numa N       only on this NUMA node; --cpus 4-7: on the node of these CPUs\n"
		"  --driver NAME  for VMs: vfio-pci (default: it keeps its driver)\n"
		"  --mac MAC      default: one of its own, locally administered\n"
		"  --vlan ID      1 to 4094; --qos 0 to 7 and --proto 802.1ad go with it\n"
		"  --qos N        priority of its frames in the VLAN\n"
		"  --proto NAME   802.1Q or 802.1ad\n"
		"  --max-rate RATE  such as 250Mbit\n"
		"  --min-rate RATE  guaranteed, where the driver can\n"
		"  --rate WORDS   both: 'min 100Mbit max 1Gbit'\n"
		"  --spoofchk on|off  on: it cannot send with other MACs than its own\n"
		"  --trust on|off  whether it may change its MAC and become promiscuous\n"
		"  --link-state STATE  auto, enable, disable\n"
		"  --rss-query on|off  whether it may read the hash key\n"
		"\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_alloc},
	{"release", "VF... [--owner NAME] | --owner NAME",
		"Give VFs back as they were before they were allocated",
		"\n"
		"With --owner alone all that the owner has, beside VFs only if they are the "
		"owner's. "
		"Refused for\n"
		"a VF that is another by now: created anew, with a MAC that weir did not set, or "
		"open in "
		"a\n"
		"process.\n"
		"\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_release},
	{"prove", "PF [--create]", "Send frames to see which protections the card enforces",
		"\n"
		"Sends between two VFs that nobody owns or uses and their PF, with each protection "
		"and\n"
		"without it. The two go into network namespaces of their own for these seconds; "
		"frames of\n"
		"EtherType 0x88b5 may leave by the PF's port. All is put back, also after Ctrl-C; "
		"after\n"
		"kill -9 by `weir host undo`. What was found is kept: `weir vf list` shows it.\n"
		"\n"
		"  --create       make two VFs for the time being, where the PF has "
		"none\n" HOST_CHANGE_HELP HOST_ARGS_HELP,
		vf_prove},
	{NULL},
};

static int run(const struct command *c, int argc, char **argv) {
	return subcommand_run(c, table, argc, argv);
}

static int show_help(const struct command *c, int argc, char **argv) {
	return subcommand_help(c, table, argc, argv);
}

const struct command cmd_vf = {
	"vf",
	"SUBCOMMAND ...",
	"List, create, set up and hand out virtual functions",
	"\n"
	"PF is an address (0000:01:00.0), the name of an interface, or vendor:device where there "
	"is one.\n"
	"All changes of a command are made, or none; `weir host undo` takes them back.\n"
	"\n",
	run,
	show_help,
};
