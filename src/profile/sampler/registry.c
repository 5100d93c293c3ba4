/* SPDX-License-Identifier: MIT */
/*
 * registry.c: a list through the registered threads' own storage, and what /proc says of all threads.
 */
#include "registry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct registered {
    struct registered *next;
    bool is_listed;
    bool has_declined;
    int32_t tid;
    char name[AWI_NAME_BYTES];
};

static struct registered *first;
static _Thread_local struct registered self;

static void copy_name(char target[AWI_NAME_BYTES], const char *name)
{
    size_t bytes = strnlen(name, AWI_NAME_BYTES - 1);
    memcpy(target, name, bytes);
    target[bytes] = '\0';
}

static void list_self(int32_t tid)
{
    self.tid = tid;
    if (self.is_listed)
        return;
    self.is_listed = true;
    self.next = first;
    first = &self;
}

void awi_registry_add(int32_t tid, const char *name)
{
    copy_name(self.name, name != NULL ? name : "");
    self.has_declined = false;
    list_self(tid);
}

void awi_registry_decline(int32_t tid)
{
    self.name[0] = '\0';
    self.has_declined = true;
    list_self(tid);
}

bool awi_registry_has_declined(int32_t tid)
{
    for (const struct registered *thread = first; thread != NULL; thread = thread->next) {
        if (thread->tid == tid)
            return thread->has_declined;
    }
    return false;
}

void awi_registry_remove(void)
{
    for (struct registered **link = &first; *link != NULL; link = &(*link)->next) {
        if (*link == &self) {
            *link = self.next;
            break;
        }
    }
    self.is_listed = false;
}

bool awi_registry_has_self(void)
{
    return self.is_listed && !self.has_declined;
}

void awi_registry_forked(int32_t tid)
{
    first = self.is_listed ? &self : NULL;
    self.next = NULL;
    self.tid = tid;
}

static void read_comm(int32_t tid, char name[AWI_NAME_BYTES])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t bytes = read(fd, name, AWI_NAME_BYTES - 1);
    close(fd);
    name[bytes > 0 ? bytes : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

void awi_registry_name(int32_t tid, char name[AWI_NAME_BYTES])
{
    for (const struct registered *thread = first; thread != NULL; thread = thread->next) {
        if (thread->tid == tid && thread->name[0] != '\0') {
            copy_name(name, thread->name);
            return;
        }
    }
    if (tid == (int32_t)gettid())
        prctl(PR_GET_NAME, name);
    else
        read_comm(tid, name);
}

uint64_t awi_registry_pid_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? (uint64_t)status.st_ino : 0;
}

/* /proc may be that of another PID namespace, whose numbers are not ours. */
static DIR *open_tasks(void)
{
    char pid[32];
    ssize_t bytes = readlink("/proc/self", pid, sizeof pid - 1);
    pid[bytes > 0 ? bytes : 0] = '\0';
    return strtol(pid, NULL, 10) == (long)getpid() ? opendir("/proc/self/task") : NULL;
}

void awi_registry_each(void (*visit)(int32_t tid, void *arg), void *arg)
{
    DIR *tasks = open_tasks();
    if (tasks == NULL) {
        visit((int32_t)gettid(), arg);
        return;
    }
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (isdigit((unsigned char)task->d_name[0]))
            visit((int32_t)strtol(task->d_name, NULL, 10), arg);
    }
    closedir(tasks);
}

static void count_thread(int32_t tid, void *arg)
{
    (void)tid;
    ++*(unsigned *)arg;
}

unsigned awi_registry_count(void)
{
    unsigned count = 0;
    awi_registry_each(count_thread, &count);
    return count;
}
