/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */

/* The parts of the result page (page.h), byte for byte as they are in the files that the build names. */

	.section .rodata

.macro part name, file
	.global page_\name
	.global page_\name\()_end
page_\name:
	.incbin "\file"
page_\name\()_end:
	.byte 0
.endm

	part html, PAGE_HTML
	part css, PAGE_CSS
	part chart, PAGE_CHART
	part js, PAGE_JS
	part plots, PAGE_PLOTS

	.section .note.GNU-stack, "", %progbits
