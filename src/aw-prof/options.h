/* SPDX-License-Identifier: MIT */
/* options.h: what the command line asks for. */
#ifndef AWI_PROF_OPTIONS_H
#define AWI_PROF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/profile.h>

/* As env(1), nice(1) and time(1) have it. */
enum awi_status {
    AWI_STATUS_FAILED = 125, /* aw-prof itself, or a program that cannot be profiled */
    AWI_STATUS_NOT_EXECUTABLE = 126,
    AWI_STATUS_NOT_FOUND = 127,
    AWI_STATUS_SIGNAL = 128 /* plus its number */
};

enum awi_action {
    AWI_RUN,
    AWI_REPORT,
    AWI_HELP,
    AWI_VERSION
};

struct awi_options {
    enum awi_action action;
    enum aw_profile_clock clock;
    unsigned hz;
    bool has_hz;          /* it was asked for */
    uint64_t duration_ns; /* 0: to the end */
    bool is_follow;
    bool is_quiet;
    enum aw_profile_format format;
    const char *output; /* "-": standard output */
    char **arguments;   /* the program and its arguments; or the file to report on */
};

/* False, with the reason printed, if the arguments make no sense. */
bool awi_options_read(int argc, char **argv, struct awi_options *options);
void awi_options_help(void);
/* Where in a name a format's suffix begins, ".pb.gz" for one: its end if there is none. */
const char *awi_format_find_suffix(const char *name);

#endif
