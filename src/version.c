/* SPDX-License-Identifier: MIT */
/* version.c: the version of the library that was linked or loaded. */
#include <alarmwheel/base.h>

const char *aw_version(void)
{
    return AW_VERSION_STRING;
}
