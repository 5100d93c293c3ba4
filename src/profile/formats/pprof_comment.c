/* SPDX-License-Identifier: MIT */
/*
 * pprof_comment.c: see pprof_comment.h. "alarmwheel" and then words "name=number", with a space between them.
 */
#include "pprof_comment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "alarmwheel"

#define FIELD(name)                                                                                   \
    {                                                                                                 \
#name, offsetof(struct aw_profile_stats, name), sizeof((struct aw_profile_stats *)NULL)->name \
    }

static const struct {
    const char *name;
    size_t offset;
    size_t bytes;
} fields[] = {
    FIELD(requested_hz), FIELD(capped_hz), FIELD(samples), FIELD(lost),           FIELD(truncated),
    FIELD(unknown),      FIELD(foreign),   FIELD(threads), FIELD(threads_missed),
};
enum {
    FIELDS = sizeof fields / sizeof fields[0]
};

static uint64_t get(const struct aw_profile_stats *stats, size_t field)
{
    const char *at = (const char *)stats + fields[field].offset;
    unsigned small;
    uint64_t large;
    if (fields[field].bytes == sizeof large) {
        memcpy(&large, at, sizeof large);
        return large;
    }
    memcpy(&small, at, sizeof small);
    return small;
}

static void set(struct aw_profile_stats *stats, size_t field, uint64_t value)
{
    char *at = (char *)stats + fields[field].offset;
    unsigned small = value < UINT32_MAX ? (unsigned)value : UINT32_MAX;
    if (fields[field].bytes == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &small, sizeof small);
}

void awi_comment_write(const struct aw_profile_stats *stats, char comment[AWI_COMMENT_BYTES])
{
    size_t used = (size_t)snprintf(comment, AWI_COMMENT_BYTES, MARK);
    for (size_t i = 0; i < FIELDS && used < AWI_COMMENT_BYTES; ++i)
        used += (size_t)snprintf(comment + used, AWI_COMMENT_BYTES - used, " %s=%" PRIu64, fields[i].name,
                                 get(stats, i));
}

static void read_word(const char *word, size_t length, struct aw_profile_stats *stats)
{
    for (size_t i = 0; i < FIELDS; ++i) {
        size_t name = strlen(fields[i].name);
        if (length > name + 1 && memcmp(word, fields[i].name, name) == 0 && word[name] == '=')
            set(stats, i, strtoull(word + name + 1, NULL, 10));
    }
}

void awi_comment_read(const char *comment, struct aw_profile_stats *stats)
{
    int before = errno;
    if (strncmp(comment, MARK " ", strlen(MARK " ")) != 0)
        return;
    for (const char *word = strchr(comment, ' '); word != NULL; word = strchr(word, ' ')) {
        ++word;
        read_word(word, strcspn(word, " "), stats);
    }
    errno = before;
}
