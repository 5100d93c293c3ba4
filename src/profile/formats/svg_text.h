/* SPDX-License-Identifier: MIT */
/*
 * svg_text.h: names and numbers as an SVG shows them. Numbers are made of integers only: what printf does
 * with floating point depends on the locale that the program has set.
 */
#ifndef AWI_PROFILE_SVG_TEXT_H
#define AWI_PROFILE_SVG_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "output.h"

struct awi_number {
    char text[32];
};

struct awi_number awi_number_count(uint64_t count);                  /* 1,234,567 */
struct awi_number awi_number_time(uint64_t time_ns);                 /* 12.35 ms */
struct awi_number awi_number_share(uint64_t part, uint64_t whole);   /* 12.35 % */
struct awi_number awi_number_rate(uint64_t count, uint64_t time_ns); /* 249.8, a second */
struct awi_number awi_number_percent(uint32_t millionths);           /* 12.3457%, as an attribute's value */

/*
 * Text for an element's content or an attribute, whatever bytes it is made of: markup escaped, what XML does
 * not allow or UTF-8 does not know replaced by U+FFFD. More than `limit` characters end in an ellipsis.
 */
void awi_svg_text(struct awi_output *output, const char *string, size_t limit);

#endif
