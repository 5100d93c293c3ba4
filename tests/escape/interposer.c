/* SPDX-License-Identifier: MIT */
/*
 * interposer.c: a shared library that puts its own read(2) in front of libc's, as LD_PRELOAD does, and holds
 * a lock while the real one, or the system call that it makes itself, blocks: for escape_interposed.c.
 */
#include "interposer.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned calls;
static volatile bool by_itself;

void interposer_calls_by_itself(bool does)
{
    by_itself = does;
}

unsigned interposer_calls(void)
{
    return calls;
}

bool interposer_is_locked(void)
{
    if (pthread_mutex_trylock(&lock) != 0)
        return true;
    pthread_mutex_unlock(&lock);
    return false;
}

typedef ssize_t read_fn(int fd, void *buffer, size_t n);

/* In the text of the function that has libc's name. */
__attribute__((always_inline)) static inline ssize_t call(read_fn *real, int fd, void *buffer, size_t n)
{
#ifdef __x86_64__
    if (by_itself) {
        long result = SYS_read;
        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"((long)fd), "S"(buffer), "d"(n)
                         : "rcx", "r11", "memory");
        if (result >= 0)
            return result;
        errno = (int)-result;
        return -1;
    }
#endif
    return real(fd, buffer, n);
}

ssize_t read(int fd, void *buffer, size_t n)
{
    static read_fn *real;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "read");
    pthread_mutex_lock(&lock);
    calls = calls + 1;
    ssize_t result = call(real, fd, buffer, n);
    pthread_mutex_unlock(&lock);
    return result;
}
