/* SPDX-License-Identifier: MIT */
/*
 * signal_io_special.c: what is special to one guarded call or another: counts that are short, full reads and
 * writes across partial progress, a connection's own time-out, the lingering of close, statuses and locks
 * that stay, sleeping.
 */
#include <alarmwheel/io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "blocking.h"
#include "check_main.h"
#include "signal_fixture.h"

#define LIMIT AW_MS(10)
#define FOR_HANGS AW_SEC(20)

/* More than a pipe holds. */
enum {
    BIG = 1 << 20
};

static char big[BIG], copy[BIG];

static void fill_big(void)
{
    for (unsigned i = 0; i < BIG; ++i)
        big[i] = (char)(i * 2654435761u >> 24);
}

static size_t bytes_in(int fd)
{
    int n = -1;
    ck_assert_int_eq(ioctl(fd, FIONREAD, &n), 0);
    ck_assert_int_ge(n, 0);
    return (size_t)n;
}

static void read_all(int fd, char *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t more = read(fd, to + got, n - got);
        ck_assert_int_gt(more, 0);
        got += (size_t)more;
    }
}

#define TIMES_OUT(call, at_least_ns)             \
    do {                                         \
        uint64_t start_ = clock_ns();            \
        intmax_t got_ = (call);                  \
        int errno_ = errno;                      \
        uint64_t took_ = clock_ns() - start_;    \
        ck_assert_int_eq(got_, -1);              \
        ck_assert_int_eq(errno_, ETIMEDOUT);     \
        ck_assert(aw_timed_out());               \
        ck_assert_uint_ge(took_, (at_least_ns)); \
        ck_assert_uint_lt(took_, FOR_HANGS);     \
    } while (0)

/* ---- counts ---- */

/* What was written before the time-out is said, and is in the pipe. */
START_TEST(write_cut_short_says_the_count)
{
    struct stage stage;
    start_variant(_i);
    fill_big();
    stage_build(&stage, NULL);
    stage_pipe(&stage);
    ssize_t n;
    do {
        uint64_t start = clock_ns();
        n = aw_write(stage.fds[1], big, BIG, LIMIT);
        ck_assert_uint_ge(clock_ns() - start, LIMIT);
    } while (n < 0 && aw_timed_out()); /* so slow a machine that it was over before it began */
    ck_assert_int_gt(n, 0);
    ck_assert_int_lt(n, BIG);
    ck_assert(!aw_timed_out());
    ck_assert_uint_eq(bytes_in(stage.fds[0]), (size_t)n);
    TIMES_OUT(aw_write(stage.fds[1], big, BIG, LIMIT), LIMIT);
    ck_assert_uint_eq(bytes_in(stage.fds[0]), (size_t)n);
    read_all(stage.fds[0], copy, (size_t)n);
    ck_assert_mem_eq(copy, big, (size_t)n);
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(write_full_says_how_far_it_came)
{
    struct stage stage;
    size_t done = 0;
    start_variant(_i);
    fill_big();
    stage_build(&stage, NULL);
    stage_pipe(&stage);
    do
        TIMES_OUT(aw_write_full(stage.fds[1], big, BIG, &done, LIMIT), LIMIT);
    while (done == 0);
    ck_assert_uint_lt(done, BIG);
    ck_assert_uint_eq(bytes_in(stage.fds[0]), done);
    size_t before = done;
    TIMES_OUT(aw_write_full(stage.fds[1], big + before, BIG - before, &done, LIMIT), LIMIT);
    ck_assert_uint_eq(bytes_in(stage.fds[0]), before + done);
    read_all(stage.fds[0], copy, before + done);
    ck_assert_mem_eq(copy, big, before + done);
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static unsigned ticks;

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer, (void)arg;
    ++ticks;
    return 0;
}

/* A program that is always about to make its call, and always ticks before, makes none: valgrind is slow. */
static void tick_every(uint64_t period_ns)
{
    struct aw_timer timer;
    ticks = 0;
    if (under_valgrind())
        period_ns *= 50;
    ck_assert_int_eq(aw_timer_create(&timer, tick, NULL), 0);
    ck_assert_int_eq(aw_timer_arm_every(timer, period_ns, period_ns, AW_MISSED_SKIP), 0);
}

/* Reads all of it from fds[0], in its own time, and says whether it was right. */
static int slow_reader(void *arg)
{
    const struct stage *stage = arg;
    for (size_t got = 0; got < BIG;) {
        ssize_t more = read(stage->fds[0], copy, 50000);
        if (more <= 0 || memcmp(copy, big + got, (size_t)more) != 0)
            return 1;
        got += (size_t)more;
        usleep(1000);
    }
    return 0;
}

/* A write that a tick cuts short goes on with the rest: nothing twice, nothing left out. */
START_TEST(write_full_among_ticks)
{
    struct stage stage;
    size_t done = 0;
    start_variant(_i);
    fill_big();
    stage_build(&stage, NULL);
    stage_pipe(&stage);
    tick_every(AW_US(700));
    pid_t pid = in_child(0, slow_reader, &stage);
    ck_assert_int_eq(aw_write_full(stage.fds[1], big, BIG, &done, AW_SEC(60)), BIG);
    ck_assert_uint_eq(done, BIG);
    expect_exit(pid, 0);
    ck_assert(ticks > 0 || under_valgrind());
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Writes all of it to fds[1] in pieces. */
static int slow_writer(void *arg)
{
    const struct stage *stage = arg;
    for (size_t put = 0; put < BIG;) {
        size_t piece = BIG - put < 30011 ? BIG - put : 30011;
        ssize_t n = write(stage->fds[1], big + put, piece);
        if (n < 0)
            return 1;
        put += (size_t)n;
        usleep(1000);
    }
    return 0;
}

/* Time-outs in the middle: what came before them stays, the next call goes on behind it. */
START_TEST(read_full_among_time_outs)
{
    struct stage stage;
    size_t got = 0;
    unsigned time_outs = 0;
    start_variant(_i);
    fill_big();
    stage_build(&stage, NULL);
    stage_pipe(&stage);
    tick_every(AW_US(700));
    pid_t pid = in_child(0, slow_writer, &stage);
    while (got < BIG) {
        size_t done = BIG + 1;
        ssize_t n = aw_read_full(stage.fds[0], copy + got, BIG - got, &done, AW_MS(2) + got % AW_MS(1));
        ck_assert_uint_le(done, BIG - got);
        ck_assert(n == (ssize_t)done || (n == -1 && errno == ETIMEDOUT && aw_timed_out()));
        time_outs += n < 0;
        got += done;
    }
    ck_assert_mem_eq(copy, big, BIG);
    ck_assert_uint_gt(time_outs, 0);
    ck_assert_uint_eq(bytes_in(stage.fds[0]), 0);
    expect_exit(pid, 0);
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static size_t count_packets(int fd)
{
    char byte;
    size_t n = 0;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        ++n;
    return n;
}

/* So many, or as many as the socket takes. */
static size_t send_packets(int fd, size_t most)
{
    size_t n = 0;
    while (n < most && send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
        ++n;
    return n;
}

#define MOST_PACKETS 400

/* How many of the escapes came when some had been read, and others not. */
static unsigned escape_out_of_full_reads(const int ends[2], size_t most)
{
    static char bytes[MOST_PACKETS + 1];
    static volatile size_t done;
    volatile unsigned escapes = 0, in_the_middle = 0;
    unsigned tries = scaled(500);
    for (volatile unsigned i = 0; i < tries; ++i) {
        struct aw_guard guard;
        volatile size_t sent = send_packets(ends[1], most);
        done = 0;
        AW_GUARD(&guard, AW_US(1) + i * 7919 % AW_US(70), AW_GUARD_ESCAPE) {
            (void)aw_read_full(ends[0], bytes, sizeof bytes, (size_t *)&done, AW_FOREVER);
        }
        AW_EXPIRED
        {
            ++escapes;
        }
        size_t left = count_packets(ends[0]);
        ck_assert_uint_eq(done + left, sent);
        in_the_middle += done != 0 && left != 0;
    }
    ck_assert_uint_eq(escapes, tries);
    return in_the_middle;
}

/*
 * An escape at any instant of a full read: each packet was counted, or is still there. One byte a packet, so
 * that the read is many calls; and more of them where the alarm comes too late for so few.
 */
START_TEST(h16_escape_out_of_a_full_read)
{
    const int room = 200000;
    unsigned in_the_middle = 0;
    int ends[2];
    start_variant(_i);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    ck_assert_int_eq(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    for (size_t most = 100; in_the_middle == 0 && most <= MOST_PACKETS; most *= 2)
        in_the_middle = escape_out_of_full_reads(ends, most);
    ck_assert(in_the_middle > 0 || under_valgrind());
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- connections ---- */

/* A listener on the loopback interface that takes nobody in any more. */
static struct sockaddr_in full_listener(struct stage *stage)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    stage->fds[stage->n_fds++] = fd;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, size), 0);
    stage->fds[stage->n_fds++] = fd;
    return address;
}

static int new_socket(struct stage *stage)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    stage->fds[stage->n_fds++] = fd;
    return fd;
}

/* Ours leaves the attempt under way; its own, here by TCP_USER_TIMEOUT, ends it. */
START_TEST(connect_times_out_by_us_and_by_itself)
{
    struct stage stage;
    unsigned own_ms = 100;
    start_variant(_i);
    stage_build(&stage, NULL);
    struct sockaddr_in address = full_listener(&stage);
    int fd = new_socket(&stage);
    tick_every(AW_MS(3));
    TIMES_OUT(aw_connect(fd, (struct sockaddr *)&address, sizeof address, LIMIT), LIMIT);
    do
        TIMES_OUT(aw_connect(fd, (struct sockaddr *)&address, sizeof address, LIMIT), LIMIT);
    while (ticks == 0);
    fd = new_socket(&stage);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &own_ms, sizeof own_ms), 0);
    ck_assert_int_eq(aw_connect(fd, (struct sockaddr *)&address, sizeof address, AW_SEC(60)), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(!aw_timed_out());
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int accept_one(void *arg)
{
    return accept(*(const int *)arg, NULL, NULL) >= 0 ? 0 : 1;
}

static void connect_while_it_ticks(void)
{
    struct stage stage;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    stage_build(&stage, NULL);
    struct sockaddr_in address = full_listener(&stage);
    int fd = new_socket(&stage);
    pid_t pid = in_child(20, accept_one, &stage.fds[0]);
    ck_assert_int_eq(aw_connect(fd, (struct sockaddr *)&address, sizeof address, AW_SEC(60)), 0);
    expect_exit(pid, 0);
    ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    stage_clear(&stage);
}

/* Cut short by ticks, it goes on waiting for the same attempt, and it succeeds. */
START_TEST(connect_among_ticks)
{
    start_variant(_i);
    tick_every(AW_MS(3));
    do
        connect_while_it_ticks();
    while (ticks == 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* Two connected ends on the loopback interface, the first with all that it can hold to send. */
static void full_connection(struct stage *stage)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int listener = new_socket(stage), fd = new_socket(stage);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, size), 0);
    stage->fds[stage->n_fds++] = accept(listener, NULL, NULL);
    fill(fd);
}

/* valgrind does not know that it may block, and lets no signal through. */
START_TEST(close_cuts_the_lingering_short)
{
    const struct linger linger = { 1, 60 };
    struct stage stage;
    if (under_valgrind())
        return;
    start_variant(_i);
    for (unsigned by_guard = 0; by_guard < 2; ++by_guard) {
        struct aw_guard guard;
        stage_build(&stage, NULL);
        full_connection(&stage);
        int fd = stage.fds[1];
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        stage.fds[1] = stage.fds[--stage.n_fds];
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_guard_enter(&guard, by_guard ? LIMIT : AW_FOREVER, AW_GUARD_DEFAULT), 0);
        int result = aw_close(fd, by_guard ? AW_FOREVER : LIMIT);
        int error = errno;
        ck_assert_int_eq(aw_guard_leave(&guard), by_guard ? -ETIMEDOUT : 0);
        uint64_t took = clock_ns() - start;
        /* The kernel says 0 even so; another may say EINTR. */
        ck_assert(result == 0 || (result == -1 && error == ETIMEDOUT && aw_timed_out()));
        ck_assert_uint_ge(took, LIMIT);
        ck_assert_uint_lt(took, FOR_HANGS);
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
        ck_assert_int_eq(errno, EBADF);
        stage_clear(&stage);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* ---- others ---- */

static int exit_with_23(void *arg)
{
    char byte;
    return read(*(const int *)arg, &byte, 1) == 1 ? 23 : 1;
}

START_TEST(status_of_a_child_stays)
{
    struct stage stage;
    siginfo_t info;
    start_variant(_i);
    stage_build(&stage, NULL);
    stage_pipe(&stage);
    pid_t pid = in_child(0, exit_with_23, &stage.fds[0]);
    TIMES_OUT(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, LIMIT), LIMIT);
    ck_assert_int_eq(write(stage.fds[1], "x", 1), 1);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    TIMES_OUT(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, 0), 0);
    memset(&info, 0, sizeof info);
    ck_assert_int_eq(aw_waitid(P_PID, (id_t)pid, &info, WEXITED, AW_SEC(60)), 0);
    ck_assert_int_eq(info.si_pid, pid);
    ck_assert_int_eq(info.si_code, CLD_EXITED);
    ck_assert_int_eq(info.si_status, 23);
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int try_flock(void *arg)
{
    const struct stage *stage = arg;
    int fd = open(stage->path, O_RDWR);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1;
}

static int try_record(void *arg)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    const struct stage *stage = arg;
    int fd = open(stage->path, O_RDWR);
    return fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0 ? 0 : 1;
}

/* A lock that was not granted is not held, one that was granted is. */
START_TEST(locks_are_held_or_not)
{
    struct stage stage;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    start_variant(_i);
    stage_build(&stage, NULL);
    stage_file(&stage);
    int other = open(stage.path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(flock(other, LOCK_EX), 0);
    TIMES_OUT(aw_flock(stage.fds[0], LOCK_EX, LIMIT), LIMIT);
    ck_assert_int_eq(flock(other, LOCK_UN), 0);
    expect_exit(in_child(0, try_flock, &stage), 0);
    ck_assert_int_eq(aw_flock(stage.fds[0], LOCK_EX, AW_SEC(60)), 0);
    expect_exit(in_child(0, try_flock, &stage), 1);
    ck_assert_int_eq(aw_flock(stage.fds[0], LOCK_UN, AW_SEC(60)), 0);

    lock.l_pid = 0;
    ck_assert_int_eq(fcntl(other, F_OFD_SETLK, &lock), 0);
    TIMES_OUT(aw_fcntl_lock(stage.fds[0], F_SETLKW, &lock, LIMIT), LIMIT);
    ck_assert_int_eq(close(other), 0);
    expect_exit(in_child(0, try_record, &stage), 0);
    ck_assert_int_eq(aw_fcntl_lock(stage.fds[0], F_SETLKW, &lock, AW_SEC(60)), 0);
    expect_exit(in_child(0, try_record, &stage), 1);
    stage_clear(&stage);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* A pseudo-terminal has nothing to drain; signals do not make an error of that. */
START_TEST(tcdrain_of_a_terminal)
{
    start_variant(_i);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    int fd = aw_open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC, 0, AW_SEC(60));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(aw_write(fd, "x", 1, AW_SEC(60)), 1);
    tick_every(AW_MS(1));
    uint64_t give_up = clock_ns() + AW_SEC(60);
    for (unsigned i = 0; i < 1000 || (ticks < 20 && clock_ns() < give_up); ++i)
        ck_assert_int_eq(aw_tcdrain(fd, AW_SEC(60)), 0);
    ck_assert_uint_ge(ticks, 20);
    ck_assert_int_eq(aw_close(fd, AW_SEC(60)), 0);
    ck_assert_int_eq(aw_close(master, AW_SEC(60)), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(sleeps_to_the_deadline)
{
    struct aw_guard guard;
    start_variant(_i);
    tick_every(AW_MS(1));
    uint64_t until;
    do {
        until = clock_ns() + 3 * LIMIT;
        ck_assert_int_eq(aw_sleep_until(until), 0);
        ck_assert_uint_ge(clock_ns(), until);
        ck_assert_uint_lt(clock_ns(), until + FOR_HANGS);
    } while (ticks == 0);
    ck_assert_int_eq(aw_sleep_until(until), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, LIMIT, AW_GUARD_DEFAULT), 0);
    TIMES_OUT(aw_sleep_until(AW_FOREVER), 0);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The kernel's own time-out, if it is an absolute one, is not moved by the ticks. */
START_TEST(absolute_time_outs_of_other_calls)
{
    start_variant(_i);
    tick_every(AW_MS(1));
    uint64_t until = clock_ns() + 3 * LIMIT;
    const struct timespec deadline = { (time_t)(until / AW_SEC(1)), (long)(until % AW_SEC(1)) };
    const long arguments[6] = { CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&deadline };
    ck_assert_int_eq(aw_syscall(AW_SEC(60), SYS_clock_nanosleep, arguments), 0);
    ck_assert_uint_ge(clock_ns(), until);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("what is special to guarded calls");
    TCase *tcase = signal_case(suite, "calls");

    tcase_add_loop_test(tcase, write_cut_short_says_the_count, 0, VARIANTS);
    tcase_add_loop_test(tcase, write_full_says_how_far_it_came, 0, VARIANTS);
    tcase_add_loop_test(tcase, write_full_among_ticks, 0, VARIANTS);
    tcase_add_loop_test(tcase, read_full_among_time_outs, 0, VARIANTS);
    tcase_add_loop_test(tcase, h16_escape_out_of_a_full_read, 0, VARIANTS);
    tcase_add_loop_test(tcase, connect_times_out_by_us_and_by_itself, 0, VARIANTS);
    tcase_add_loop_test(tcase, connect_among_ticks, 0, VARIANTS);
    tcase_add_loop_test(tcase, close_cuts_the_lingering_short, 0, VARIANTS);
    tcase_add_loop_test(tcase, status_of_a_child_stays, 0, VARIANTS);
    tcase_add_loop_test(tcase, locks_are_held_or_not, 0, VARIANTS);
    tcase_add_loop_test(tcase, tcdrain_of_a_terminal, 0, VARIANTS);
    tcase_add_loop_test(tcase, sleeps_to_the_deadline, 0, VARIANTS);
    tcase_add_loop_test(tcase, absolute_time_outs_of_other_calls, 0, VARIANTS);
    return run_suite(suite);
}
