/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>

int main(void) {
	fputs("weir: nothing to do yet\n", stderr);
	return 2;
}
