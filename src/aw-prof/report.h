/* SPDX-License-Identifier: MIT */
/* report.h: aw-prof report: reads a profile back, and prints or converts it. */
#ifndef AWI_PROF_REPORT_H
#define AWI_PROF_REPORT_H

#include "options.h"

/* The status to exit with. */
int awi_report(const struct awi_options *options);

#endif
