/* SPDX-License-Identifier: MIT */
/* message.c: lines on standard error. See message.h. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4096
#define ERASE "\r\033[K"

static bool has_progress; /* the cursor stands in a line of progress */

static void write_line(const char *start, const char *end, const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    size_t used = (size_t)snprintf(line, sizeof line, "%s%saw-prof: ", has_progress ? ERASE : "", start);
    int added = vsnprintf(line + used, sizeof line - used, format, arguments);
    if (added < 0)
        return;
    used += (size_t)added;
    if (used > sizeof line - 1 - strlen(end))
        used = sizeof line - 1 - strlen(end);
    memcpy(line + used, end, strlen(end) + 1);
    /* Nobody can be told that this fails. */
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return;
}

void awi_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("", "\n", format, arguments);
    va_end(arguments);
    has_progress = false;
}

void awi_say_progress(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(has_progress ? "" : "\r", "", format, arguments);
    va_end(arguments);
    has_progress = true;
}

bool awi_can_show_progress(void)
{
    return isatty(STDERR_FILENO) == 1;
}
