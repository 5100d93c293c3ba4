/* SPDX-License-Identifier: MIT */
/* collect.c: see collect.h. */
#include "collect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../profile/freeze.h"
#include "../profile/sampler/recording.h"
#include "../profile/sampler/registry.h"
#include "../profile/sampler/sampler.h"
#include "settings.h"

#define BYTES_MAX ((off_t)1 << 30)

static bool read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
    char *at = buffer;
    while (bytes > 0) {
        ssize_t count = pread(fd, at, bytes, (off_t)offset);
        if (count <= 0 && !(count < 0 && errno == EINTR))
            return false;
        if (count > 0) {
            at += count;
            offset += (uint64_t)count;
            bytes -= (size_t)count;
        }
    }
    return true;
}

/* Calls `visit` for each recording. */
typedef void visit_fn(const char *path, long pid, unsigned ordinal, void *arg);

static void each(const char *path, visit_fn *visit, void *arg)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char *end;
        char *last;
        char name[PATH_MAX + 64];
        long pid = strtol(entry->d_name, &end, 10);
        if (end == entry->d_name || pid <= 0 || *end != '.' || end[1] < '0' || end[1] > '9')
            continue;
        unsigned long ordinal = strtoul(end + 1, &last, 10);
        if (*last != '\0' || ordinal == 0 || ordinal > UINT_MAX)
            continue;
        snprintf(name, sizeof name, AWI_RECORDING_NAME, path, pid, (unsigned)ordinal);
        visit(name, pid, (unsigned)ordinal, arg);
    }
    closedir(directory);
}

/* --- One recording ------------------------------------------------------------------------------------ */

/*
 * Addresses rise with the order in which a recorder publishes: what is whole when its mark is read is read
 * whole.
 */
static void *read_file(const char *path, size_t *bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    void *block = NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        status.st_size <= BYTES_MAX)
        block = malloc((size_t)status.st_size);
    *bytes = block != NULL ? (size_t)status.st_size : 0;
    if (block != NULL && !read_at(fd, block, *bytes, 0)) {
        free(block);
        block = NULL;
    }
    close(fd);
    return block;
}

static struct aw_profile *freeze(struct awi_recording *recording, uint64_t now_ns)
{
    const struct awi_recording_head *head = recording->head;
    struct awi_room *room = awi_profile_prepare(recording);
    if (room == NULL)
        return NULL;
    awi_recording_look(recording);
    awi_profile_fill(room, recording, 0, false, false);
    struct aw_profile *profile = room->profile;
    profile->elapsed_ns = now_ns > head->started_ns ? now_ns - head->started_ns : 0;
    profile->stats.elapsed_ns = profile->elapsed_ns;
    profile->stats.capped_hz = awi_sampler_capped_hz(profile->clock, head->hz);
    return profile;
}

static bool add(struct awi_collection *collection, const struct awi_take *take)
{
    if (collection->count == collection->capacity) {
        size_t capacity = collection->capacity > 0 ? 2 * collection->capacity : 16;
        void *larger = reallocarray(collection->takes, capacity, sizeof *take);
        if (larger == NULL)
            return false;
        collection->takes = larger;
        collection->capacity = capacity;
    }
    collection->takes[collection->count++] = *take;
    return true;
}

static void take_file(struct awi_collection *collection, const char *path, long pid, unsigned ordinal)
{
    size_t bytes = 0;
    struct awi_recording recording;
    struct awi_take take = { .pid = pid, .ordinal = ordinal };
    void *block = read_file(path, &bytes);
    if (block == NULL || awi_recording_attach(block, bytes, &recording) != 0) {
        free(block);
        return;
    }
    snprintf(take.program, sizeof take.program, "%s", recording.head->program);
    take.profile = freeze(&recording, collection->now_ns);
    free(block);
    if (pid != collection->kept_pid && take.profile != NULL && take.profile->stats.samples == 0) {
        aw_profile_free(take.profile);
        return;
    }
    if (take.profile == NULL || !add(collection, &take)) {
        aw_profile_free(take.profile);
        collection->is_incomplete = true;
    }
}

/* --- All of them -------------------------------------------------------------------------------------- */

static bool read_head(int fd, struct awi_recording_head *head)
{
    return read_at(fd, head, sizeof *head, 0) && atomic_load(&head->magic) == AWI_RECORDING_MAGIC;
}

static bool read_head_of(const char *path, struct awi_recording_head *head)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool is_whole = read_head(fd, head);
    close(fd);
    return is_whole;
}

/* Has its process gone on to another program, or ended? In another PID namespace it has another number. */
static bool is_over(const char *directory, const char *path, long pid, unsigned ordinal)
{
    char next[PATH_MAX + 64];
    struct awi_recording_head head;
    snprintf(next, sizeof next, AWI_RECORDING_NAME, directory, pid, ordinal + 1);
    bool is_left = access(next, F_OK) == 0;
    if (!is_left && !(kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return false;
    /* One that was taken is empty. */
    return read_head_of(path, &head) && (is_left || head.pid_namespace == awi_registry_pid_namespace());
}

/*
 * Gives its room on the disk back. The name stays taken, so that a later program of the process has another
 * one; and the size, in case that somebody has it mapped.
 */
static void empty_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &status) != 0 ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, status.st_size) != 0)
        unlink(path);
    close(fd);
}

struct taking {
    struct awi_collection *collection;
    bool is_all;
};

static void take_if_over(const char *path, long pid, unsigned ordinal, void *arg)
{
    const struct taking *taking = arg;
    if (!taking->is_all && !is_over(taking->collection->directory, path, pid, ordinal))
        return;
    take_file(taking->collection, path, pid, ordinal);
    if (!taking->is_all)
        empty_file(path);
}

void awi_collect(struct awi_collection *collection, bool is_all)
{
    struct taking taking = { collection, is_all };
    each(collection->directory, take_if_over, &taking);
}

void awi_collection_free(struct awi_collection *collection)
{
    for (size_t i = 0; i < collection->count; ++i)
        aw_profile_free(collection->takes[i].profile);
    free(collection->takes);
    collection->takes = NULL;
    collection->count = collection->capacity = 0;
}

static int by_process(const void *a, const void *b)
{
    const struct awi_take *left = a;
    const struct awi_take *right = b;
    int order = (left->pid > right->pid) - (left->pid < right->pid);
    return order != 0 ? order : (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

void awi_collection_sort(struct awi_collection *collection)
{
    if (collection->count > 1)
        qsort(collection->takes, collection->count, sizeof *collection->takes, by_process);
}

const struct awi_take *awi_collection_find(const struct awi_collection *collection, long pid)
{
    const struct awi_take *found = NULL;
    for (size_t i = 0; i < collection->count; ++i) {
        const struct awi_take *take = &collection->takes[i];
        if (take->pid == pid && (found == NULL || take->ordinal > found->ordinal))
            found = take;
    }
    return found;
}

/* --- While they are written --------------------------------------------------------------------------- */

static void count_file(const char *path, long pid, unsigned ordinal, void *arg)
{
    (void)pid;
    (void)ordinal;
    struct awi_recording_head head;
    struct awi_thread_record record;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    uint32_t threads = read_head(fd, &head) ? atomic_load(&head.threads_used) : 0;
    for (uint32_t i = 0; i < threads && i < UINT16_MAX; ++i) {
        if (!read_at(fd, &record, sizeof record, head.threads + i * sizeof record))
            break;
        for (unsigned half = 0; half < AWI_HALVES; ++half)
            *(uint64_t *)arg += atomic_load(&record.counts[half].samples);
    }
    close(fd);
}

uint64_t awi_collect_count(const char *directory)
{
    uint64_t count = 0;
    each(directory, count_file, &count);
    return count;
}

static void find_start(const char *path, long pid, unsigned ordinal, void *arg)
{
    (void)pid;
    (void)ordinal;
    uint64_t *started_ns = arg;
    struct awi_recording_head head;
    if (read_head_of(path, &head) && (*started_ns == 0 || head.started_ns < *started_ns))
        *started_ns = head.started_ns;
}

uint64_t awi_collect_started_ns(const char *directory)
{
    uint64_t started_ns = 0;
    each(directory, find_start, &started_ns);
    return started_ns;
}

static void stop_file(const char *path, long pid, unsigned ordinal, void *arg)
{
    (void)pid;
    (void)ordinal;
    (void)arg;
    const uint32_t stop = 1;
    struct awi_recording_head head;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    /* A file that is no recording, or on a full disk: it is sampled on, which does no harm. */
    if (read_head(fd, &head) &&
        pwrite(fd, &stop, sizeof stop, (off_t)offsetof(struct awi_recording_head, stop_wanted)) < 0)
        errno = 0;
    close(fd);
}

void awi_collect_stop(const char *directory)
{
    each(directory, stop_file, NULL);
}

bool awi_collect_reason(const char *directory, long pid, char *reason, size_t bytes)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, AWI_REASON_NAME, directory, pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t count = pread(fd, reason, bytes - 1, 0);
    close(fd);
    reason[count > 0 ? count : 0] = '\0';
    for (char *at = reason; *at != '\0'; ++at) {
        if (*at < ' ')
            *at = ' ';
    }
    return count > 0;
}

bool awi_collect_is_marked(const char *directory, long pid)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, AWI_MARK_NAME, directory, pid);
    return access(path, F_OK) == 0;
}
