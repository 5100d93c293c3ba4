/* SPDX-License-Identifier: MIT */
/*
 * svg_fixture.h: a profile made by hand, its flame graph as text, and questions to that text.
 */
#ifndef AWI_SVG_FIXTURE_H
#define AWI_SVG_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "made_profile.h"

#define EXPECT(call, value) ck_assert_int_eq((call), (value))
#define MS UINT64_C(1000000)

extern struct made_profile made;
extern char *svg;
extern size_t svg_bytes;

void svg_begin(void);
void svg_end(void);

/* Writes the profile, reads the picture back, and has it checked for being XML. */
void draw(void);

/* In percent of the whole, and in pixels. */
struct frame {
    double x, width;
    unsigned y;
};

/* The nth frame of that name, from 0, as its attributes say; the name as it stands in the file. */
bool find_frame(const char *name, unsigned nth, struct frame *frame);
struct frame frame_of(const char *name);
unsigned occurrences(const char *string);
void expect_width(const char *name, double percent);
void expect_text(const char *string);

#endif
