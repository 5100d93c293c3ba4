/* SPDX-License-Identifier: MIT */
/* settings.c: writes the one variable. See settings.h. */
#include "settings.h"

#include <stdio.h>

bool awi_settings_format(const struct awi_settings *settings, char text[AWI_SETTINGS_BYTES])
{
    int bytes = snprintf(text, AWI_SETTINGS_BYTES, AWI_SETTINGS_VARIABLE "=%u %u %u %u %zu %u %s",
                         AWI_SETTINGS_VERSION, (unsigned)settings->clock, settings->hz, settings->max_depth,
                         settings->bytes, (unsigned)settings->is_follow, settings->directory);
    return bytes > 0 && (size_t)bytes < AWI_SETTINGS_BYTES;
}
