/* SPDX-License-Identifier: MIT */
/*
 * utf8.c: which bytes are well-formed UTF-8 (Unicode, table 3-7: no overlong forms, no surrogates). Called by
 * the formats.
 */
#include "utf8.h"

#include <string.h>

static bool lies_in(unsigned char byte, unsigned least, unsigned most)
{
    return byte >= least && byte <= most;
}

/* The NUL at the end is no continuation: nothing behind it is read. */
size_t awi_utf8_length(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned first = bytes[0];
    if (first < 0x80)
        return 1;
    if (lies_in(bytes[0], 0xc2, 0xdf))
        return lies_in(bytes[1], 0x80, 0xbf) ? 2 : 0;
    if (!lies_in(bytes[0], 0xe0, 0xf4))
        return 0;
    unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (!lies_in(bytes[1], least, most) || !lies_in(bytes[2], 0x80, 0xbf))
        return 0;
    if (first < 0xf0)
        return 3;
    return lies_in(bytes[3], 0x80, 0xbf) ? 4 : 0;
}

static bool is_control(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (length == 1)
        return bytes[0] < 0x20 || bytes[0] == 0x7f;
    return length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

size_t awi_utf8_copy(char *copy, const char *text, bool keeps_control)
{
    char *end = copy;
    while (*text != '\0') {
        size_t length = awi_utf8_length(text);
        const char *from = text;
        size_t count = length;
        if (length == 0) {
            from = AWI_UTF8_REPLACEMENT;
            count = strlen(AWI_UTF8_REPLACEMENT);
        } else if (!keeps_control && is_control(text, length)) {
            from = " ";
            count = 1;
        }
        memcpy(end, from, count);
        end += count;
        text += length != 0 ? length : 1;
    }
    *end = '\0';
    return (size_t)(end - copy);
}
