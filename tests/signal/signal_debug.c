/* SPDX-License-Identifier: MIT */
/*
 * signal_debug.c: the reports of the debug mode, from a library that was compiled for it. Each is provoked in
 * a child with its stderr in a pipe, and compared with what the lines of this file say; each comes once; and
 * where nothing is wrong there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include "../escape/spin.h"
#include "busy.h"
#include "check_main.h"
#include "guard/object.h"

#define TIMEOUT AW_MS(50)
#define LONG AW_SEC(1) /* an escape that is put off for longer is reported */

/* What a child tells its parent, and that when the first report has come. */
struct told {
    volatile int line[2];
    volatile uint64_t entered_ns;
    volatile uint64_t reported_ns;
    volatile uint64_t spent_ns;
};

static struct told *told;

/* What a child wrote to its stderr. */
static char text[16384];

static void begin_told(void)
{
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(told, MAP_FAILED);
}

static void end_told(void)
{
    munmap(told, sizeof *told);
}

/* In a child: not by Check, which would write and exit. */
#define MUST(condition)               \
    do {                              \
        if (!(condition))             \
            _exit(__LINE__ % 97 + 1); \
    } while (0)

/* A child that runs the body under an engine of its own, with its stderr at `err`. Exits with 0 after it. */
static pid_t run_child(int variant, int err, void (*body)(void))
{
    fflush(NULL);
    memset(told, 0, sizeof *told);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(err, STDERR_FILENO);
        start_variant(variant);
        body();
        MUST(aw_shutdown() == 0);
        _exit(0);
    }
    return pid;
}

static void run(int variant, void (*body)(void))
{
    int ends[2];
    size_t length = 0;
    ssize_t n;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = run_child(variant, ends[1], body);
    close(ends[1]);
    while ((n = read(ends[0], text + length, sizeof text - 1 - length)) > 0) {
        if (length == 0)
            told->reported_ns = clock_ns();
        length += (size_t)n;
    }
    text[length] = '\0';
    close(ends[0]);
    expect_exit(pid, 0);
}

/* ---- parts of a report ---- */

static void skip(const char **at, const char *part)
{
    size_t length = strlen(part);
    ck_assert_msg(strncmp(*at, part, length) == 0, "\"%s\" where \"%s\" was expected in:\n%s", *at, part,
                  text);
    *at += length;
}

static void skip_place(const char **at, int line)
{
    char place[1024];
    snprintf(place, sizeof place, "%s:%d", __FILE__, line);
    skip(at, place);
}

static int note_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uintptr_t *)arg = (uintptr_t)info->dlpi_addr;
    return 1; /* the program comes first */
}

/* NAME+0xOFFSET, or 0xADDRESS where objects cannot be found. `address`: NULL: it is not in the program. */
static void skip_address(const char **at, uintptr_t *address)
{
    char program[1024];
    uintptr_t base = 0;
    const char *offset = strstr(*at, "0x");
    ck_assert_ptr_nonnull(offset);
#if AWI_UNWINDS_IN_HANDLERS
    ssize_t length = readlink("/proc/self/exe", program, sizeof program);
    ck_assert_int_gt(length, 0);
    bool is_program = offset == *at + length + 1 && strncmp(*at, program, (size_t)length) == 0;
    ck_assert_msg(is_program == (address != NULL) && offset > *at && offset[-1] == '+', "%s", text);
    dl_iterate_phdr(note_base, &base);
#else
    (void)program;
    ck_assert_msg(offset == *at, "%s", text);
#endif
    char *end;
    uintptr_t value = strtoul(offset, &end, 16);
    if (address != NULL)
        *address = base + value;
    *at = end;
}

/* Code that a report names lies in a section of its own: in one of these functions. */
#define PLACED(name) __attribute__((noinline, section(name)))
extern const char __start_aw_place[], __stop_aw_place[];
extern const char __start_aw_spin[], __stop_aw_spin[];

static void skip_code(const char **at, const char *start, const char *stop)
{
    uintptr_t address;
    skip_address(at, &address);
    ck_assert_msg(address >= (uintptr_t)start && address < (uintptr_t)stop, "%s", text);
}

#define SKIP_CODE(at, section) skip_code((at), __start_##section, __stop_##section)

/* ---- left out of order ---- */

static void leave_the_outer_first(void)
{
    for (int i = 0; i < 3; ++i) {
        struct aw_guard outer, inner;
        told->line[0] = __LINE__ + 1;
        AW_GUARD(&outer, AW_SEC(100), AW_GUARD_DEFAULT) {
            told->line[1] = __LINE__ + 1;
            AW_GUARD(&inner, AW_SEC(100), AW_GUARD_DEFAULT) {
                errno = 4711;
                MUST(aw_guard_leave(&outer) == 0);
                MUST(errno == 4711);
                MUST(aw_guard_mark() == 0);
            }
        }
    }
}

START_TEST(h13_left_out_of_order)
{
    const char *at = text;
    run(_i, leave_the_outer_first);
    skip(&at, "alarmwheel: guard at ");
    skip_place(&at, told->line[0]);
    skip(&at, ": left out of order: the guard at ");
    skip_place(&at, told->line[1]);
    skip(&at, " inside it was still entered\n");
    ck_assert_str_eq(at, "");
}
END_TEST

PLACED("aw_place") static void leave_out_of_order_by_calls(void)
{
    struct aw_guard guards[3];
    for (unsigned i = 0; i < 3; ++i)
        MUST(aw_guard_enter(&guards[i], AW_SEC(100), AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_leave(&guards[2]) == 0); /* in order */
    MUST(aw_guard_leave(&guards[0]) == 0);
    MUST(aw_guard_leave(&guards[1]) == 0);
    MUST(aw_guard_leave(&guards[1]) == -ENOENT);
}

/* They have no line, but an address. */
START_TEST(h13_left_out_of_order_without_lines)
{
    const char *at = text;
    run(_i, leave_out_of_order_by_calls);
    skip(&at, "alarmwheel: guard at ");
    SKIP_CODE(&at, aw_place);
    skip(&at, ": left out of order: the guard at ");
    SKIP_CODE(&at, aw_place);
    skip(&at, " inside it was still entered\n");
    ck_assert_str_eq(at, "");
}
END_TEST

/* ---- a frame that is gone ---- */

static jmp_buf out;

__attribute__((noinline)) static void leave_by_longjmp(void)
{
    struct aw_guard outer, inner;
    told->line[0] = __LINE__ + 1;
    AW_GUARD(&outer, AW_SEC(100), AW_GUARD_DEFAULT) {
        told->line[1] = __LINE__ + 1;
        AW_GUARD(&inner, AW_SEC(100), AW_GUARD_DEFAULT) {
            longjmp(out, 1);
        }
    }
}

static void expect_gone(const char **at, int line)
{
    skip(at, "alarmwheel: guard at ");
    skip_place(at, line);
    skip(at, ": its frame was left by longjmp or return, not by aw_guard_leave; dropped\n");
}

static void find_frames_gone(void)
{
    for (volatile int i = 0; i < 3; ++i) {
        if (setjmp(out) == 0)
            leave_by_longjmp();
        errno = 4711;
        MUST(aw_guard_mark() == 0);
        MUST(errno == 4711);
    }
}

START_TEST(h13_dead_frames)
{
    const char *at = text;
    run(_i, find_frames_gone);
    expect_gone(&at, told->line[1]);
    expect_gone(&at, told->line[0]);
    ck_assert_str_eq(at, "");
}
END_TEST

/* That they were not left in order is not their fault. */
static void leave_over_dead_frames(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(100), AW_GUARD_DEFAULT) {
        if (setjmp(out) == 0)
            leave_by_longjmp();
    }
}

START_TEST(h13_dead_frames_inside_the_one_that_is_left)
{
    const char *at = text;
    run(_i, leave_over_dead_frames);
    expect_gone(&at, told->line[1]);
    expect_gone(&at, told->line[0]);
    ck_assert_str_eq(at, "");
}
END_TEST

__attribute__((noinline)) static void enter_at_the_same_address(bool jumps)
{
    struct aw_guard guard;
    told->line[0] = __LINE__ + 1;
    AW_GUARD(&guard, AW_SEC(100), AW_GUARD_DEFAULT) {
        if (jumps)
            longjmp(out, 1);
    }
}

static void enter_over_a_dead_frame(void)
{
    for (volatile int i = 0; i < 3; ++i) {
        if (setjmp(out) == 0)
            enter_at_the_same_address(i < 2);
    }
    MUST(aw_guard_mark() == 0);
}

START_TEST(h13_dead_frame_that_is_there_again)
{
    const char *at = text;
    run(_i, enter_over_a_dead_frame);
    expect_gone(&at, told->line[0]);
    ck_assert_str_eq(at, "");
}
END_TEST

PLACED("aw_place") static int enter_and_return(void)
{
    struct aw_guard guard;
    return aw_guard_enter(&guard, AW_SEC(100), AW_GUARD_DEFAULT) + 0;
}

static void forget_to_leave(void)
{
    MUST(enter_and_return() == 0);
    MUST(aw_guard_mark() == 0);
}

START_TEST(h13_dead_frame_without_a_line)
{
    const char *at = text;
    run(_i, forget_to_leave);
    skip(&at, "alarmwheel: guard at ");
    SKIP_CODE(&at, aw_place);
    skip(&at, ": its frame was left by longjmp or return, not by aw_guard_leave; dropped\n");
    ck_assert_str_eq(at, "");
}
END_TEST

/* ---- another thread ---- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

PLACED("aw_place") static void *enter_elsewhere(void *arg)
{
    struct aw_guard guard;
    for (int i = 0; i < 3; ++i) {
        told->line[0] = __LINE__ + 1;
        AW_GUARD(&guard, AW_SEC(100), AW_GUARD_DEFAULT) {
            MUST(false);
        }
        MUST(aw_guard_error(&guard) == -EPERM);
        told->line[1] = __LINE__ + 1;
        AW_GUARD(&guard, AW_SEC(100), AW_GUARD_ESCAPE) {
            MUST(false);
        }
        MUST(aw_guard_error(&guard) == -EPERM);
        MUST(aw_guard_enter(&guard, AW_SEC(100), AW_GUARD_DEFAULT) == -EPERM);
        MUST(aw_guard_call(&guard, AW_SEC(100), AW_GUARD_DEFAULT, do_nothing, NULL) == -EPERM);
        MUST(aw_guard_call(&guard, AW_SEC(100), AW_GUARD_ESCAPE, do_nothing, NULL) == -EPERM);
    }
    return arg;
}

static void enter_on_another_thread(void)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, enter_elsewhere, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}

START_TEST(h14_off_the_owner_thread)
{
    const char *at = text;
    run(_i, enter_on_another_thread);
    for (int i = 0; i < 5; ++i) {
        skip(&at, "alarmwheel: guard at ");
        if (i < 2)
            skip_place(&at, told->line[i]);
        else
            SKIP_CODE(&at, aw_place);
        skip(&at, ": entered off the owner thread\n");
    }
    ck_assert_str_eq(at, "");
}
END_TEST

/* ---- an escape that is put off ---- */

/* No volatile bool: where -fsanitize=bool checks what is loaded, gcc takes the load out of the loop. */
static atomic_bool is_over;

/* Nothing but this loop runs while the report is made. */
PLACED("aw_spin") static void spin_until_over(void)
{
    while (!is_over)
        continue;
}

/* Ends the loop a good while after the report, so that a second one would be seen. */
static void *watch_for_the_report(void *arg)
{
    uint64_t limit = clock_ns() + SPIN_LIMIT;
    while (clock_ns() < limit && told->reported_ns == 0)
        usleep(1000);
    usleep(300 * 1000);
    is_over = true;
    return arg;
}

static void put_off(void (*body)(void))
{
    sigset_t all, before;
    pthread_t thread;
    struct aw_guard guard;
    volatile bool landed = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    MUST(pthread_create(&thread, NULL, watch_for_the_report, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    told->entered_ns = clock_ns();
    told->line[0] = __LINE__ + 1;
    AW_GUARD(&guard, TIMEOUT, AW_GUARD_ESCAPE) {
        errno = 4711;
        body();
        MUST(errno == 4711);
        spin_to_the_escape();
    }
    AW_EXPIRED
    {
        landed = true;
    }
    MUST(landed && is_over);
    MUST(pthread_join(thread, NULL) == 0);
}

static void expect_put_off(const char **at)
{
    ck_assert_uint_ge(told->reported_ns, told->entered_ns + TIMEOUT + LONG);
    skip(at, "alarmwheel: guard at ");
    skip_place(at, told->line[0]);
    skip(at, ": its escape is put off for more than a second: ");
}

static void expect_where_it_was(const char **at)
{
    skip(at, "; the program is at ");
    SKIP_CODE(at, aw_spin);
    skip(at, "\n");
    ck_assert_str_eq(*at, "");
}

static void spin_under_a_shield(void)
{
    aw_shield();
    spin_until_over();
    (void)aw_unshield(); /* here it escapes */
}

static void be_shielded(void)
{
    put_off(spin_under_a_shield);
}

START_TEST(put_off_by_a_shield)
{
    const char *at = text;
    run(_i, be_shielded);
    expect_put_off(&at);
    skip(&at, "a shield is held");
    expect_where_it_was(&at);
}
END_TEST

static void spin_in_the_library(void)
{
    AWI_BUSY;
    spin_until_over();
}

static void be_busy(void)
{
    put_off(spin_in_the_library);
}

START_TEST(put_off_by_the_library)
{
    const char *at = text;
    run(_i, be_busy);
    expect_put_off(&at);
    skip(&at, "a function of alarmwheel is active");
    expect_where_it_was(&at);
}
END_TEST

static int spin_and_compare(const void *a, const void *b)
{
    spin_until_over();
    return *(const int *)a - *(const int *)b;
}

static void spin_in_a_comparator(void)
{
    int numbers[2] = { 2, 1 };
    qsort(numbers, 2, sizeof numbers[0], spin_and_compare);
}

static void be_called_by_libc(void)
{
    put_off(spin_in_a_comparator);
}

START_TEST(put_off_by_a_frame)
{
    const char *at = text;
    run(_i, be_called_by_libc);
    expect_put_off(&at);
    skip(&at, "the frame at ");
    skip_address(&at, NULL);
    skip(&at, " may not be left");
    expect_where_it_was(&at);
}
END_TEST

static int spin_at_an_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info, (void)size, (void)arg;
    spin_until_over();
    return 1;
}

static void spin_in_one_frame_of_libc(void)
{
    dl_iterate_phdr(spin_at_an_object, NULL);
}

static void be_called_by_one_frame(void)
{
    put_off(spin_in_one_frame_of_libc);
}

/* It is that one which is named, not the program's that has called it. */
START_TEST(put_off_by_one_frame)
{
    const char *at = text;
    run(_i, be_called_by_one_frame);
    expect_put_off(&at);
    skip(&at, "the frame at ");
    skip_address(&at, NULL);
    skip(&at, " may not be left");
    expect_where_it_was(&at);
}
END_TEST

static int spin_in_a_callback(struct aw_timer timer, void *arg)
{
    (void)timer, (void)arg;
    errno = 4711;
    spin_until_over();
    MUST(errno == 4711);
    return 0;
}

static struct aw_timer timer;

static void dispatch(void)
{
    MUST(aw_timer_arm(timer, AW_MS(1)) == 0);
    (void)aw_wait(AW_FOREVER); /* escapes when the callback has returned */
    MUST(false);
}

static void be_called_back(void)
{
    MUST(aw_timer_create(&timer, spin_in_a_callback, NULL) == 0);
    put_off(dispatch);
}

START_TEST(put_off_by_a_callback)
{
    const char *at = text;
    run(_i, be_called_back);
    expect_put_off(&at);
    skip(&at, "a callback runs that the guard is around");
    expect_where_it_was(&at);
}
END_TEST

static char other_stack[256 * 1024];
static ucontext_t main_context, other_context;

static void call_on_another_stack(void (*body)(void))
{
    MUST(getcontext(&other_context) == 0);
    other_context.uc_stack.ss_sp = other_stack;
    other_context.uc_stack.ss_size = sizeof other_stack;
    other_context.uc_link = &main_context;
    makecontext(&other_context, body, 0);
    MUST(swapcontext(&main_context, &other_context) == 0);
}

static void spin_on_another_stack(void)
{
    call_on_another_stack(spin_until_over);
    errno = 4711;
}

static void be_elsewhere(void)
{
    put_off(spin_on_another_stack);
}

static void return_at_once(void)
{
}

START_TEST(put_off_by_another_stack)
{
    const char *at = text;
    call_on_another_stack(return_at_once); /* AddressSanitizer warns of the first such call, on stderr */
    run(_i, be_elsewhere);
    expect_put_off(&at);
    skip(&at, "the guard's frame is not on the stack that runs");
    expect_where_it_was(&at);
}
END_TEST

/* ---- silence ---- */

static int inner_leaves_first(void *arg)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(100), AW_GUARD_DEFAULT) {
        return arg != NULL;
    }
    return -1;
}

#define PUT_OFF_MS 300
#define OVERDUE_MS 1200

static void do_as_one_should(void)
{
    struct aw_guard outer, inner;
    volatile int landings = 0;
    told->entered_ns = clock_ns();
    AW_GUARD(&outer, AW_SEC(100), AW_GUARD_DEFAULT) {
        AW_GUARD(&inner, AW_SEC(100), AW_GUARD_COARSE) {
            MUST(inner_leaves_first(&outer) == 1);
        }
    }
    MUST(aw_guard_enter(&outer, AW_SEC(100), AW_GUARD_DEFAULT) == 0);
    MUST(aw_guard_enter(&outer, AW_SEC(100), AW_GUARD_DEFAULT) == 0); /* anew */
    MUST(aw_guard_call(&inner, AW_SEC(100), AW_GUARD_DEFAULT, inner_leaves_first, NULL) == 0);
    MUST(aw_guard_call(&inner, AW_SEC(100), AW_GUARD_ESCAPE, inner_leaves_first, NULL) == 0);
    MUST(aw_guard_leave(&outer) == 0);
    MUST(aw_guard_enter(&outer, AW_SEC(100), AW_GUARD_NOMASK) == -EINVAL);

    /* Left by longjmp, and rewound. */
    for (volatile int i = 0; i < 3; ++i) {
        int mark = aw_guard_mark();
        if (setjmp(out) == 0)
            leave_by_longjmp();
        MUST(aw_guard_rewind(mark) == 2);
    }

    /* Expired; left by an escape, with others inside it, one of which stands in this very frame. */
    AW_GUARD(&outer, AW_MS(1), AW_GUARD_DEFAULT) {
        spin_ms(3);
    }
    for (volatile int i = 0; i < 3; ++i) {
        AW_GUARD(&outer, AW_MS(5), AW_GUARD_ESCAPE) {
            AW_GUARD(&inner, AW_SEC(100), AW_GUARD_DEFAULT) {
                MUST(inner_leaves_first(NULL) == 0);
                spin_to_the_escape();
            }
        }
        AW_EXPIRED
        {
            ++landings;
        }
    }
    /* Put off, but not for long. */
    AW_GUARD(&outer, AW_MS(5), AW_GUARD_ESCAPE) {
        aw_shield();
        spin_ms(PUT_OFF_MS);
        (void)aw_unshield();
        MUST(false);
    }
    AW_EXPIRED
    {
        ++landings;
    }
    /* Long overdue, but only now there is somewhere to escape to: and in libc, mostly. */
    AW_GUARD(&outer, AW_MS(5), AW_GUARD_DEFAULT) {
        spin_ms(OVERDUE_MS);
        AW_GUARD(&inner, AW_SEC(100), AW_GUARD_ESCAPE) {
            for (;;)
                free(malloc(100));
        }
        AW_EXPIRED
        {
            ++landings;
        }
    }
    MUST(landings == 5);
    told->spent_ns = clock_ns() - told->entered_ns;
}

/* Where the machine stands still for what is left of LONG, a report is right: then once more. */
START_TEST(silence_where_nothing_is_wrong)
{
    unsigned tries = 0;
    do
        run(_i, do_as_one_should);
    while (text[0] != '\0' && told->spent_ns >= AW_MS(OVERDUE_MS) + LONG && ++tries < 20);
    ck_assert_str_eq(text, "");
}
END_TEST

/* ---- a stderr that takes nothing ---- */

static void fill(int fd)
{
    static const char page[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, page, sizeof page) > 0)
        continue;
    fcntl(fd, F_SETFL, 0);
}

START_TEST(nobody_waits_for_stderr)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    fill(ends[1]);
    expect_exit(run_child(_i, ends[1], leave_the_outer_first), 0);
    close(ends[0]); /* nor dies of a pipe that nobody reads */
    expect_exit(run_child(_i, ends[1], leave_the_outer_first), 0);
    close(ends[1]);
}
END_TEST

static void close_stderr(void)
{
    close(STDERR_FILENO);
    leave_the_outer_first();
}

START_TEST(without_stderr)
{
    run(_i, close_stderr);
    ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("debug");
    TCase *tcase = signal_case(suite, "misuse");
    tcase_add_checked_fixture(tcase, begin_told, end_told);
    tcase_add_loop_test(tcase, h13_left_out_of_order, 0, VARIANTS);
    tcase_add_loop_test(tcase, h13_left_out_of_order_without_lines, 0, VARIANTS);
    tcase_add_loop_test(tcase, h13_dead_frames, 0, VARIANTS);
    tcase_add_loop_test(tcase, h13_dead_frames_inside_the_one_that_is_left, 0, VARIANTS);
    tcase_add_loop_test(tcase, h13_dead_frame_that_is_there_again, 0, VARIANTS);
    tcase_add_loop_test(tcase, h13_dead_frame_without_a_line, 0, VARIANTS);
    tcase_add_loop_test(tcase, h14_off_the_owner_thread, 0, VARIANTS);
    tcase_add_loop_test(tcase, nobody_waits_for_stderr, 0, VARIANTS);
    tcase_add_loop_test(tcase, without_stderr, 0, VARIANTS);

    tcase = signal_case(suite, "put off");
    tcase_add_checked_fixture(tcase, begin_told, end_told);
    tcase_add_loop_test(tcase, put_off_by_a_shield, 0, VARIANTS);
    tcase_add_loop_test(tcase, put_off_by_the_library, 0, SOURCES);
    tcase_add_loop_test(tcase, put_off_by_a_frame, 0, SOURCES);
    tcase_add_loop_test(tcase, put_off_by_one_frame, 0, SOURCES);
    tcase_add_loop_test(tcase, put_off_by_a_callback, 0, SOURCES);
    tcase_add_loop_test(tcase, put_off_by_another_stack, 0, SOURCES);

    tcase = signal_case(suite, "silence");
    tcase_add_checked_fixture(tcase, begin_told, end_told);
    tcase_add_loop_test(tcase, silence_where_nothing_is_wrong, 0, VARIANTS);
    return run_suite(suite);
}
