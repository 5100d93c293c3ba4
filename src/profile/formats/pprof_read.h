/* SPDX-License-Identifier: MIT */
/*
 * pprof_read.h: a profile.proto file, ours or another profiler's, back as a profile and its names. The bytes
 * may be anything: what is no such file is an error, and no more than AWI_PPROF_MEMORY is used for it.
 */
#ifndef AWI_PROFILE_PPROF_READ_H
#define AWI_PROFILE_PPROF_READ_H

#include <stddef.h>

#include "../model.h"

#define AWI_PPROF_BYTES ((size_t)256 << 20)   /* of a file, before and after it is unpacked */
#define AWI_PPROF_MEMORY ((size_t)1024 << 20) /* of what it is decoded to */

/*
 * Reads a descriptor to its end, compressed or not. 0: both are to be freed, by aw_profile_free and
 * awi_symbols_free. -EBADMSG: it is no profile.proto file, or is damaged; -ENOTSUP: it tells of something
 * else than time; -EFBIG; -ENOMEM; what read(2) says.
 *
 * Modules have no bias, and what stands in one file as stacks of different labels or threads stays so. In
 * files of others, locations without a function are named after their file, and samples without a stack and
 * functions without a name are "[unknown]".
 */
int awi_pprof_read(int fd, struct aw_profile **profile, struct awi_symbols **symbols);

/* The same from memory. */
int awi_pprof_decode(const void *bytes, size_t count, struct aw_profile **profile,
                     struct awi_symbols **symbols);

#endif
