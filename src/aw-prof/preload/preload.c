/* SPDX-License-Identifier: MIT */
/*
 * preload.c: the constructor. It reads what aw-prof wants, gives the environment back to the program, and
 * starts the sampler in a file that aw-prof will read. Whatever fails, the program goes on as if nothing had
 * happened; the reason is left in a file for aw-prof to tell.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../profile/sampler/state.h"

#define PROGRAMS_MAX 1000000u /* that one process becomes, by exec */

struct awi_settings awi_settings;

static void *block; /* the recording's memory */

static struct awi_libc libc;
static atomic_bool is_looked_up;

/* Threads that come here at the same time write the same. */
static void look_up(void)
{
    *(void **)&libc.sigaction = dlsym(RTLD_NEXT, "sigaction");
    *(void **)&libc.signal = dlsym(RTLD_NEXT, "signal");
    *(void **)&libc.sysv_signal = dlsym(RTLD_NEXT, "__sysv_signal");
    *(void **)&libc.sigset = dlsym(RTLD_NEXT, "sigset");
    *(void **)&libc.sigignore = dlsym(RTLD_NEXT, "sigignore");
    *(void **)&libc.siginterrupt = dlsym(RTLD_NEXT, "siginterrupt");
    *(void **)&libc.sigwait = dlsym(RTLD_NEXT, "sigwait");
    *(void **)&libc.sigwaitinfo = dlsym(RTLD_NEXT, "sigwaitinfo");
    *(void **)&libc.sigtimedwait = dlsym(RTLD_NEXT, "sigtimedwait");
    *(void **)&libc.pthread_create = dlsym(RTLD_NEXT, "pthread_create");
    *(void **)&libc.thrd_create = dlsym(RTLD_NEXT, "thrd_create");
    *(void **)&libc.execvp = dlsym(RTLD_NEXT, "execvp");
    atomic_store_explicit(&is_looked_up, true, memory_order_release);
}

const struct awi_libc *awi_libc(void)
{
    if (!atomic_load_explicit(&is_looked_up, memory_order_acquire))
        look_up();
    return &libc;
}

static void write_reason(const char *what, int error)
{
    char path[PATH_MAX + 32];
    char reason[160];
    snprintf(path, sizeof path, AWI_REASON_NAME, awi_settings.directory, (long)getpid());
    int length = snprintf(reason, sizeof reason, "%s: %s", what, strerror(error));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    if (length > 0 && write(fd, reason, strlen(reason)) < 0)
        unlink(path);
    close(fd);
}

/*
 * All of the file is allocated at once: on a full disk a page that is not would be a SIGBUS, at a random
 * sample. Beyond the limit on the size of files the kernel sends SIGXFSZ.
 */
static int allocate(int fd, size_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
        return EFBIG;
    int error = EINTR;
    while (error == EINTR)
        error = posix_fallocate(fd, 0, (off_t)bytes);
    return error;
}

/* A new file for this process and program. -1, and errno. */
static int create_file(char path[PATH_MAX + 32])
{
    int fd = -1;
    for (unsigned program = 1; fd < 0 && program <= PROGRAMS_MAX; ++program) {
        snprintf(path, PATH_MAX + 32, AWI_RECORDING_NAME, awi_settings.directory, (long)getpid(), program);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

static int map_file(int fd)
{
    int error = allocate(fd, awi_settings.bytes);
    if (error != 0)
        return error;
    void *memory = mmap(NULL, awi_settings.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return errno;
    block = memory;
    return 0;
}

static int start_sampler(bool is_forked)
{
    struct awi_sampler_options options = {
        .clock = awi_settings.clock,
        .hz = awi_settings.hz,
        .max_depth = awi_settings.max_depth,
        .block = block,
        .bytes = awi_settings.bytes,
        .has_only_posix_timers = true,
        .has_one_thread = is_forked,
        .foreign = awi_dispositions_foreign,
    };
    return -awi_sampler_start(&options);
}

bool awi_preload_has_directory(void)
{
    struct stat status;
    return lstat(awi_settings.directory, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid() && (status.st_mode & 077) == 0;
}

bool awi_preload_record(bool is_forked)
{
    char path[PATH_MAX + 32];
    if (!awi_preload_has_directory())
        return false;
    /* A parent's, which the sampler has let go of in the child of a fork. */
    if (block != NULL)
        munmap(block, awi_settings.bytes);
    block = NULL;
    int fd = create_file(path);
    if (fd < 0) {
        write_reason("no file for the samples", errno);
        return false;
    }
    int error = map_file(fd);
    close(fd);
    if (error != 0) {
        write_reason("no room for the samples", error);
        unlink(path);
        return false;
    }
    error = start_sampler(is_forked);
    if (error == 0)
        return true;
    write_reason("the sampler does not start", error);
    munmap(block, awi_settings.bytes);
    block = NULL;
    unlink(path);
    return false;
}

__attribute__((constructor)) static void begin(void)
{
    int saved_errno = errno;
    look_up();
    const char *text = getenv(AWI_SETTINGS_VARIABLE);
    if (text == NULL || !awi_settings_parse(text, &awi_settings)) {
        awi_settings.directory[0] = '\0';
        errno = saved_errno;
        return;
    }
    awi_environment_enter(awi_settings.is_follow);
    if (awi_preload_record(false)) {
        awi_dispositions_begin();
        awi_threads_let_through();
    }
    awi_follow_begin();
    errno = saved_errno;
}

/*
 * What the timers have told is true to a period; at an orderly end it can be said exactly, for threads that
 * block the signal, too. No lock is taken: exit may have been called in a handler.
 */
__attribute__((destructor)) static void end(void)
{
    struct awi_recording *recording = &awi_sampler.recording;
    if (!awi_sampler_is_on() || recording->head->pid != getpid() ||
        atomic_load(&recording->head->stop_wanted) != 0)
        return;
    for (uint32_t i = 0; i < awi_recording_threads(recording); ++i) {
        struct awi_thread_record *record = &recording->threads[i];
        uint64_t now;
        if (atomic_load(&record->state) == AWI_THREAD_SAMPLED &&
            awi_slot_clock(&awi_sampler.slots[i], &now) && now > record->running_since_ns)
            record->looked_ns = atomic_load(&record->used_ns) + now - record->running_since_ns;
    }
}
