/* SPDX-License-Identifier: MIT */
/*
 * utf8.h: names come from symbol tables, file names and threads (whose names the kernel cuts at any byte):
 * they may be no UTF-8, and hold what a terminal would obey. The formats want neither.
 */
#ifndef AWI_PROFILE_UTF8_H
#define AWI_PROFILE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define AWI_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the character that `text`, which is not empty, begins with; 0: it is not well-formed. */
size_t awi_utf8_length(const char *text);

/*
 * Copies `text` to `copy`, which has room for three times its length and a NUL: each byte that is not
 * well-formed becomes U+FFFD, and a control character a space unless they are kept. Returns the length.
 */
size_t awi_utf8_copy(char *copy, const char *text, bool keeps_control);

#endif
