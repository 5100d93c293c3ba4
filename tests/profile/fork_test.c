/* SPDX-License-Identifier: MIT */
/*
 * fork_test.c: children of a profiled program, by fork, exec, posix_spawn, system and vfork: none is
 * sampled, none is killed by SIGPROF, each has the disposition that the program had; a forked one may have
 * a profile of its own; and the parent's goes on, without a sample less.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"
#include "work.h"

extern char **environ;

static void plain(int signo)
{
    (void)signo;
}

/* What a child finds wrong is its exit status: the line. */
#define REQUIRE(condition)             \
    do {                               \
        if (!(condition))              \
            return 1 + __LINE__ % 250; \
    } while (0)

static bool has_handler(void (*handler)(int signo))
{
    struct sigaction now;
    return sigaction(SIGPROF, NULL, &now) == 0 && now.sa_handler == handler;
}

/* --- The child's view ----------------------------------------------------------------------------------- */

/* As before any start. */
static int look_around(void *arg)
{
    void (*found)(int signo) = arg != NULL ? plain : SIG_DFL;
    struct itimerval value;
    struct aw_profile *profile = NULL;
    struct aw_profile_stats stats = { .size = sizeof stats };
    REQUIRE(has_handler(found));
    REQUIRE(getitimer(ITIMER_PROF, &value) == 0);
    REQUIRE(value.it_value.tv_sec == 0 && value.it_value.tv_usec == 0);
    REQUIRE(aw_profile_stop() == -ENODEV);
    REQUIRE(aw_profile_pause() == -ENODEV);
    REQUIRE(aw_profile_resume() == -ENODEV);
    REQUIRE(aw_profile_snapshot(&profile) == -ENODEV);
    REQUIRE(aw_profile_stats_read(&stats) == -ENODEV);
    REQUIRE(aw_profile_write(NULL, STDERR_FILENO, AW_PROFILE_TEXT) == -ENODEV);
    burn_ms(50); /* a signal would kill it */
    return 0;
}

/* A profile of its own, with the label and the name that it was forked with. */
static int profile_itself(void *arg)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 1000);
    struct aw_profile_stats stats = { .size = sizeof stats };
    struct aw_profile *profile = NULL;
    (void)arg;
    REQUIRE(aw_profile_start(&options) == 0);
    REQUIRE(aw_profile_start(&options) == -EBUSY);
    for (unsigned i = 0; i < 1000 && stats.samples < 5; ++i) {
        burn_ms(10);
        REQUIRE(aw_profile_stats_read(&stats) == 0);
    }
    REQUIRE(stats.samples >= 5);
    REQUIRE(stats.threads == 1);
    REQUIRE(aw_profile_snapshot(&profile) == 0);
    REQUIRE(profile->threads_count == 1);
    REQUIRE(profile->threads[0].tid == getpid());
    REQUIRE(strcmp(profile->threads[0].name, "forks") == 0);
    for (size_t i = 0; i < profile->samples_count; ++i)
        REQUIRE(profile->samples[i].label == 1);
    REQUIRE(strcmp(profile->labels[1].value, "inherited") == 0);
    aw_profile_free(profile);
    REQUIRE(aw_profile_stop() == 0);
    REQUIRE(has_handler(SIG_DFL));
    REQUIRE(aw_profile_label_pop() == 0);
    return 0;
}

static int stage_of_parent;

/* Forked at each stage of a profile: running, paused, stopped, taken, and after a snapshot. */
static void bring_to_stage(enum aw_profile_clock clock)
{
    start_profile(clock, 1000);
    burn_until_samples(3);
    if (stage_of_parent == 1)
        ck_assert_int_eq(aw_profile_pause(), 0);
    if (stage_of_parent == 4)
        aw_profile_free(take());
    if (stage_of_parent != 2 && stage_of_parent != 3)
        return;
    ck_assert_int_eq(aw_profile_stop(), 0);
    if (stage_of_parent == 3)
        aw_profile_free(take());
}
#define STAGES 5

START_TEST(a_child_has_no_profile)
{
    enum aw_profile_clock clock = (enum aw_profile_clock)(_i / STAGES);
    stage_of_parent = _i % STAGES;
    bool has_own = _i % 2 != 0;
    if (has_own)
        handle_signal(SIGPROF, plain, SA_RESTART);
    bring_to_stage(clock);
    expect_exit(in_child(0, look_around, has_own ? &has_own : NULL), 0);
}
END_TEST

START_TEST(a_child_may_have_its_own)
{
    stage_of_parent = _i;
    ck_assert_int_eq(aw_profile_thread_register("forks"), 0);
    ck_assert_int_eq(aw_profile_label_push("was", "inherited"), 0);
    bring_to_stage(AW_PROFILE_CPU);
    expect_exit(in_child(0, profile_itself, NULL), 0);
}
END_TEST

/* A grandchild's, too. */
static int fork_again(void *arg)
{
    int status;
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        _exit(profile_itself(arg));
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(a_grandchild_may_have_its_own)
{
    ck_assert_int_eq(aw_profile_thread_register("forks"), 0);
    ck_assert_int_eq(aw_profile_label_push("was", "inherited"), 0);
    start_profile(AW_PROFILE_CPU, 1000);
    expect_exit(in_child(0, fork_again, NULL), 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* --- The parent's view ---------------------------------------------------------------------------------- */

static int burn_only(void *arg)
{
    (void)arg;
    burn_ms(100);
    return 0;
}

/* It goes on, and the children's time is not its own. */
START_TEST(the_parent_goes_on)
{
    start_profile((enum aw_profile_clock)_i, 1000);
    burn_until_samples(5);
    pid_t pids[3];
    for (unsigned i = 0; i < 3; ++i)
        pids[i] = in_child(0, burn_only, NULL);
    uint64_t began = cpu_ns();
    uint64_t before = profile_stats().time_ns;
    for (unsigned i = 0; i < 3; ++i)
        expect_exit(pids[i], 0);
    if (_i == AW_PROFILE_CPU)
        ck_assert_uint_le(profile_stats().time_ns - before, cpu_ns() - began + AW_MS(2));
    burn_until_samples(profile_stats().samples + 5);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(profile_stats().foreign, 0);
    struct aw_profile *profile = take();
    for (size_t i = 0; i < profile->threads_count; ++i)
        ck_assert_int_eq(profile->threads[i].tid, getpid());
    aw_profile_free(profile);
}
END_TEST

static int end_at_once(void *arg)
{
    (void)arg;
    return has_handler(SIG_DFL) ? 0 : 1;
}

static atomic_bool is_over;

static void *take_snapshots(void *arg)
{
    uint64_t *samples = arg;
    while (!atomic_load(&is_over)) {
        struct aw_profile *profile = NULL;
        if (aw_profile_snapshot(&profile) == 0)
            *samples += profile->stats.samples;
        aw_profile_free(profile);
        if (poll(NULL, 0, 1) < 0) /* locks are not fair: forks want it, too */
            continue;
    }
    return NULL;
}

static void *push_labels(void *arg)
{
    for (unsigned i = 0; !atomic_load(&is_over); ++i) {
        char value[16];
        snprintf(value, sizeof value, "%u", i % 100);
        if (aw_profile_label_push("number", value) == 0)
            aw_profile_label_pop();
    }
    return arg;
}

/*
 * Forks at every instant of samples, snapshots, and labels of other threads: no child hangs, none is
 * killed.
 */
START_TEST(forks_while_others_are_sampled)
{
    struct worker worker = { .is_registered = true };
    pthread_t threads[2];
    uint64_t samples = 0;
    unsigned rounds = scaled(150);
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 5000);
    options.max_bytes = 256 * 1024;
    ck_assert_int_eq(aw_profile_start(&options), 0);
    ck_assert_int_eq(aw_profile_label_push("early", "label"), 0);
    start_worker(&worker);
    ck_assert_int_eq(pthread_create(&threads[0], NULL, take_snapshots, &samples), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, push_labels, NULL), 0);
    for (unsigned i = 0; i < rounds; ++i)
        expect_exit(in_child(0, i % 10 == 0 ? look_around : end_at_once, NULL), 0);
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
    struct aw_profile *profile = take();
    samples += profile->stats.samples;
    aw_profile_free(profile);
    ck_assert_uint_eq(samples, profile_stats().samples);
    ck_assert_uint_gt(samples, 0);
}
END_TEST

static int profile_and_label(void *arg)
{
    (void)arg;
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 5000);
    struct aw_profile *profile = NULL;
    options.max_bytes = 64 * 1024;
    REQUIRE(aw_profile_label_push("child", "own") == 0);
    REQUIRE(aw_profile_start(&options) == 0);
    REQUIRE(aw_profile_thread_register("child") == 1);
    REQUIRE(aw_profile_snapshot(&profile) == 0);
    aw_profile_free(profile);
    REQUIRE(aw_profile_stop() == 0);
    return 0;
}

/* The same, and each child uses all that might have been left locked. */
START_TEST(forked_children_find_nothing_locked)
{
    struct worker worker = { .is_registered = true };
    pthread_t threads[2];
    uint64_t samples = 0;
    unsigned rounds = scaled(100);
    struct aw_profile_options options = options_of(AW_PROFILE_WALL, 5000);
    ck_assert_int_eq(aw_profile_start(&options), 0);
    start_worker(&worker);
    ck_assert_int_eq(pthread_create(&threads[0], NULL, take_snapshots, &samples), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, push_labels, NULL), 0);
    for (unsigned i = 0; i < rounds; ++i)
        expect_exit(in_child(0, profile_and_label, NULL), 0);
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    stop_worker(&worker);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

static void *fork_in_thread(void *arg)
{
    pid_t *pid = arg;
    aw_profile_thread_register("forks");
    *pid = fork();
    if (*pid == 0) {
        int status = look_around(NULL);
        if (status == 0) /* it is the only thread now, and still registered */
            status = aw_profile_thread_unregister() == 0 ? 0 : 1;
        _exit(status);
    }
    return NULL;
}

START_TEST(a_thread_forks)
{
    pthread_t thread;
    pid_t pid = 0;
    start_profile(AW_PROFILE_CPU, 1000);
    ck_assert_int_eq(pthread_create(&thread, NULL, fork_in_thread, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_ge(pid, 0);
    expect_exit(pid, 0);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* --- Other programs ------------------------------------------------------------------------------------- */

/* Burns in the shell; what SIGPROF is there, the kernel says. */
#define SCRIPT "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7"

static int exec_shell(void *arg)
{
    (void)arg;
    execl("/bin/sh", "sh", "-c", SCRIPT, (char *)NULL);
    return 99;
}

START_TEST(a_forked_child_executes)
{
    enum aw_profile_clock clock = (enum aw_profile_clock)_i;
    start_profile(clock, 10000);
    burn_until_samples(3);
    for (unsigned i = 0; i < 4; ++i)
        expect_exit(in_child(0, exec_shell, NULL), 7);
    burn_until_samples(profile_stats().samples + 3);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

START_TEST(programs_are_spawned)
{
    char shell[] = "sh", option[] = "-c", script[] = SCRIPT;
    char *const arguments[] = { shell, option, script, NULL };
    start_profile((enum aw_profile_clock)_i, 10000);
    burn_until_samples(3);
    for (unsigned i = 0; i < 4; ++i) {
        pid_t pid;
        ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ), 0);
        expect_exit(pid, 7);
        int status = system(SCRIPT);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%#x", (unsigned)status);
        FILE *pipe = popen(SCRIPT, "r");
        ck_assert_ptr_nonnull(pipe);
        status = pclose(pipe);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%#x", (unsigned)status);
    }
    burn_until_samples(profile_stats().samples + 3);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

START_TEST(vfork_and_exec)
{
    static const char script[] = SCRIPT;
    start_profile((enum aw_profile_clock)_i, 10000);
    burn_until_samples(3);
    for (unsigned i = 0; i < 4; ++i) {
        pid_t pid = vfork(); /* NOLINT: it is what is tested */
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", script, (char *)NULL);
            _exit(99);
        }
        ck_assert_int_gt(pid, 0);
        expect_exit(pid, 7);
    }
    burn_until_samples(profile_stats().samples + 3);
    ck_assert_int_eq(aw_profile_stop(), 0);
}
END_TEST

/* Stopped first, as the header says, a program may become another. */
static int stop_and_execute(void *arg)
{
    struct aw_profile_options options = options_of(AW_PROFILE_CPU, 10000);
    REQUIRE(aw_profile_start(&options) == 0);
    burn_ms(30);
    REQUIRE(aw_profile_stop() == 0);
    return exec_shell(arg);
}

START_TEST(stop_and_become_another)
{
    for (unsigned i = 0; i < 4; ++i)
        expect_exit(in_child(0, stop_and_execute, NULL), 7);
}
END_TEST

/* Descriptors: a profile keeps none open, for a child to inherit. */
START_TEST(no_descriptor_is_kept)
{
    unsigned before = open_descriptors();
    start_profile(AW_PROFILE_WALL, 1000);
    burn_until_samples(3);
    ck_assert_uint_eq(open_descriptors(), before);
    aw_profile_free(take());
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(aw_profile_write(NULL, null, AW_PROFILE_SVG), 0);
    close(null);
    ck_assert_uint_eq(open_descriptors(), before);
    ck_assert_int_eq(aw_profile_stop(), 0);
    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile fork");
    TCase *child = signal_case(suite, "the child");
    tcase_add_loop_test(child, a_child_has_no_profile, 0, 3 * STAGES);
    tcase_add_loop_test(child, a_child_may_have_its_own, 0, STAGES);
    tcase_add_test(child, a_grandchild_may_have_its_own);
    TCase *parent = signal_case(suite, "the parent");
    tcase_add_loop_test(parent, the_parent_goes_on, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(parent, forks_while_others_are_sampled);
    tcase_add_test(parent, forked_children_find_nothing_locked);
    tcase_add_test(parent, a_thread_forks);
    TCase *programs = signal_case(suite, "other programs");
    tcase_add_loop_test(programs, a_forked_child_executes, 0, AW_PROFILE_WALL + 1);
    tcase_add_loop_test(programs, programs_are_spawned, 0, AW_PROFILE_WALL + 1);
    tcase_add_loop_test(programs, vfork_and_exec, 0, AW_PROFILE_WALL + 1);
    tcase_add_test(programs, stop_and_become_another);
    tcase_add_test(programs, no_descriptor_is_kept);
    return run_suite(suite);
}
