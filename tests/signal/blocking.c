/* SPDX-License-Identifier: MIT */
/* blocking.c: see blocking.h. */
#include "blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <alarmwheel/io.h>

#include "signal_fixture.h"

static void keep(struct stage *stage, int fd)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_lt(stage->n_fds, sizeof stage->fds / sizeof stage->fds[0]);
    stage->fds[stage->n_fds++] = fd;
}

static int put_byte(int fd)
{
    return write(fd, "x", 1) == 1 ? 0 : 1;
}

void fill(int fd)
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

static int drain(int fd)
{
    static char block[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (read(fd, block, sizeof block) > 0)
        continue;
    return 0;
}

static void make_path(struct stage *stage)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(stage->folder, sizeof stage->folder, "%.40s/aw-io-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(stage->folder));
    snprintf(stage->path, sizeof stage->path, "%s/file", stage->folder);
}

/* ---- open ---- */

static void prepare_fifo(struct stage *stage)
{
    make_path(stage);
    ck_assert_int_eq(mkfifo(stage->path, 0600), 0);
}

static long call_open(struct stage *stage, uint64_t timeout_ns)
{
    return stage->granted = aw_open(stage->path, O_RDONLY | O_CLOEXEC, 0, timeout_ns);
}

static void prepare_folder(struct stage *stage)
{
    prepare_fifo(stage);
    keep(stage, open(stage->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static long call_openat(struct stage *stage, uint64_t timeout_ns)
{
    return stage->granted = aw_openat(stage->fds[0], "file", O_WRONLY | O_CLOEXEC, 0, timeout_ns);
}

static int release_reader(struct stage *stage)
{
    return open(stage->path, O_WRONLY) >= 0 ? 0 : 1;
}

static int release_writer(struct stage *stage)
{
    return open(stage->path, O_RDONLY) >= 0 ? 0 : 1;
}

/* ---- pipes and terminals ---- */

void stage_pipe(struct stage *stage)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    keep(stage, ends[0]);
    keep(stage, ends[1]);
}

static void prepare_full_pipe(struct stage *stage)
{
    stage_pipe(stage);
    fill(stage->fds[1]);
}

/* The terminal at [0], its master at [1]. */
static void prepare_terminal(struct stage *stage)
{
    struct termios mode;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    keep(stage, open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC));
    keep(stage, master);
    ck_assert_int_eq(tcgetattr(stage->fds[0], &mode), 0);
    cfmakeraw(&mode);
    ck_assert_int_eq(tcsetattr(stage->fds[0], TCSANOW, &mode), 0);
}

/* Full is no lasting state of a terminal: what is on its way to the master makes room. */
static void prepare_stopped_terminal(struct stage *stage)
{
    prepare_terminal(stage);
    ck_assert_int_eq(tcflow(stage->fds[0], TCOOFF), 0);
}

static long call_read(struct stage *stage, uint64_t timeout_ns)
{
    char bytes[16];
    return aw_read(stage->fds[0], bytes, sizeof bytes, timeout_ns);
}

static long call_readv(struct stage *stage, uint64_t timeout_ns)
{
    char bytes[16];
    struct iovec part = { bytes, sizeof bytes };
    return aw_readv(stage->fds[0], &part, 1, timeout_ns);
}

static int release_read(struct stage *stage)
{
    return put_byte(stage->fds[1]);
}

static long call_write(struct stage *stage, uint64_t timeout_ns)
{
    return aw_write(stage->fds[1], "x", 1, timeout_ns);
}

static long call_writev(struct stage *stage, uint64_t timeout_ns)
{
    char x = 'x';
    struct iovec part = { &x, 1 };
    return aw_writev(stage->fds[1], &part, 1, timeout_ns);
}

static int release_write(struct stage *stage)
{
    return drain(stage->fds[0]);
}

static long call_terminal_write(struct stage *stage, uint64_t timeout_ns)
{
    return aw_write(stage->fds[0], "x", 1, timeout_ns);
}

static int release_terminal_write(struct stage *stage)
{
    return tcflow(stage->fds[0], TCOON);
}

/* ---- sockets ---- */

static void prepare_listener(struct stage *stage)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    make_path(stage);
    strcpy(address.sun_path, stage->path);
    keep(stage, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(stage->fds[0], (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(stage->fds[0], 0), 0);
}

static struct sockaddr_un address_of(const struct stage *stage)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, stage->path);
    return address;
}

static long call_accept(struct stage *stage, uint64_t timeout_ns)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    return stage->granted =
               aw_accept4(stage->fds[0], (struct sockaddr *)&address, &size, SOCK_CLOEXEC, timeout_ns);
}

static int release_accept(struct stage *stage)
{
    struct sockaddr_un address = address_of(stage);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static void prepare_full_listener(struct stage *stage)
{
    prepare_listener(stage);
    keep(stage, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    keep(stage, fd);
    struct sockaddr_un address = address_of(stage);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
}

static long call_connect(struct stage *stage, uint64_t timeout_ns)
{
    struct sockaddr_un address = address_of(stage);
    return aw_connect(stage->fds[1], (struct sockaddr *)&address, sizeof address, timeout_ns);
}

static int release_connect(struct stage *stage)
{
    return accept(stage->fds[0], NULL, NULL) >= 0 ? 0 : 1;
}

static void prepare_sockets(struct stage *stage)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    keep(stage, ends[0]);
    keep(stage, ends[1]);
}

static void prepare_full_sockets(struct stage *stage)
{
    prepare_sockets(stage);
    fill(stage->fds[1]);
}

static long call_recv(struct stage *stage, uint64_t timeout_ns)
{
    char bytes[16];
    return aw_recv(stage->fds[0], bytes, sizeof bytes, 0, timeout_ns);
}

static long call_recvmsg(struct stage *stage, uint64_t timeout_ns)
{
    char bytes[16];
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    return aw_recvmsg(stage->fds[0], &message, 0, timeout_ns);
}

static long call_send(struct stage *stage, uint64_t timeout_ns)
{
    return aw_send(stage->fds[1], "x", 1, MSG_NOSIGNAL, timeout_ns);
}

static long call_sendmsg(struct stage *stage, uint64_t timeout_ns)
{
    char x = 'x';
    struct iovec part = { &x, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    return aw_sendmsg(stage->fds[1], &message, MSG_NOSIGNAL, timeout_ns);
}

/* ---- locks and children ---- */

/* A process that holds something until it is told to let go. */
static void hold(struct stage *stage, bool (*take)(const struct stage *stage))
{
    int ready[2], ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    stage->holder = fork();
    ck_assert_int_ge(stage->holder, 0);
    if (stage->holder == 0) {
        close(ends[1]);
        if (take != NULL && !take(stage))
            _exit(1);
        put_byte(ready[1]);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        _exit(0);
    }
    close(ends[0]);
    close(ready[1]);
    while (read(ready[0], &byte, 1) < 0)
        ck_assert_int_eq(errno, EINTR);
    close(ready[0]);
    stage->holder_ends = ends[1];
}

static int release_holder(struct stage *stage)
{
    return put_byte(stage->holder_ends);
}

void stage_file(struct stage *stage)
{
    make_path(stage);
    keep(stage, open(stage->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static bool take_flock(const struct stage *stage)
{
    int fd = open(stage->path, O_RDWR);
    return fd >= 0 && flock(fd, LOCK_EX) == 0;
}

static void prepare_flock(struct stage *stage)
{
    stage_file(stage);
    hold(stage, take_flock);
}

static long call_flock(struct stage *stage, uint64_t timeout_ns)
{
    return aw_flock(stage->fds[0], LOCK_EX, timeout_ns);
}

static bool take_record(const struct stage *stage)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int fd = open(stage->path, O_RDWR);
    return fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0;
}

static void prepare_record(struct stage *stage)
{
    stage_file(stage);
    hold(stage, take_record);
}

static long lock_record(const struct stage *stage, int command, uint64_t timeout_ns)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    return aw_fcntl_lock(stage->fds[0], command, &lock, timeout_ns);
}

static long call_setlkw(struct stage *stage, uint64_t timeout_ns)
{
    return lock_record(stage, F_SETLKW, timeout_ns);
}

static long call_ofd_setlkw(struct stage *stage, uint64_t timeout_ns)
{
    return lock_record(stage, F_OFD_SETLKW, timeout_ns);
}

static void prepare_process(struct stage *stage)
{
    hold(stage, NULL);
}

static long call_waitid(struct stage *stage, uint64_t timeout_ns)
{
    siginfo_t info;
    int result = aw_waitid(P_PID, (id_t)stage->holder, &info, WEXITED, timeout_ns);
    if (result == 0) {
        ck_assert_int_eq(info.si_pid, stage->holder);
        stage->holder = 0;
    }
    return result;
}

/* ---- calls by number ---- */

static void prepare_futex(struct stage *stage)
{
    stage->word = mmap(NULL, sizeof *stage->word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(stage->word, MAP_FAILED);
}

/* A word that has changed is as good as a wake-up. */
static long call_futex(struct stage *stage, uint64_t timeout_ns)
{
    const long arguments[6] = { (long)stage->word, FUTEX_WAIT };
    long result = aw_syscall(timeout_ns, SYS_futex, arguments);
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int release_futex(struct stage *stage)
{
    __atomic_store_n(stage->word, 1, __ATOMIC_SEQ_CST);
    return syscall(SYS_futex, stage->word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0 ? 0 : 1;
}

/* It is never restarted by the kernel. */
static void prepare_epoll(struct stage *stage)
{
    struct epoll_event event = { .events = EPOLLIN };
    stage_pipe(stage);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    keep(stage, fd);
    ck_assert_int_eq(epoll_ctl(fd, EPOLL_CTL_ADD, stage->fds[0], &event), 0);
}

static long call_epoll(struct stage *stage, uint64_t timeout_ns)
{
    struct epoll_event event;
    const long arguments[6] = { stage->fds[2], (long)&event, 1, -1 };
    return aw_syscall(timeout_ns, SYS_epoll_pwait, arguments);
}

const struct blocking blocking_calls[] = {
    { "open", prepare_fifo, call_open, release_reader },
    { "openat", prepare_folder, call_openat, release_writer },
    { "read", stage_pipe, call_read, release_read },
    { "readv", stage_pipe, call_readv, release_read },
    { "write", prepare_full_pipe, call_write, release_write },
    { "writev", prepare_full_pipe, call_writev, release_write },
    { "read of a terminal", prepare_terminal, call_read, release_read },
    { "write of a terminal", prepare_stopped_terminal, call_terminal_write, release_terminal_write },
    { "accept4", prepare_listener, call_accept, release_accept },
    { "connect", prepare_full_listener, call_connect, release_connect },
    { "recv", prepare_sockets, call_recv, release_read },
    { "recvmsg", prepare_sockets, call_recvmsg, release_read },
    { "send", prepare_full_sockets, call_send, release_write },
    { "sendmsg", prepare_full_sockets, call_sendmsg, release_write },
    { "flock", prepare_flock, call_flock, release_holder },
    { "F_SETLKW", prepare_record, call_setlkw, release_holder },
    { "F_OFD_SETLKW", prepare_record, call_ofd_setlkw, release_holder },
    { "waitid", prepare_process, call_waitid, release_holder },
    { "futex", prepare_futex, call_futex, release_futex },
    { "epoll_pwait", prepare_epoll, call_epoll, release_read },
};

const unsigned n_blocking_calls = sizeof blocking_calls / sizeof blocking_calls[0];

void stage_build(struct stage *stage, const struct blocking *blocking)
{
    memset(stage, 0, sizeof *stage);
    stage->granted = stage->holder_ends = -1;
    if (blocking != NULL)
        blocking->prepare(stage);
}

void stage_clear(struct stage *stage)
{
    for (unsigned i = 0; i < stage->n_fds; ++i)
        close(stage->fds[i]);
    if (stage->granted >= 0)
        close(stage->granted);
    if (stage->holder_ends >= 0)
        close(stage->holder_ends);
    if (stage->holder > 0)
        child_status(stage->holder);
    if (stage->word != NULL)
        munmap(stage->word, sizeof *stage->word);
    if (stage->path[0] != '\0')
        unlink(stage->path);
    if (stage->folder[0] != '\0')
        rmdir(stage->folder);
}

struct release {
    struct stage *stage;
    const struct blocking *blocking;
};

static int release(void *arg)
{
    const struct release *it = arg;
    return it->blocking->release(it->stage);
}

pid_t release_later(struct stage *stage, const struct blocking *blocking, uint64_t delay_ms)
{
    struct release it = { stage, blocking };
    return in_child(delay_ms, release, &it);
}
