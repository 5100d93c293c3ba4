/* SPDX-License-Identifier: MIT */
/*
 * labels.c: a set of labels is a number: that of its last label, which knows those that were pushed before
 * it. Equal sets have equal numbers, so that a handler compares and stores no more than one word. The sets
 * are kept for the life of the process, since a profile may hold any of them.
 */
#include "labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/sampler.h"

struct set {
    struct awi_label label;
    uint32_t next; /* in the same bucket */
};

#define BUCKETS 256u

/* Under the sampler's lock. A set that a thread has the number of does not change any more. */
static struct set *sets[AWI_LABELS_MAX + 1]; /* the first stays NULL: no labels */
static uint32_t count = 1;
static _Atomic uint32_t buckets[BUCKETS]; /* published last: sets are looked for without the lock */

static _Atomic uint32_t *bucket_of(uint32_t parent, const char *key, const char *value)
{
    uint32_t hash = parent + 1;
    for (const char *c = key; *c != '\0'; ++c)
        hash = (hash ^ (unsigned char)*c) * UINT32_C(16777619);
    hash *= UINT32_C(16777619);
    for (const char *c = value; *c != '\0'; ++c)
        hash = (hash ^ (unsigned char)*c) * UINT32_C(16777619);
    return &buckets[(hash ^ hash >> 16) % BUCKETS];
}

static struct set *make_set(uint32_t parent, const char *key, const char *value)
{
    size_t key_bytes = strlen(key) + 1;
    size_t value_bytes = strlen(value) + 1;
    struct set *set = malloc(sizeof *set + key_bytes + value_bytes);
    if (set == NULL)
        return NULL;
    char *strings = (char *)(set + 1);
    memcpy(strings, key, key_bytes);
    memcpy(strings + key_bytes, value, value_bytes);
    set->label = (struct awi_label){ .parent = parent, .key = strings, .value = strings + key_bytes };
    return set;
}

/* The number of a set; 0: there is none like it. */
static uint32_t find(uint32_t parent, const char *key, const char *value)
{
    uint32_t i = atomic_load_explicit(bucket_of(parent, key, value), memory_order_acquire);
    for (; i != 0; i = sets[i]->next) {
        const struct awi_label *label = &sets[i]->label;
        if (label->parent == parent && strcmp(label->key, key) == 0 && strcmp(label->value, value) == 0)
            break;
    }
    return i;
}

/* Under the lock. The number of a set, or a negative errno. */
static int32_t intern(uint32_t parent, const char *key, const char *value)
{
    uint32_t found = find(parent, key, value);
    if (found != 0)
        return (int32_t)found;
    if (count > AWI_LABELS_MAX)
        return -ENOSPC;
    struct set *set = make_set(parent, key, value);
    if (set == NULL)
        return -ENOMEM;
    _Atomic uint32_t *bucket = bucket_of(parent, key, value);
    set->next = atomic_load_explicit(bucket, memory_order_relaxed);
    sets[count] = set;
    atomic_store_explicit(bucket, count, memory_order_release);
    return (int32_t)count++;
}

int aw_profile_label_push(const char *key, const char *value)
{
    if (key == NULL || value == NULL || key[0] == '\0')
        return -EINVAL;
    uint32_t parent = atomic_load_explicit(&awi_thread_label, memory_order_relaxed);
    int32_t set = (int32_t)find(parent, key, value);
    if (set == 0) {
        awi_sampler_lock();
        set = intern(parent, key, value);
        awi_sampler_unlock();
    }
    if (set < 0)
        return set;
    atomic_store_explicit(&awi_thread_label, (uint32_t)set, memory_order_relaxed);
    return 0;
}

int aw_profile_label_pop(void)
{
    uint32_t set = atomic_load_explicit(&awi_thread_label, memory_order_relaxed);
    if (set == 0)
        return -ENOENT;
    atomic_store_explicit(&awi_thread_label, sets[set]->label.parent, memory_order_relaxed);
    return 0;
}

size_t awi_labels_copy(struct awi_label *labels, size_t max)
{
    labels[0] = (struct awi_label){ .key = "", .value = "" };
    size_t copied = 1;
    for (; copied < count && copied < max; ++copied)
        labels[copied] = sets[copied]->label;
    return copied;
}
