/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

/* What a terminal, a log or a reader of lines would obey becomes '?': control characters (the newline,
 * too), bytes that are no UTF-8, the C1 controls, separators of lines and paragraphs, and the marks that
 * turn the direction of writing. Names of processes, guests and files are others' to choose. In place; the
 * text does not grow. */
void text_clean(char *text);

#endif
