/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BENCH_PAGE_PAGE_H
#define WEIR_BENCH_PAGE_PAGE_H

/* The parts of the result page, put into the executable by page.S; each ends with a NUL at its _end. */
extern const char page_html[], page_html_end[]; /* @NAME@ stands where another part goes */
extern const char page_css[], page_css_end[];
extern const char page_chart[], page_chart_end[]; /* Chart.js, MIT licence */
extern const char page_plots[], page_plots_end[];
extern const char page_js[], page_js_end[];

#endif
