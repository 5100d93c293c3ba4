/* SPDX-License-Identifier: MIT */
/*
 * titles.c: see titles.h. Called by the formats.
 */
#include "titles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *awi_clock_title(enum aw_profile_clock clock)
{
    switch (clock) {
    case AW_PROFILE_USER:
        return "user";
    case AW_PROFILE_WALL:
        return "wall";
    default:
        return "cpu";
    }
}

void awi_thread_title(const struct awi_sampled_thread *thread, char *title, size_t bytes)
{
    const int name_bytes = AWI_NAME_BYTES - 1;
    if (thread->tid == 0 && thread->name[0] == '\0')
        (void)snprintf(title, bytes, "all threads");
    else if (thread->tid == 0)
        (void)snprintf(title, bytes, "%.*s", name_bytes, thread->name);
    else if (thread->name[0] == '\0')
        (void)snprintf(title, bytes, "(%" PRId32 ")", thread->tid);
    else
        (void)snprintf(title, bytes, "%.*s (%" PRId32 ")", name_bytes, thread->name, thread->tid);
}

uint32_t awi_program_module(const struct aw_profile *profile)
{
    return profile->program < profile->modules_count ? profile->program : UINT32_MAX;
}

const char *awi_program_title(const struct aw_profile *profile)
{
    uint32_t module = awi_program_module(profile);
    return module != UINT32_MAX ? awi_file_title(profile->modules[module].path) : "profile";
}

const char *awi_file_title(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}
