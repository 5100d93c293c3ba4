/* SPDX-License-Identifier: MIT */
/*
 * environment.c: takes LD_PRELOAD's first entry and AW_PROF out of the environment, so that the program and
 * its children see what the user set. It changes the array that main gets, before main gets it. setenv would
 * make a copy, and leave the array as it was.
 */
#include "preload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRELOAD_VARIABLE "LD_PRELOAD"

static const char settings_start[] = AWI_SETTINGS_VARIABLE "=";
static const char preload_start[] = PRELOAD_VARIABLE "=";

/* As they were found, for a program that is to have them again. */
static char settings_text[AWI_SETTINGS_BYTES];
static char library[PATH_MAX];

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static char **find(char *const *environment, const char *start)
{
    for (char *const *at = environment; at != NULL && *at != NULL; ++at) {
        if (starts(*at, start))
            return (char **)at;
    }
    return NULL;
}

static void remove_entry(char **at)
{
    for (; *at != NULL; ++at)
        at[0] = at[1];
}

/*
 * The entry was put in front of what the user has there, if anything. The rest stays where it is in memory,
 * right before the variable that follows: programs that overwrite the environment, to show a title, count
 * on it.
 */
static void remove_library(char **at)
{
    char *value = *at + strlen(preload_start);
    char *rest = value + strcspn(value, ": ");
    if (*rest == '\0') {
        remove_entry(at);
        return;
    }
    char *moved = rest + 1 - strlen(preload_start);
    memmove(moved, preload_start, strlen(preload_start));
    *at = moved;
}

static void remember_library(const char *variable)
{
    const char *value = variable + strlen(preload_start);
    size_t length = strcspn(value, ": ");
    if (length >= sizeof library)
        return;
    memcpy(library, value, length);
    library[length] = '\0';
}

void awi_environment_enter(bool is_kept)
{
    char **settings = find(environ, settings_start);
    char **preload = find(environ, preload_start);
    if (settings == NULL || preload == NULL)
        return;
    size_t length = strlen(*settings);
    if (length < sizeof settings_text)
        memcpy(settings_text, *settings, length + 1);
    remember_library(*preload);
    if (is_kept)
        return;
    remove_library(preload);
    settings = find(environ, settings_start); /* it may have moved */
    if (settings != NULL)
        remove_entry(settings);
}

/* "LD_PRELOAD=ours:theirs", `theirs` being the whole variable or NULL, into memory that is large enough. */
static void write_preload(char *text, const char *theirs)
{
    const char *value = theirs != NULL ? theirs + strlen(preload_start) : "";
    char *end = stpcpy(stpcpy(text, preload_start), library);
    if (*value != '\0')
        stpcpy(stpcpy(end, ":"), value);
}

char **awi_environment_with_ours(char *const *environment)
{
    size_t count = 0;
    while (environment != NULL && environment[count] != NULL)
        ++count;
    char **theirs = find(environment, preload_start);
    size_t pointers = (count + 3) * sizeof(char *);
    size_t bytes = sizeof preload_start + strlen(library) + 2 + (theirs != NULL ? strlen(*theirs) : 0);
    char **copy = malloc(pointers + bytes);
    if (copy == NULL)
        return NULL;
    char *preload = (char *)copy + pointers;
    write_preload(preload, theirs != NULL ? *theirs : NULL);
    size_t used = 0;
    for (size_t i = 0; i < count; ++i) {
        if (!starts(environment[i], settings_start) && !starts(environment[i], preload_start))
            copy[used++] = environment[i];
    }
    copy[used++] = preload;
    copy[used++] = settings_text;
    copy[used] = NULL;
    return copy;
}
