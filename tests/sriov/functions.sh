#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# What there is and what it can do: tests that share a guest, each as new.
# timeout: 900
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

for part in vfio nic check bed; do
	# shellcheck source=/dev/null
	. "$sriov_here/$part.sh"
done
