/* SPDX-License-Identifier: MIT */
/*
 * settings.h: what aw-prof tells its library in the profiled program, by one variable of the environment.
 * Both sides compile it.
 */
#ifndef AWI_PROF_SETTINGS_H
#define AWI_PROF_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <alarmwheel/profile.h>

#define AWI_SETTINGS_VARIABLE "AW_PROF"
#define AWI_SETTINGS_VERSION 1u
#define AWI_SETTINGS_BYTES ((size_t)PATH_MAX + 80)

struct awi_settings {
    enum aw_profile_clock clock;
    unsigned hz;
    unsigned max_depth;
    size_t bytes;             /* of a recording */
    bool is_follow;           /* processes and programs that come of the profiled one, too */
    char directory[PATH_MAX]; /* where recordings go: DIRECTORY/<pid>.<n>, or <pid>.error; see names below */
};

/* "AW_PROF=..." of the settings. False: it does not fit. */
bool awi_settings_format(const struct awi_settings *settings, char text[AWI_SETTINGS_BYTES]);

/* What stands after the equals sign. False: it is not ours, or another version's. */
bool awi_settings_parse(const char *text, struct awi_settings *settings);

/*
 * Files in the directory, by process: its first, second, ... program's recording; why there is none; and a
 * mark that env(1) is about to become the program that is meant.
 */
#define AWI_RECORDING_NAME "%s/%ld.%u"
#define AWI_REASON_NAME "%s/%ld.error"
#define AWI_MARK_NAME "%s/%ld.exec"

#endif
