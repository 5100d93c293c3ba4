/* SPDX-License-Identifier: MIT */
/*
 * group.c: who is in a process group. To hold its number, its leader is left unreaped, and then kill(2) with
 * signal 0 always finds one, the leader: so /proc is asked. It is asked while a group is stopped, in growing
 * steps, and answers with what was true at some time since: whoever relies on that to be quick kills the
 * group once more before it lets the number go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

struct member {
    pid_t pid;
    pid_t parent;
    pid_t group;
    bool is_alive;
};

/* An expired guard interrupts these two. */
static int open_again(int dir, const char *path)
{
    int fd;
    do
        fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static size_t read_again(int fd, char *text, size_t size)
{
    ssize_t n;
    do
        n = read(fd, text, size);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}

/* The numbers that follow name and state: proc_pid_stat(5). */
enum {
    PARENT = 0,
    GROUP = 1,
    THREADS = 16
};

/* The name comes first, in parentheses, and may hold anything. A process without its first thread says Z. */
static bool parse(const char *text, struct member *member)
{
    const char *fields = strrchr(text, ')');
    long numbers[THREADS + 1];
    if (fields == NULL || fields[1] != ' ' || fields[2] == '\0')
        return false;
    char state = fields[2], *at = (char *)fields + 3;
    for (unsigned i = 0; i <= THREADS; ++i) {
        const char *before = at;
        numbers[i] = strtol(before, &at, 10);
        if (at == before)
            return false;
    }
    member->parent = (pid_t)numbers[PARENT];
    member->group = (pid_t)numbers[GROUP];
    member->is_alive = numbers[THREADS] > 1 || (state != 'Z' && state != 'X');
    return true;
}

/* False: it is no process, or has gone meanwhile. */
static bool look_up(int proc, const char *name, struct member *member)
{
    char path[32], text[512];
    char *end;
    member->pid = (pid_t)strtol(name, &end, 10);
    if (member->pid < 1 || *end != '\0')
        return false;
    snprintf(path, sizeof path, "%d/stat", (int)member->pid);
    int fd = open_again(proc, path);
    if (fd < 0)
        return false;
    size_t n = read_again(fd, text, sizeof text - 1);
    close(fd);
    text[n] = '\0';
    return parse(text, member);
}

/* Numbers of another namespace say nothing here. */
static bool is_ours(int proc)
{
    char name[32];
    ssize_t n = readlinkat(proc, "self", name, sizeof name - 1);
    if (n <= 0)
        return false;
    name[n] = '\0';
    return strtol(name, NULL, 10) == getpid();
}

static DIR *open_proc(void)
{
    int fd = open_again(AT_FDCWD, "/proc");
    if (fd < 0)
        return NULL;
    DIR *proc = is_ours(fd) ? fdopendir(fd) : NULL;
    if (proc == NULL)
        close(fd);
    return proc;
}

/* Until fn says true: 1; 0: it never did; or negative errno. */
static int each_member(pid_t leader, bool (*fn)(const struct member *member))
{
    DIR *proc = open_proc();
    if (proc == NULL)
        return -ENOENT;
    struct member member;
    const struct dirent *entry;
    int found = 0;
    while (found == 0 && (entry = readdir(proc)) != NULL)
        found = look_up(dirfd(proc), entry->d_name, &member) && member.group == leader &&
                member.pid != leader && fn(&member);
    closedir(proc);
    return found;
}

static bool is_alive(const struct member *member)
{
    return member->is_alive;
}

int awi_group_lives(pid_t leader)
{
    return each_member(leader, is_alive);
}

/* Never true: goes on to the next. */
static bool reap(const struct member *member)
{
    int ignored;
    if (member->parent == getpid() && !member->is_alive)
        (void)awi_child_reap(member->pid, &ignored);
    return false;
}

void awi_group_reap(pid_t leader)
{
    (void)each_member(leader, reap);
}
