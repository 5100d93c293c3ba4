/* SPDX-License-Identifier: MIT */
/*
 * gperftools.c: its library is loaded in a child process, after the rate has been put into the environment,
 * where it looks for it; its file is read as words: a header of five (0, 3, 0, period in us, 0), then for
 * each stack a count, a depth and addresses, at the end 0, 1, 0.
 */
#include "gperftools.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accuracy.h"

#ifdef ACCURACY_GPERFTOOLS

#define WORDS_MAX (1u << 20)

struct asked {
    unsigned hz;
    void (*body)(void *arg);
    void *arg;
    const struct tally_range *ranges;
    size_t ranges_count;
    struct gperftools_profile *profile; /* shared with the child */
};

static bool count_file(const char *path, const struct asked *asked)
{
    static uint64_t words[WORDS_MAX];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = fd >= 0 ? read(fd, words, sizeof words) : -1;
    if (fd >= 0)
        close(fd);
    const size_t count = bytes > 0 ? (size_t)bytes / sizeof words[0] : 0;
    if (count < 8 || words[1] != 3)
        return false;
    for (size_t i = 5; i + 2 < count && words[i] != 0; i += 2 + words[i + 1]) {
        if (words[i + 1] > count - i - 2)
            return false;
        asked->profile->samples += words[i];
        for (size_t j = 0; j < asked->ranges_count; j++)
            if (tally_is_within(&asked->ranges[j], &words[i + 2], (unsigned)words[i + 1]))
                asked->profile->within[j] += words[i];
    }
    asked->profile->time_ns = asked->profile->samples * words[3] * 1000;
    return true;
}

static int profile_body(void *arg)
{
    const struct asked *asked = arg;
    char rate[16];
    char path[] = "/tmp/accuracy-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    snprintf(rate, sizeof rate, "%u", asked->hz);
    setenv("CPUPROFILE_FREQUENCY", rate, 1);
    void *library = dlopen(ACCURACY_GPERFTOOLS, RTLD_NOW | RTLD_LOCAL);
    int (*start)(const char *) =
        library != NULL ? (int (*)(const char *))(uintptr_t)dlsym(library, "ProfilerStart") : NULL;
    void (*stop)(void) = library != NULL ? (void (*)(void))(uintptr_t)dlsym(library, "ProfilerStop") : NULL;
    bool is_counted = false;
    /* It says a line on standard error as it stops. */
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    if (start != NULL && stop != NULL && start(path) != 0) {
        asked->body(asked->arg);
        stop();
        is_counted = count_file(path, asked);
    }
    unlink(path);
    return is_counted ? 0 : 1;
}

bool gperftools_run(unsigned hz, void (*body)(void *arg), void *arg, const struct tally_range *ranges,
                    size_t ranges_count, struct gperftools_profile *profile)
{
    void *shared = mmap(NULL, sizeof *profile, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return false;
    struct asked asked = { hz, body, arg, ranges, ranges_count, shared };
    const bool is_done = accuracy_in_child("gperftools", 300, profile_body, &asked) == 0;
    memcpy(profile, shared, sizeof *profile);
    munmap(shared, sizeof *profile);
    if (!is_done)
        accuracy_note("gperftools: did not work");
    return is_done;
}

#else

bool gperftools_run(unsigned hz, void (*body)(void *arg), void *arg, const struct tally_range *ranges,
                    size_t ranges_count, struct gperftools_profile *profile)
{
    (void)hz, (void)body, (void)arg, (void)ranges, (void)ranges_count, (void)profile;
    accuracy_note("gperftools: was not there when this was built");
    return false;
}

#endif
