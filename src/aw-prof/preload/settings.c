/* SPDX-License-Identifier: MIT */
/* settings.c: reads what aw-prof has written into the environment; or what somebody else has. */
#include "../settings.h"

#include <stdint.h>
#include <string.h>

/* The next number, and the blank behind it. */
static bool number(const char **text, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    const char *at = *text;
    while (*at >= '0' && *at <= '9' && sum <= max)
        sum = sum * 10 + (uint64_t)(*at++ - '0');
    if (at == *text || *at != ' ' || sum > max)
        return false;
    *text = at + 1;
    *value = sum;
    return true;
}

bool awi_settings_parse(const char *text, struct awi_settings *settings)
{
    uint64_t version;
    uint64_t clock;
    uint64_t hz;
    uint64_t depth;
    uint64_t bytes;
    uint64_t is_follow;
    if (!number(&text, AWI_SETTINGS_VERSION, &version) || version != AWI_SETTINGS_VERSION ||
        !number(&text, AW_PROFILE_WALL, &clock) || !number(&text, 1000000, &hz) ||
        !number(&text, 1000000, &depth) || !number(&text, UINT32_MAX, &bytes) ||
        !number(&text, 1, &is_follow))
        return false;
    size_t length = strlen(text);
    if (text[0] != '/' || length >= sizeof settings->directory)
        return false;
    settings->clock = (enum aw_profile_clock)clock;
    settings->hz = (unsigned)hz;
    settings->max_depth = (unsigned)depth;
    settings->bytes = (size_t)bytes;
    settings->is_follow = is_follow != 0;
    memcpy(settings->directory, text, length + 1);
    return true;
}
