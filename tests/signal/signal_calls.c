/* SPDX-License-Identifier: MIT */
/*
 * signal_calls.c: plain blocking system calls inside an expired guard: each returns -1 and EINTR in time,
 * again and again until the program was told; then clean-up I/O is left in peace. A result that comes in time
 * is returned as it is, whatever ticks come meanwhile. For both alarm sources and both ways to interrupt.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "signal_fixture.h"

/* What a blocking call stands on. */
struct scene {
    char dir[64];
    char path[80];
    int fds[4];
    int n_fds;
    int result_fd;   /* what the call opened, or -1 */
    int holder_ends; /* closed: the holder, a process of its own, lets go */
    pid_t holder;
    sem_t *semaphore; /* shared with other processes */
};

static void keep(struct scene *scene, int fd)
{
    ck_assert_int_ge(fd, 0);
    scene->fds[scene->n_fds++] = fd;
}

static void keep_pipe(struct scene *scene)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    keep(scene, ends[0]);
    keep(scene, ends[1]);
}

static void make_path(struct scene *scene)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(scene->dir, sizeof scene->dir, "%.40s/aw-calls-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scene->dir));
    snprintf(scene->path, sizeof scene->path, "%s/file", scene->dir);
}

static int put_byte(int fd)
{
    return write(fd, "x", 1) == 1 ? 0 : 1;
}

static void fill(int fd)
{
    static const char block[4096];
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (write(fd, block, sizeof block) > 0)
        continue;
    while (write(fd, block, 1) > 0)
        continue;
    fcntl(fd, F_SETFL, flags);
}

/* ---- the calls ---- */

static void prepare_fifo(struct scene *scene)
{
    make_path(scene);
    ck_assert_int_eq(mkfifo(scene->path, 0600), 0);
}

static long call_open(struct scene *scene)
{
    return scene->result_fd = open(scene->path, O_RDONLY | O_CLOEXEC);
}

static int release_open(struct scene *scene)
{
    int fd = open(scene->path, O_WRONLY);
    return fd >= 0 ? put_byte(fd) : 1;
}

static void prepare_pipe(struct scene *scene)
{
    keep_pipe(scene);
}

static long call_read(struct scene *scene)
{
    char block[16];
    return read(scene->fds[0], block, sizeof block);
}

static long call_readv(struct scene *scene)
{
    char block[16];
    struct iovec vector = { block, sizeof block };
    return readv(scene->fds[0], &vector, 1);
}

static int release_read(struct scene *scene)
{
    return put_byte(scene->fds[1]);
}

static void prepare_full_pipe(struct scene *scene)
{
    keep_pipe(scene);
    fill(scene->fds[1]);
}

static long call_write(struct scene *scene)
{
    return write(scene->fds[1], "x", 1);
}

static long call_writev(struct scene *scene)
{
    char x = 'x';
    struct iovec vector = { &x, 1 };
    return writev(scene->fds[1], &vector, 1);
}

static int release_write(struct scene *scene)
{
    static char block[32768];
    return read(scene->fds[0], block, sizeof block) > 0 ? 0 : 1;
}

static void prepare_two_pipes(struct scene *scene)
{
    keep_pipe(scene);
    keep_pipe(scene);
}

static long call_splice(struct scene *scene)
{
    return splice(scene->fds[0], NULL, scene->fds[3], NULL, 16, 0);
}

static void prepare_listener(struct scene *scene)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    make_path(scene);
    strcpy(address.sun_path, scene->path);
    keep(scene, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(scene->fds[0], (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(scene->fds[0], 0), 0);
}

static int connect_to(struct scene *scene, int fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, scene->path);
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static long call_accept(struct scene *scene)
{
    return scene->result_fd = accept(scene->fds[0], NULL, NULL);
}

static int release_accept(struct scene *scene)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect_to(scene, fd) == 0 ? 0 : 1;
}

static void prepare_full_listener(struct scene *scene)
{
    prepare_listener(scene);
    keep(scene, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    keep(scene, fd);
    ck_assert_int_eq(connect_to(scene, fd), 0);
}

static long call_connect(struct scene *scene)
{
    return connect_to(scene, scene->fds[1]);
}

static int release_connect(struct scene *scene)
{
    return accept(scene->fds[0], NULL, NULL) >= 0 ? 0 : 1;
}

static void prepare_sockets(struct scene *scene)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    keep(scene, ends[0]);
    keep(scene, ends[1]);
}

static long call_recv(struct scene *scene)
{
    char block[16];
    return recv(scene->fds[0], block, sizeof block, 0);
}

static long call_recvmsg(struct scene *scene)
{
    char block[16];
    struct iovec vector = { block, sizeof block };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    return recvmsg(scene->fds[0], &message, 0);
}

static void prepare_full_sockets(struct scene *scene)
{
    prepare_sockets(scene);
    fill(scene->fds[1]);
}

static int release_send(struct scene *scene)
{
    char block[4096];
    while (recv(scene->fds[0], block, sizeof block, MSG_DONTWAIT) > 0)
        continue;
    return 0;
}

static long call_send(struct scene *scene)
{
    return send(scene->fds[1], "x", 1, 0);
}

static long call_sendmsg(struct scene *scene)
{
    char x = 'x';
    struct iovec vector = { &x, 1 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    return sendmsg(scene->fds[1], &message, 0);
}

/* A process that holds something until its pipe is closed. */
static void hold(struct scene *scene, bool (*take)(struct scene *scene))
{
    int ready[2], ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    scene->holder = fork();
    ck_assert_int_ge(scene->holder, 0);
    if (scene->holder == 0) {
        close(ends[1]);
        if (take != NULL && !take(scene))
            _exit(1);
        put_byte(ready[1]);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        _exit(0);
    }
    close(ends[0]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    scene->holder_ends = ends[1];
}

static int release_holder(struct scene *scene)
{
    return put_byte(scene->holder_ends);
}

static bool take_flock(struct scene *scene)
{
    int fd = open(scene->path, O_RDWR);
    return fd >= 0 && flock(fd, LOCK_EX) == 0;
}

static bool lock_record(int fd, int command)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    return fcntl(fd, command, &lock) == 0;
}

static bool take_record(struct scene *scene)
{
    int fd = open(scene->path, O_RDWR);
    return fd >= 0 && lock_record(fd, F_SETLK);
}

static void prepare_file(struct scene *scene)
{
    make_path(scene);
    keep(scene, open(scene->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static void prepare_flock(struct scene *scene)
{
    prepare_file(scene);
    hold(scene, take_flock);
}

static long call_flock(struct scene *scene)
{
    return flock(scene->fds[0], LOCK_EX);
}

static void prepare_record(struct scene *scene)
{
    prepare_file(scene);
    hold(scene, take_record);
}

static long call_setlkw(struct scene *scene)
{
    return lock_record(scene->fds[0], F_SETLKW) ? 0 : -1;
}

static long call_ofd_setlkw(struct scene *scene)
{
    return lock_record(scene->fds[0], F_OFD_SETLKW) ? 0 : -1;
}

static void prepare_process(struct scene *scene)
{
    hold(scene, NULL);
}

static long call_waitpid(struct scene *scene)
{
    int status;
    pid_t pid = waitpid(scene->holder, &status, 0);
    if (pid == scene->holder)
        scene->holder = 0;
    return pid;
}

static long call_waitid(struct scene *scene)
{
    siginfo_t info;
    int result = waitid(P_PID, (id_t)scene->holder, &info, WEXITED);
    if (result == 0)
        scene->holder = 0;
    return result;
}

static void prepare_semaphore(struct scene *scene)
{
    scene->semaphore = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(scene->semaphore, MAP_FAILED);
    ck_assert_int_eq(sem_init(scene->semaphore, 1, 0), 0);
}

static long call_sem_wait(struct scene *scene)
{
    return sem_wait(scene->semaphore);
}

static int release_semaphore(struct scene *scene)
{
    return sem_post(scene->semaphore);
}

static const struct blocking {
    const char *name;
    void (*prepare)(struct scene *scene);
    long (*call)(struct scene *scene);
    int (*release)(struct scene *scene); /* in another process: now the call can return */
} calls[] = {
    { "open", prepare_fifo, call_open, release_open },
    { "read", prepare_pipe, call_read, release_read },
    { "readv", prepare_pipe, call_readv, release_read },
    { "write", prepare_full_pipe, call_write, release_write },
    { "writev", prepare_full_pipe, call_writev, release_write },
    { "splice", prepare_two_pipes, call_splice, release_read },
    { "accept", prepare_listener, call_accept, release_accept },
    { "connect", prepare_full_listener, call_connect, release_connect },
    { "recv", prepare_sockets, call_recv, release_read },
    { "recvmsg", prepare_sockets, call_recvmsg, release_read },
    { "send", prepare_full_sockets, call_send, release_send },
    { "sendmsg", prepare_full_sockets, call_sendmsg, release_send },
    { "flock", prepare_flock, call_flock, release_holder },
    { "F_SETLKW", prepare_record, call_setlkw, release_holder },
    { "F_OFD_SETLKW", prepare_record, call_ofd_setlkw, release_holder },
    { "waitpid", prepare_process, call_waitpid, release_holder },
    { "waitid", prepare_process, call_waitid, release_holder },
    { "sem_wait", prepare_semaphore, call_sem_wait, release_semaphore },
};

#define N_CALLS (sizeof calls / sizeof calls[0])

/* valgrind does not know that this one blocks, and lets no signal through. */
static bool is_tested(const struct blocking *blocking)
{
    return !(under_valgrind() && blocking->call == call_ofd_setlkw);
}

static void set_up(struct scene *scene, const struct blocking *blocking)
{
    memset(scene, 0, sizeof *scene);
    scene->result_fd = scene->holder_ends = -1;
    blocking->prepare(scene);
}

static void tear_down(struct scene *scene)
{
    for (int i = 0; i < scene->n_fds; ++i)
        close(scene->fds[i]);
    if (scene->result_fd >= 0)
        close(scene->result_fd);
    if (scene->holder_ends >= 0)
        close(scene->holder_ends);
    if (scene->holder > 0)
        child_status(scene->holder);
    if (scene->semaphore != NULL)
        munmap(scene->semaphore, sizeof(sem_t));
    if (scene->path[0] != '\0')
        unlink(scene->path);
    if (scene->dir[0] != '\0')
        rmdir(scene->dir);
}

/* A read that takes a while, as clean-up may: nothing is to disturb it. */
static int write_later(void *arg)
{
    return put_byte(*(const int *)arg);
}

static void clean_up_in_peace(const char *name)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = in_child(5, write_later, &ends[1]);
    ck_assert_msg(read(ends[0], &byte, 1) == 1, "%s: clean-up after being told: %s", name, strerror(errno));
    expect_exit(pid, 0);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(calls_return_eintr_until_told)
{
    const uint64_t limit = AW_MS(10);
    struct aw_guard guard;
    unsigned told_by = 0;

    start_variant(_i);
    for (const struct blocking *b = calls; b < calls + N_CALLS; ++b) {
        struct scene scene;
        if (!is_tested(b))
            continue;
        unsigned descriptors = open_descriptors();
        set_up(&scene, b);
        uint64_t start = clock_ns();
        ck_assert_int_eq(aw_guard_enter(&guard, limit, AW_GUARD_DEFAULT), 0);
        for (unsigned i = 0; i < 4; ++i) {
            errno = 0;
            long result = b->call(&scene);
            int error = errno;
            uint64_t took = clock_ns() - start;
            ck_assert_msg(result == -1 && error == EINTR, "%s: %ld, %s", b->name, result, strerror(error));
            ck_assert_msg(took >= limit, "%s: early, after %llu ns", b->name, (unsigned long long)took);
            ck_assert_msg(took < AW_SEC(20), "%s: late, after %llu ns", b->name, (unsigned long long)took);
        }
        if (told_by++ % 2 == 0)
            ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
        else
            ck_assert(aw_guard_expired(&guard));
        clean_up_in_peace(b->name);
        ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
        clean_up_in_peace(b->name);
        tear_down(&scene);
        ck_assert_uint_eq(open_descriptors(), descriptors);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

struct release {
    const struct blocking *blocking;
    struct scene *scene;
};

static int release(void *arg)
{
    const struct release *it = arg;
    return it->blocking->release(it->scene);
}

static int nothing(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return 0;
}

/* In time: the result is the call's own. A timer rings meanwhile, and an inner guard has been left: nobody
 * notices. */
START_TEST(calls_return_their_result_in_time)
{
    struct aw_guard guard, inner;
    struct aw_timer timer;

    start_variant(_i);
    ck_assert_int_eq(aw_timer_create(&timer, nothing, NULL), 0);
    for (const struct blocking *b = calls; b < calls + N_CALLS; ++b) {
        struct scene scene;
        if (!is_tested(b))
            continue;
        unsigned descriptors = open_descriptors();
        set_up(&scene, b);
        struct release it = { b, &scene };
        pid_t pid = in_child(15, release, &it);
        ck_assert_int_ge(aw_dispatch(0), 0);
        ck_assert_int_eq(aw_timer_arm(timer, AW_MS(3)), 0);
        ck_assert_int_eq(aw_guard_enter(&guard, AW_SEC(60), AW_GUARD_DEFAULT), 0);
        enter_and_leave_in_time(&inner, AW_MS(7));
        long result = b->call(&scene);
        ck_assert_msg(result >= 0, "%s: %s", b->name, strerror(errno));
        ck_assert_int_eq(aw_guard_leave(&guard), 0);
        expect_exit(pid, 0);
        tear_down(&scene);
        ck_assert_uint_eq(open_descriptors(), descriptors);
    }
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

/* The macro of the documentation around the call of the documentation. */
START_TEST(open_of_a_fifo_in_a_scope)
{
    struct scene scene;
    struct aw_guard guard;
    bool gave_up = false;
    int fd = -1;

    start_variant(_i);
    memset(&scene, 0, sizeof scene);
    prepare_fifo(&scene);
    uint64_t start = clock_ns();
    AW_GUARD(&guard, AW_MS(20), AW_GUARD_DEFAULT) {
        fd = open(scene.path, O_RDONLY);
        ck_assert_int_eq(fd, -1);
        ck_assert_int_eq(errno, EINTR);
    }
    AW_EXPIRED
    {
        gave_up = true;
    }
    ck_assert(gave_up);
    ck_assert_uint_ge(clock_ns(), start + AW_MS(20));
    ck_assert_uint_lt(aw_guard_lateness_ns(&guard), AW_SEC(20));
    tear_down(&scene);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plain system calls in a guard");
    TCase *tcase = signal_case(suite, "calls");

    tcase_add_loop_test(tcase, calls_return_eintr_until_told, 0, VARIANTS);
    tcase_add_loop_test(tcase, calls_return_their_result_in_time, 0, VARIANTS);
    tcase_add_loop_test(tcase, open_of_a_fifo_in_a_scope, 0, VARIANTS);
    return run_suite(suite);
}
