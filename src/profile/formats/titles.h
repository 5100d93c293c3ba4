/* SPDX-License-Identifier: MIT */
/*
 * titles.h: what all outputs call the clock, a thread, and the program.
 */
#ifndef AWI_PROFILE_TITLES_H
#define AWI_PROFILE_TITLES_H

#include <stddef.h>
#include <stdint.h>

#include "../model.h"

#define AWI_THREAD_TITLE_BYTES (AWI_NAME_BYTES + 16)

/* Functions that stand for no code, by their names. */
#define AWI_TITLE_TRUNCATED "[truncated]"
#define AWI_TITLE_LOST "[lost]"
#define AWI_TITLE_UNSAMPLED "[unsampled]"
#define AWI_TITLE_UNKNOWN "[unknown]"

/* "cpu", "user", "wall". */
const char *awi_clock_title(enum aw_profile_clock clock);

/* "name (tid)", or one of them if the other is not known; cut to `bytes`. */
void awi_thread_title(const struct awi_sampled_thread *thread, char *title, size_t bytes);

/* The program's own module; UINT32_MAX: not known. And its file's name, without the folders. */
uint32_t awi_program_module(const struct aw_profile *profile);
const char *awi_program_title(const struct aw_profile *profile);

/* What stands behind the last slash. */
const char *awi_file_title(const char *path);

#endif
