/* SPDX-License-Identifier: MIT */
/*
 * signal_fixture.h: what every test with real signals begins with. Check runs a test in a forked child and
 * leaves its own SIGALRM handler there, which kills the process group: the fixture gives SIGALRM back its
 * default. Also the four ways to run the engine, a clock of the tests' own, and child processes. For test
 * programs only.
 */
#ifndef AWI_SIGNAL_FIXTURE_H
#define AWI_SIGNAL_FIXTURE_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <alarmwheel/alarmwheel.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* A test case whose tests run inside the fixture. */
TCase *signal_case(Suite *suite, const char *name);

/* Both alarm sources times both ways to interrupt. Loop tests run over them: `_i` is the variant. */
#define VARIANTS 4
void start_variant(int variant);
bool variant_is_posix(int variant);
int variant_signo(int variant);

/* The two alarm sources alone are variants 0 and 1. */
#define SOURCES 2

struct aw_stats stats_now(void);

uint64_t clock_ns(void);

/* Lets the time pass, whatever signals come; in poll(2), so ThreadSanitizer runs handlers. */
void pass_ms(uint64_t ms);
void spin_until(uint64_t at_ns);

/* Lets time pass until the handler has seen so many guards of this engine expire; that tells nobody. */
void pass_until_expired(uint64_t guards);

/* Once more where all of the guard's time is lost in between. */
void enter_and_leave_in_time(struct aw_guard *guard, uint64_t timeout_ns);

/* `count`, or a part of it where the tool that the test runs under makes everything many times slower. */
unsigned scaled(unsigned count);
bool under_valgrind(void);

/* A child of the test's own that sleeps delay_ms and then runs fn(arg) and exits with its result. */
pid_t in_child(uint64_t delay_ms, int (*fn)(void *arg), void *arg);

/* The status of waitpid, however often it is interrupted. */
int child_status(pid_t pid);
void expect_exit(pid_t pid, int code);
void expect_killed(pid_t pid, int signo);

/* Descriptors that this process has open. */
unsigned open_descriptors(void);

/* Installs a handler with these flags and an empty mask. */
void handle_signal(int signo, void (*handler)(int signo), int flags);

void block_signal(int signo);
void unblock_signal(int signo);
bool is_blocked(int signo);

#endif
