/* SPDX-License-Identifier: MIT */
/*
 * bounds_calls.c: the lines of the table that are about system calls, and loops around one. See bounds.h.
 * What is opened, locked or started here is left to the end of the process under test.
 */
#include "bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "signal_fixture.h"

static bool timed_out(long result)
{
    return result == -1 && errno == ETIMEDOUT && aw_timed_out();
}

/* ---- plain calls ---- */

/* A FIFO that nobody can find but by its descriptor. */
static void prepare_fifo(struct scene *scene)
{
    const char *tmp = getenv("TMPDIR");
    char folder[64], path[80];
    snprintf(folder, sizeof folder, "%.40s/aw-bounds-XXXXXX", tmp != NULL ? tmp : "/tmp");
    MUST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/fifo", folder);
    MUST(mkfifo(path, 0600) == 0);
    scene->fds[0] = open(path, O_PATH | O_CLOEXEC);
    MUST(scene->fds[0] >= 0 && unlink(path) == 0 && rmdir(folder) == 0);
}

static const char *path_of(int fd)
{
    static char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static void plain_open(struct scene *scene)
{
    (void)!open(path_of(scene->fds[0]), O_RDONLY | O_CLOEXEC);
}

static bool guarded_open(struct scene *scene, uint64_t timeout_ns)
{
    return timed_out(aw_open(path_of(scene->fds[0]), O_RDONLY | O_CLOEXEC, 0, timeout_ns));
}

void prepare_pipe(struct scene *scene)
{
    MUST(pipe2(scene->fds, O_CLOEXEC) == 0);
}

void plain_read(struct scene *scene)
{
    char byte;
    (void)!read(scene->fds[0], &byte, 1);
}

bool guarded_read(struct scene *scene, uint64_t timeout_ns)
{
    char byte;
    return timed_out(aw_read(scene->fds[0], &byte, 1, timeout_ns));
}

void prepare_full_pipe(struct scene *scene)
{
    static const char block[4096];
    prepare_pipe(scene);
    MUST(fcntl(scene->fds[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(scene->fds[1], block, sizeof block) > 0)
        continue;
    MUST(errno == EAGAIN && fcntl(scene->fds[1], F_SETFL, 0) == 0);
}

static void plain_write(struct scene *scene)
{
    (void)!write(scene->fds[1], "x", 1);
}

static bool guarded_write(struct scene *scene, uint64_t timeout_ns)
{
    return timed_out(aw_write(scene->fds[1], "x", 1, timeout_ns));
}

static void bind_and_listen(int fd, struct sockaddr_un *address, socklen_t *size)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    MUST(bind(fd, (struct sockaddr *)address, sizeof address->sun_family) == 0); /* the kernel finds a name */
    MUST(getsockname(fd, (struct sockaddr *)address, size) == 0 && listen(fd, 0) == 0);
}

static struct sockaddr_un listener_address;
static socklen_t listener_size;

static void prepare_listener(struct scene *scene)
{
    listener_size = sizeof listener_address;
    scene->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(scene->fds[0] >= 0);
    bind_and_listen(scene->fds[0], &listener_address, &listener_size);
}

static void plain_accept(struct scene *scene)
{
    (void)!accept(scene->fds[0], NULL, NULL);
}

static bool guarded_accept(struct scene *scene, uint64_t timeout_ns)
{
    return timed_out(aw_accept4(scene->fds[0], NULL, NULL, SOCK_CLOEXEC, timeout_ns));
}

static void prepare_full_listener(struct scene *scene)
{
    prepare_listener(scene);
    scene->fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    scene->fds[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(scene->fds[1] >= 0 && scene->fds[2] >= 0);
    MUST(connect(scene->fds[1], (struct sockaddr *)&listener_address, listener_size) == 0);
}

static void plain_connect(struct scene *scene)
{
    (void)!connect(scene->fds[2], (struct sockaddr *)&listener_address, listener_size);
}

static bool guarded_connect(struct scene *scene, uint64_t timeout_ns)
{
    const struct sockaddr *address = (const struct sockaddr *)&listener_address;
    return timed_out(aw_connect(scene->fds[2], address, listener_size, timeout_ns));
}

/* Two open files of one file: what the first one locks, the second one waits for. */
static void prepare_file(struct scene *scene)
{
    scene->fds[0] = memfd_create("bounds", MFD_CLOEXEC);
    MUST(scene->fds[0] >= 0);
    scene->fds[1] = open(path_of(scene->fds[0]), O_RDWR | O_CLOEXEC);
    MUST(scene->fds[1] >= 0);
}

static void prepare_flock(struct scene *scene)
{
    prepare_file(scene);
    MUST(flock(scene->fds[0], LOCK_EX) == 0);
}

static void plain_flock(struct scene *scene)
{
    (void)!flock(scene->fds[1], LOCK_EX);
}

static bool guarded_flock(struct scene *scene, uint64_t timeout_ns)
{
    return timed_out(aw_flock(scene->fds[1], LOCK_EX, timeout_ns));
}

static struct flock record_lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

static void prepare_record_lock(struct scene *scene)
{
    prepare_file(scene);
    MUST(fcntl(scene->fds[0], F_OFD_SETLK, &record_lock) == 0);
}

static void plain_setlkw(struct scene *scene)
{
    (void)!fcntl(scene->fds[1], F_SETLKW, &record_lock);
}

static bool guarded_setlkw(struct scene *scene, uint64_t timeout_ns)
{
    return timed_out(aw_fcntl_lock(scene->fds[1], F_SETLKW, &record_lock, timeout_ns));
}

static void prepare_process(struct scene *scene)
{
    scene->process = fork_bound();
    while (scene->process == 0)
        pause();
}

static void plain_waitpid(struct scene *scene)
{
    (void)!waitpid(scene->process, NULL, 0);
}

static bool guarded_waitid(struct scene *scene, uint64_t timeout_ns)
{
    siginfo_t info;
    return timed_out(aw_waitid(P_PID, (id_t)scene->process, &info, WEXITED, timeout_ns));
}

/* ---- calls that the kernel never restarts ---- */

void prepare_nothing(struct scene *scene)
{
    (void)scene;
}

static void plain_poll(struct scene *scene)
{
    (void)scene;
    poll(NULL, 0, -1);
}

static bool wait_in_poll(struct scene *scene, uint64_t timeout_ns)
{
    (void)scene;
    return aw_poll(NULL, 0, timeout_ns) == 0;
}

static void plain_select(struct scene *scene)
{
    (void)scene;
    select(0, NULL, NULL, NULL, NULL);
}

static bool guarded_select(struct scene *scene, uint64_t timeout_ns)
{
    (void)scene;
    const long arguments[6] = { 0 };
    return timed_out(aw_syscall(timeout_ns, SYS_pselect6, arguments));
}

static void prepare_epoll(struct scene *scene)
{
    scene->fds[0] = epoll_create1(EPOLL_CLOEXEC);
    MUST(scene->fds[0] >= 0);
}

static void plain_epoll_wait(struct scene *scene)
{
    struct epoll_event event;
    epoll_wait(scene->fds[0], &event, 1, -1);
}

static bool guarded_epoll_wait(struct scene *scene, uint64_t timeout_ns)
{
    struct epoll_event event;
    const long arguments[6] = { scene->fds[0], (long)(intptr_t)&event, 1, -1, 0, 8 };
    return timed_out(aw_syscall(timeout_ns, SYS_epoll_pwait, arguments));
}

static void plain_nanosleep(struct scene *scene)
{
    const struct timespec long_time = { 1000, 0 };
    (void)scene;
    nanosleep(&long_time, NULL);
}

static bool guarded_sleep(struct scene *scene, uint64_t timeout_ns)
{
    (void)scene;
    return aw_sleep_until(clock_ns() + timeout_ns) == 0;
}

static void plain_sleep(struct scene *scene)
{
    (void)scene;
    (void)!sleep(1000);
}

static void plain_pause(struct scene *scene)
{
    (void)scene;
    pause();
}

static bool wait_in_wait(struct scene *scene, uint64_t timeout_ns)
{
    (void)scene;
    return aw_wait(timeout_ns) == 0;
}

/* ---- loops around a call ---- */

static void retry_for_ever(struct scene *scene)
{
    char byte;
    while (read(scene->fds[0], &byte, 1) < 0 && errno == EINTR)
        ++record->rounds;
}

static void retry_and_ask(struct scene *scene)
{
    char byte;
    while (read(scene->fds[0], &byte, 1) < 0 && errno == EINTR && !aw_guard_expired(scene->guard))
        ++record->rounds;
}

static bool guarded_retry(struct scene *scene, uint64_t timeout_ns)
{
    char byte;
    ssize_t got;
    do
        got = aw_read(scene->fds[0], &byte, 1, timeout_ns);
    while (got < 0 && errno == EINTR);
    return timed_out(got);
}

static const char plain_calls[] =
    "`open` of a FIFO, `read`, `write`, `accept`, `connect`, `flock`, `fcntl(F_SETLKW)`, `waitpid`";
static const char unrestarted[] = "`poll`, `select`, `epoll_wait`, `nanosleep`, `sleep`, `pause`";
const struct body call_bodies[] = {
    { plain_calls, "open", prepare_fifo, plain_open, guarded_open },
    { plain_calls, "read", prepare_pipe, plain_read, guarded_read },
    { plain_calls, "write", prepare_full_pipe, plain_write, guarded_write },
    { plain_calls, "accept", prepare_listener, plain_accept, guarded_accept },
    { plain_calls, "connect", prepare_full_listener, plain_connect, guarded_connect },
    { plain_calls, "flock", prepare_flock, plain_flock, guarded_flock },
    { plain_calls, "fcntl", prepare_record_lock, plain_setlkw, guarded_setlkw },
    { plain_calls, "waitpid", prepare_process, plain_waitpid, guarded_waitid },
    { unrestarted, "poll", prepare_nothing, plain_poll, wait_in_poll },
    { unrestarted, "select", prepare_nothing, plain_select, guarded_select },
    { unrestarted, "epoll_wait", prepare_epoll, plain_epoll_wait, guarded_epoll_wait },
    { unrestarted, "nanosleep", prepare_nothing, plain_nanosleep, guarded_sleep },
    { unrestarted, "sleep", prepare_nothing, plain_sleep, guarded_sleep },
    { unrestarted, "pause", prepare_nothing, plain_pause, wait_in_wait },
    { "a loop that retries on `EINTR` and asks `aw_guard_expired`", "read and ask", prepare_pipe,
      retry_and_ask, guarded_retry },
    { "a loop that retries on `EINTR` and asks nobody", "read for ever", prepare_pipe, retry_for_ever,
      guarded_retry },
    { .row = NULL },
};
