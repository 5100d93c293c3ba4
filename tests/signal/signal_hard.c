/* SPDX-License-Identifier: MIT */
/*
 * signal_hard.c: hard limits, in children that end by them: with a message, silently where stderr would
 * block, by the user's function, by SIGKILL where no signal gets through; and children that leave in time,
 * by whatever way, and live.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

/*
 * On a machine that stands still for a grace period the timer that kills overtakes the handler, or a guard
 * outlives its limit: then the same once more, at a slower pace.
 */
#define SLOWEST 16u
static unsigned pace = 1;
#define TIMEOUT (pace * AW_MS(20))
#define GRACE (pace * AW_MS(60))

/* What a child tells its parent. */
struct told {
    volatile uint64_t entered_ns; /* before the guard was entered */
    volatile uint64_t struck_ns;
    volatile uint32_t strikes;
    volatile int line;
};

static struct told *told;

/* A child that runs the body under an engine of its own, with its stderr at `err`. Exits with 0 after it. */
static pid_t run_child(int variant, int err, void (*body)(void))
{
    fflush(NULL);
    memset(told, 0, sizeof *told);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (err >= 0)
            dup2(err, STDERR_FILENO);
        start_variant(variant);
        told->entered_ns = clock_ns();
        body();
        while (aw_shutdown() > 0)
            continue;
        _exit(0);
    }
    return pid;
}

#define EXITED(status) ((status) << 8)
#define KILLED SIGKILL

static void expect_end(int variant, int err, void (*body)(void), int expected, unsigned strikes)
{
    for (pace = 1;; pace *= 4) {
        int status = child_status(run_child(variant, err, body));
        if (status == expected && told->strikes == strikes)
            return;
        ck_assert_msg(pace < SLOWEST, "status %#x, expected %#x; %u strikes, expected %u", (unsigned)status,
                      (unsigned)expected, told->strikes, strikes);
    }
}

/* What the child wrote, up to its end. */
static void read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;
    while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
}

static bool names_the_line(const char *text)
{
    char expected[32];
    snprintf(expected, sizeof expected, ".c:%d: ", told->line);
    return strstr(text, expected) != NULL;
}

/*
 * The end by a hard limit, and the message: of the guard in told->line, if there is one. Where the machine
 * stands still between two of them, the other one's limit may be over first.
 */
static void expect_message(int variant, void (*body)(void), char *text, size_t size)
{
    bool is_named;
    int ends[2], status;
    pace = 1;
    do {
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        pid_t pid = run_child(variant, ends[1], body);
        close(ends[1]);
        read_all(ends[0], text, size);
        close(ends[0]);
        status = child_status(pid);
        is_named = told->line == 0 || names_the_line(text);
    } while ((status == KILLED || !is_named) && (pace *= 4) <= SLOWEST);
    ck_assert_int_eq(status, EXITED(AW_HARD_LIMIT_STATUS));
    ck_assert_msg(is_named, "line %d is not in: %s", told->line, text);
}

static void begin_told(void)
{
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(told, MAP_FAILED);
}

static void end_told(void)
{
    munmap(told, sizeof *told);
}

static unsigned posix_timers(void)
{
    char line[256];
    unsigned n = 0;
    FILE *file = fopen("/proc/self/timers", "r");
    if (file == NULL)
        return 1000;
    while (fgets(line, sizeof line, file) != NULL)
        n += strncmp(line, "ID:", 3) == 0;
    fclose(file);
    return n;
}

/* In a child: not by Check, which would write and exit. */
#define MUST(condition)           \
    do {                          \
        if (!(condition))         \
            _exit(__LINE__ % 97); \
    } while (0)

static void hang(void)
{
    for (;;)
        poll(NULL, 0, -1);
}

static void spin(uint64_t ns)
{
    spin_until(clock_ns() + ns);
}

/* ---- the end of the process ---- */

static void hang_in_a_guard(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, TIMEOUT, AW_GUARD_DEFAULT) {
        told->line = __LINE__ - 1;
        MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
        hang();
    }
}

START_TEST(message_and_status)
{
    char text[1024], expected[256], *end;
    expect_message(_i, hang_in_a_guard, text, sizeof text);
    ck_assert_uint_ge(clock_ns(), told->entered_ns + TIMEOUT + GRACE);
    snprintf(expected, sizeof expected, "alarmwheel: %s:%d: hard limit: still in this guard ", __FILE__,
             told->line);
    ck_assert_int_eq(strncmp(text, expected, strlen(expected)), 0);
    unsigned long ms = strtoul(text + strlen(expected), &end, 10);
    ck_assert_uint_ge(ms, GRACE / AW_MS(1));
    ck_assert_str_eq(end, " ms after its deadline\n");
}
END_TEST

/* Entered by the function: there is no file to name. And the process computes. */
static void spin_in_a_guard(void)
{
    struct aw_guard guard;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
    spin(AW_SEC(100));
}

START_TEST(message_without_a_place)
{
    char text[1024];
    expect_message(_i, spin_in_a_guard, text, sizeof text);
    ck_assert_int_eq(strncmp(text, "alarmwheel: hard limit: still in this guard ", 44), 0);
}
END_TEST

static void fill(int fd)
{
    static const char page[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, page, sizeof page) > 0)
        continue;
    while (write(fd, page, 1) > 0)
        continue;
    fcntl(fd, F_SETFL, 0);
}

/* It ends by itself, long before the timer that kills. */
static void expect_silent_end(int variant, int err)
{
    expect_end(variant, err, hang_in_a_guard, EXITED(AW_HARD_LIMIT_STATUS), 0);
}

START_TEST(full_pipe)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    fill(ends[1]);
    expect_silent_end(_i, ends[1]);
    close(ends[0]);
    expect_silent_end(_i, ends[1]); /* nobody reads: no SIGPIPE either */
    close(ends[1]);
}
END_TEST

START_TEST(full_socket)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fill(ends[1]);
    expect_silent_end(_i, ends[1]);
    close(ends[0]);
    expect_silent_end(_i, ends[1]);
    close(ends[1]);
}
END_TEST

static void hang_without_stderr(void)
{
    close(STDERR_FILENO);
    hang_in_a_guard();
}

START_TEST(no_stderr)
{
    expect_end(_i, -1, hang_without_stderr, EXITED(AW_HARD_LIMIT_STATUS), 0);
}
END_TEST

/* A terminal that is stopped (Ctrl-S) takes nothing. */
START_TEST(stopped_terminal)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return; /* no pseudo-terminals here */
    ck_assert_int_eq(grantpt(terminal), 0);
    ck_assert_int_eq(unlockpt(terminal), 0);
    int user = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(user, 0);
    ck_assert_int_eq(write(terminal, "\x13", 1), 1);
    expect_silent_end(_i, user);
    close(user);
    close(terminal);
}
END_TEST

/* ---- no signal gets through ---- */

static void hang_with_all_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    hang_in_a_guard();
}

START_TEST(killed_at_twice_the_grace)
{
    expect_end(_i, -1, hang_with_all_blocked, KILLED, 0);
    ck_assert_uint_ge(clock_ns(), told->entered_ns + TIMEOUT + 2 * GRACE);
}
END_TEST

/* ---- the user's function ---- */

static struct aw_guard *expected_guard;

static void note_strike(const struct aw_guard *guard, void *arg)
{
    errno = 4712;
    if (guard == expected_guard && arg == told) {
        told->struck_ns = clock_ns();
        ++told->strikes;
    }
}

/* It is told, once, and has as long again to get out. */
static void get_out_after_the_strike(void)
{
    struct aw_guard guard;
    expected_guard = &guard;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, GRACE, note_strike, told) == 0);
    errno = 4711;
    while (told->strikes == 0)
        continue;
    MUST(errno == 4711);
    spin(GRACE / 4);
    MUST(aw_guard_leave(&guard) == -ETIMEDOUT);
    spin(2 * GRACE);
    MUST(told->strikes == 1);
    MUST(aw_safepoint() == 0);
}

START_TEST(function_instead)
{
    expect_end(_i, -1, get_out_after_the_strike, EXITED(0), 1);
    ck_assert_uint_ge(told->struck_ns, told->entered_ns + TIMEOUT + GRACE);
}
END_TEST

static void hang_after_the_strike(void)
{
    struct aw_guard guard;
    expected_guard = &guard;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, GRACE, note_strike, told) == 0);
    hang();
}

START_TEST(function_does_not_help)
{
    expect_end(_i, -1, hang_after_the_strike, KILLED, 1);
    ck_assert_uint_ge(told->struck_ns, told->entered_ns + TIMEOUT + GRACE);
    ck_assert_uint_ge(clock_ns(), told->entered_ns + TIMEOUT + 2 * GRACE);
}
END_TEST

/* ---- left in time ---- */

static void leave_in_time(void)
{
    struct aw_guard guard;
    unsigned before = posix_timers();
    for (unsigned i = 0; i < 3; ++i) {
        MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
        MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
        MUST(posix_timers() == before + 1);
        if (i == 1)
            spin(TIMEOUT + TIMEOUT / 2); /* it expires, but that is all */
        MUST(aw_guard_leave(&guard) == (i == 1 ? -ETIMEDOUT : 0));
        MUST(posix_timers() == before);
    }
    spin(TIMEOUT + 3 * GRACE);
}

START_TEST(in_time)
{
    expect_end(_i, -1, leave_in_time, EXITED(0), 0);
}
END_TEST

static jmp_buf out;

/* Deep enough that it is below the stack pointer of what comes after it. */
__attribute__((noinline)) static void enter_and_jump(void)
{
    struct aw_guard guard;
    volatile char deep[4096];
    deep[0] = 0;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
    longjmp(out, deep[0] + 1);
}

/* The program jumps out of the guard, and never calls the library again. */
static void leave_by_longjmp(void)
{
    if (setjmp(out) == 0)
        enter_and_jump();
    spin(TIMEOUT + 3 * GRACE);
}

START_TEST(h13_left_by_longjmp)
{
    expect_end(_i, -1, leave_by_longjmp, EXITED(0), 0);
}
END_TEST

/* Valgrind cannot put a signal's frame where the stack has not been yet. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile unsigned char deep[1 << 16];
    for (size_t i = sizeof deep; i-- != 0;)
        deep[i] = 0;
}

/* The same, and by then other frames lie where the guard was. */
__attribute__((noinline)) static void overwrite_and_spin(void)
{
    volatile unsigned char over[3 * sizeof(struct aw_guard) + 8192];
    for (size_t i = 0; i < sizeof over; ++i)
        over[i] = 0x55;
    spin(TIMEOUT + 3 * GRACE);
    MUST(over[0] == 0x55);
}

static void overwrite_what_was_left(void)
{
    grow_stack();
    if (setjmp(out) == 0)
        enter_and_jump();
    overwrite_and_spin();
}

START_TEST(h13_overwritten)
{
    expect_end(_i, -1, overwrite_what_was_left, EXITED(0), 0);
}
END_TEST

/* One that was jumped out of does not take the limits of those around it along. */
static void jump_into_a_limited_guard(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, TIMEOUT, AW_GUARD_DEFAULT) {
        told->line = __LINE__ - 1;
        MUST(aw_guard_hard_limit(&guard, 3 * GRACE, NULL, NULL) == 0);
        if (setjmp(out) == 0)
            enter_and_jump();
        spin(AW_SEC(100));
    }
}

START_TEST(h13_the_outer_one_counts)
{
    char text[1024];
    expect_message(_i, jump_into_a_limited_guard, text, sizeof text);
    ck_assert_uint_ge(clock_ns(), told->entered_ns + TIMEOUT + 3 * GRACE);
}
END_TEST

static void rewind_and_reenter(void)
{
    struct aw_guard guards[3];
    unsigned before = posix_timers();
    int mark = aw_guard_mark();
    for (unsigned i = 0; i < 3; ++i) {
        MUST(aw_guard_enter(&guards[i], TIMEOUT, AW_GUARD_DEFAULT) == 0);
        MUST(aw_guard_hard_limit(&guards[i], GRACE, NULL, NULL) == 0);
        MUST(aw_guard_hard_limit(&guards[i], GRACE, NULL, NULL) == 0); /* instead of the one before */
    }
    MUST(posix_timers() == before + 1);
    MUST(aw_guard_leave(&guards[2]) == 0);
    MUST(posix_timers() == before + 1);
    MUST(aw_guard_rewind(mark) == 2);
    MUST(posix_timers() == before);
    /* The same places on the array, without limits. */
    for (unsigned i = 0; i < 3; ++i)
        MUST(aw_guard_enter(&guards[i], TIMEOUT, AW_GUARD_DEFAULT) == 0);
    spin(TIMEOUT + 3 * GRACE);
    for (unsigned i = 3; i-- != 0;)
        MUST(aw_guard_leave(&guards[i]) == -ETIMEDOUT);
}

START_TEST(rewound)
{
    expect_end(_i, -1, rewind_and_reenter, EXITED(0), 0);
}
END_TEST

/* Neither timer nor limit is inherited; the parent's goes on. */
static void fork_inside(void)
{
    struct aw_guard guard;
    int status;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MUST(posix_timers() == 0);
        spin(TIMEOUT + 3 * GRACE);
        MUST(aw_guard_leave(&guard) == 0);
        MUST(aw_init(NULL) == 0);
        leave_in_time();
        _exit(0);
    }
    MUST(aw_guard_leave(&guard) == 0);
    while (waitpid(pid, &status, 0) != pid)
        continue;
    MUST(status == 0);
}

START_TEST(h18_fork)
{
    expect_end(_i, -1, fork_inside, EXITED(0), 0);
}
END_TEST

/* ---- beside other guards, shields, callbacks ---- */

/* The inner one's comes first, and names the inner one. */
static void nested_limits(void)
{
    struct aw_guard outer, inner;
    AW_GUARD(&outer, TIMEOUT, AW_GUARD_DEFAULT) {
        MUST(aw_guard_hard_limit(&outer, 3 * GRACE, NULL, NULL) == 0);
        AW_GUARD(&inner, 2 * TIMEOUT, AW_GUARD_DEFAULT) {
            told->line = __LINE__ - 1;
            MUST(aw_guard_hard_limit(&inner, GRACE, NULL, NULL) == 0);
            hang();
        }
    }
}

/* The inner one is left in time; the outer one's limit stands. */
static void inner_left(void)
{
    struct aw_guard outer, inner;
    AW_GUARD(&outer, TIMEOUT, AW_GUARD_DEFAULT) {
        told->line = __LINE__ - 1;
        MUST(aw_guard_hard_limit(&outer, GRACE, NULL, NULL) == 0);
        AW_GUARD(&inner, 1, AW_GUARD_DEFAULT) {
            MUST(aw_guard_hard_limit(&inner, GRACE / 2, NULL, NULL) == 0);
        }
        hang();
    }
}

static void under_a_shield(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, TIMEOUT, AW_GUARD_ESCAPE) {
        told->line = __LINE__ - 1;
        MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
        aw_shield();
        hang();
    }
}

static int hang_in_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    hang();
    return 0;
}

static void around_a_callback(void)
{
    struct aw_timer timer;
    struct aw_guard guard;
    MUST(aw_timer_create(&timer, hang_in_callback, NULL) == 0);
    MUST(aw_timer_arm(timer, 0) == 0);
    AW_GUARD(&guard, TIMEOUT, AW_GUARD_DEFAULT) {
        told->line = __LINE__ - 1;
        MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
        for (;;)
            aw_wait(AW_SEC(1));
    }
}

static const struct {
    void (*body)(void);
    unsigned timeouts; /* before the grace */
} named[] = { { nested_limits, 2 }, { inner_left, 1 }, { under_a_shield, 1 }, { around_a_callback, 1 } };
#define NAMED ((int)(sizeof named / sizeof named[0]))

START_TEST(names_the_guard)
{
    char text[1024];
    expect_message(_i % VARIANTS, named[_i / VARIANTS].body, text, sizeof text);
    ck_assert_uint_ge(clock_ns(), told->entered_ns + named[_i / VARIANTS].timeouts * TIMEOUT + GRACE);
}
END_TEST

/* An escape leaves the guard, and its limit with it. */
static void escape_before_it(void)
{
    struct aw_guard guard;
    unsigned before = posix_timers();
    volatile unsigned escapes = 0;
    for (volatile unsigned i = 0; i < 5; ++i) {
        AW_GUARD(&guard, AW_MS(5), AW_GUARD_ESCAPE) {
            MUST(aw_guard_hard_limit(&guard, GRACE, NULL, NULL) == 0);
            for (;;)
                continue;
        }
        AW_EXPIRED
        {
            ++escapes;
        }
        MUST(posix_timers() == before);
    }
    MUST(escapes == 5);
    spin(TIMEOUT + 3 * GRACE);
}

START_TEST(escaped_from)
{
    expect_end(_i, -1, escape_before_it, EXITED(0), 0);
}
END_TEST

/* Set long after the deadline: it strikes at once, and there is still time before the timer kills. */
static void set_late(void)
{
    struct aw_guard guard;
    expected_guard = &guard;
    MUST(aw_guard_enter(&guard, TIMEOUT, AW_GUARD_DEFAULT) == 0);
    spin(TIMEOUT + 3 * GRACE);
    MUST(aw_guard_hard_limit(&guard, GRACE, note_strike, told) == 0);
    while (told->strikes == 0)
        continue;
    MUST(aw_guard_leave(&guard) == -ETIMEDOUT);
}

START_TEST(set_after_the_deadline)
{
    expect_end(_i, -1, set_late, EXITED(0), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hard");
    TCase *ends = signal_case(suite, "ends");
    TCase *lives = signal_case(suite, "lives");
    TCase *nested = signal_case(suite, "nested");

    tcase_add_checked_fixture(ends, begin_told, end_told);
    tcase_add_checked_fixture(lives, begin_told, end_told);
    tcase_add_checked_fixture(nested, begin_told, end_told);
    tcase_add_loop_test(ends, message_and_status, 0, VARIANTS);
    tcase_add_loop_test(ends, message_without_a_place, 0, VARIANTS);
    tcase_add_loop_test(ends, full_pipe, 0, VARIANTS);
    tcase_add_loop_test(ends, full_socket, 0, VARIANTS);
    tcase_add_loop_test(ends, stopped_terminal, 0, VARIANTS);
    tcase_add_loop_test(ends, no_stderr, 0, VARIANTS);
    tcase_add_loop_test(ends, killed_at_twice_the_grace, 0, VARIANTS);
    tcase_add_loop_test(ends, function_instead, 0, VARIANTS);
    tcase_add_loop_test(ends, function_does_not_help, 0, VARIANTS);
    tcase_add_loop_test(lives, in_time, 0, VARIANTS);
    tcase_add_loop_test(lives, h13_left_by_longjmp, 0, VARIANTS);
    tcase_add_loop_test(lives, h13_overwritten, 0, VARIANTS);
    tcase_add_loop_test(lives, h13_the_outer_one_counts, 0, VARIANTS);
    tcase_add_loop_test(lives, rewound, 0, VARIANTS);
    tcase_add_loop_test(lives, h18_fork, 0, VARIANTS);
    tcase_add_loop_test(lives, escaped_from, 0, VARIANTS);
    tcase_add_loop_test(nested, names_the_guard, 0, NAMED * VARIANTS);
    tcase_add_loop_test(nested, set_after_the_deadline, 0, VARIANTS);
    return run_suite(suite);
}
