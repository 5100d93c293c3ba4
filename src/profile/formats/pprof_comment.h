/* SPDX-License-Identifier: MIT */
/*
 * pprof_comment.h: what profile.proto has no field for (the rates, what was missed) stands in a comment of
 * the file: `go tool pprof -comments` shows it, and pprof_read.c takes it back.
 */
#ifndef AWI_PROFILE_PPROF_COMMENT_H
#define AWI_PROFILE_PPROF_COMMENT_H

#include <stddef.h>

#include <alarmwheel/profile.h>

#define AWI_COMMENT_BYTES 512

void awi_comment_write(const struct aw_profile_stats *stats, char comment[AWI_COMMENT_BYTES]);

/* What it does not name stays as it is; a comment that is not ours changes nothing. */
void awi_comment_read(const char *comment, struct aw_profile_stats *stats);

#endif
