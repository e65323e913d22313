#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Changes of functions, and what the card makes of them: tests that share a guest, each as new.
# timeout: 900
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

for part in vf prove; do
	# shellcheck source=/dev/null
	. "$sriov_here/$part.sh"
done
