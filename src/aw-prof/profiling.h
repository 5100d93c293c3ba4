/* SPDX-License-Identifier: MIT */
/* profiling.h: one run of a program under the profiler, from its start to the files that are left. */
#ifndef AWI_PROF_PROFILING_H
#define AWI_PROF_PROFILING_H

#include "options.h"

/* The status to exit with. */
int awi_profiling_run(const struct awi_options *options);

#endif
