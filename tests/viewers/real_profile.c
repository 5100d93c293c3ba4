/* SPDX-License-Identifier: MIT */
/*
 * real_profile FOLDER: profiles itself, writes what was sampled in every format, and truth.json for the
 * viewers: the same samples, summed up here. How far they are from what the threads really did, by their own
 * clocks, is looked at here as well, with room for chance.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/profile.h>

#include "profile/model.h"
#include "truth.h"

#define ROUNDS 20
#define MS UINT64_C(1000000)

static volatile uint64_t sink;
static atomic_bool failed;

static void expect(bool is_right, const char *what)
{
    if (!is_right)
        (void)fprintf(stderr, "real_profile: %s\n", what);
    if (!is_right)
        atomic_store(&failed, true);
}

static uint64_t used_ns(void)
{
    struct timespec used;
    expect(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0, "no CPU clock of the thread");
    return (uint64_t)used.tv_sec * 1000 * MS + (uint64_t)used.tv_nsec;
}

/* Inlined into each of the functions below, so that their own time is theirs. */
static inline __attribute__((always_inline)) void burn(uint64_t ms)
{
    uint64_t end = used_ns() + ms * MS;
    while (used_ns() < end)
        for (unsigned i = 0; i < 20000; ++i)
            sink = sink * 5 + i;
}

static __attribute__((noinline)) void half_of_the_work(void)
{
    burn(50);
    sink = 1;
}

static __attribute__((noinline)) void third_part(void)
{
    burn(30);
    sink = 2;
}

static __attribute__((noinline)) void fifth_of_the_work(void)
{
    burn(20);
    sink = 3;
}

static __attribute__((noinline)) void answer_requests(void)
{
    expect(aw_profile_label_push("kind", "read") == 0, "no label");
    half_of_the_work();
    third_part();
    expect(aw_profile_label_pop() == 0, "no label to take back");
    fifth_of_the_work();
    sink = 4;
}

static __attribute__((noinline)) void write_logs(void)
{
    burn(50);
    sink = 5;
}

static void *logger(void *arg)
{
    (void)arg;
    expect(aw_profile_thread_register("logger") >= 0, "the thread is not sampled");
    for (unsigned i = 0; i < ROUNDS; ++i)
        write_logs();
    return NULL;
}

static struct aw_profile *sample(void)
{
    struct aw_profile_options options = { .size = sizeof options, .hz = 1000 };
    struct aw_profile *profile = NULL;
    pthread_t thread;
    expect(aw_profile_start(&options) == 0, "no start");
    expect(pthread_create(&thread, NULL, logger, NULL) == 0, "no thread");
    for (unsigned i = 0; i < ROUNDS; ++i)
        answer_requests();
    expect(pthread_join(thread, NULL) == 0, "the thread does not end");
    expect(aw_profile_stop() == 0, "no stop");
    expect(aw_profile_snapshot(&profile) == 0, "no snapshot");
    return profile;
}

/* The share of the samples' time that has the function at its end, or anywhere in it; in percent. */
static void expect_share(const struct truth *truth, const char *function, double percent)
{
    char message[200];
    double shown = 100.0 * (double)truth_total(truth, function) / (double)truth_whole(truth);
    (void)snprintf(message, sizeof message, "%s: %.1f %%, by the clock %.1f %%", function, shown, percent);
    (void)printf("%s\n", message);
    expect(shown > percent - 8 && shown < percent + 8, message);
}

static void write_as(const struct aw_profile *profile, const char *folder, const char *name,
                     enum aw_profile_format format)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/profile.%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    expect(fd >= 0 && aw_profile_write(profile, fd, format) == 0 && close(fd) == 0, path);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: real_profile FOLDER\n");
        return EXIT_FAILURE;
    }
    struct aw_profile *profile = sample();
    struct awi_symbols *symbols = NULL;
    if (profile == NULL || awi_symbolize(profile, &symbols) != 0)
        return EXIT_FAILURE;
    struct truth truth = { profile, symbols };
    expect(truth_write(&truth, argv[1], "work", "answer_requests") == 0, "truth.json");
    expect_share(&truth, "half_of_the_work", 50 / 1.5);
    expect_share(&truth, "third_part", 30 / 1.5);
    expect_share(&truth, "fifth_of_the_work", 20 / 1.5);
    expect_share(&truth, "answer_requests", 100 / 1.5);
    expect_share(&truth, "write_logs", 50 / 1.5);
    write_as(profile, argv[1], "pb.gz", AW_PROFILE_PPROF);
    write_as(profile, argv[1], "folded", AW_PROFILE_FOLDED);
    write_as(profile, argv[1], "speedscope.json", AW_PROFILE_SPEEDSCOPE);
    write_as(profile, argv[1], "svg", AW_PROFILE_SVG);
    awi_symbols_free(symbols);
    aw_profile_free(profile);
    return atomic_load(&failed) ? EXIT_FAILURE : EXIT_SUCCESS;
}
