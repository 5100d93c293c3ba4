/* SPDX-License-Identifier: MIT */
/*
 * labels_test.c: threads that push labels at the same moment: sets are looked for without a lock, and equal
 * ones have one number all the same.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "check_main.h"
#include "profile/labels.h"
#include "profile/sampler/sampler.h"
#include "profile/sampler/state.h"
#include "signal_fixture.h"

#define THREADS 3u
#define ROUNDS 2000u      /* two sets each */
#define LEAST_ROUNDS 100u /* where the threads meet so slowly that the others would take minutes */

struct pusher {
    pthread_t thread;
    bool tells_end;
    uint32_t outer[ROUNDS];
    uint32_t inner[ROUNDS];
    bool has_failed;
};

static atomic_uint arrived;
static atomic_uint rounds = ROUNDS;

/* All push at the same moment; on a machine with fewer processors, some of them. */
static void meet(unsigned round)
{
    atomic_fetch_add(&arrived, 1);
    for (unsigned tries = 0; atomic_load(&arrived) < (round + 1) * THREADS; ++tries) {
        if (tries > 2000)
            sched_yield();
    }
}

static void *push(void *arg)
{
    struct pusher *pusher = arg;
    const uint64_t began = clock_ns();
    for (unsigned i = 0; i < atomic_load(&rounds); ++i) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        /* Told before the meeting, so that all know it after. */
        if (pusher->tells_end && i + 1 >= LEAST_ROUNDS && clock_ns() - began > AW_SEC(20))
            atomic_store(&rounds, i + 1);
        meet(i);
        pusher->has_failed |= aw_profile_label_push("round", value) != 0;
        pusher->outer[i] = atomic_load(&awi_thread_label);
        pusher->has_failed |= aw_profile_label_push("inner", "") != 0;
        pusher->inner[i] = atomic_load(&awi_thread_label);
        pusher->has_failed |=
            aw_profile_label_pop() != 0 || atomic_load(&awi_thread_label) != pusher->outer[i];
        pusher->has_failed |= aw_profile_label_pop() != 0 || atomic_load(&awi_thread_label) != 0;
    }
    return NULL;
}

static void expect_set(const struct awi_label *label, uint32_t parent, const char *key, const char *value)
{
    ck_assert_uint_eq(label->parent, parent);
    ck_assert_str_eq(label->key, key);
    ck_assert_str_eq(label->value, value);
}

START_TEST(equal_sets_have_equal_numbers)
{
    static struct pusher pushers[THREADS];
    static struct awi_label labels[AWI_LABELS_MAX + 1];
    pushers[0].tells_end = true;
    for (unsigned i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_create(&pushers[i].thread, NULL, push, &pushers[i]), 0);
    for (unsigned i = 0; i < THREADS; ++i) {
        ck_assert_int_eq(pthread_join(pushers[i].thread, NULL), 0);
        ck_assert(!pushers[i].has_failed);
    }
    ck_assert_uint_eq(awi_labels_copy(labels, AWI_LABELS_MAX + 1), 1 + 2 * rounds);
    for (unsigned i = 0; i < rounds; ++i) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        for (unsigned thread = 1; thread < THREADS; ++thread) {
            ck_assert_uint_eq(pushers[thread].outer[i], pushers[0].outer[i]);
            ck_assert_uint_eq(pushers[thread].inner[i], pushers[0].inner[i]);
        }
        expect_set(&labels[pushers[0].outer[i]], 0, "round", value);
        expect_set(&labels[pushers[0].inner[i]], pushers[0].outer[i], "inner", "");
    }
}
END_TEST

static void *push_one(void *arg)
{
    uint32_t *set = arg;
    if (aw_profile_label_push("waits", "for the lock") == 0)
        *set = atomic_load(&awi_thread_label);
    return NULL;
}

/* None has found it, and all make it, one after another. */
START_TEST(who_had_to_wait_for_the_lock_looks_again)
{
    pthread_t threads[THREADS];
    uint32_t sets[THREADS] = { 0 };
    awi_sampler_lock();
    for (unsigned i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, push_one, &sets[i]), 0);
    pass_ms(50);
    awi_sampler_unlock();
    for (unsigned i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < THREADS; ++i)
        ck_assert_uint_eq(sets[i], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile labels");
    TCase *labels = signal_case(suite, "labels");
    tcase_add_test(labels, equal_sets_have_equal_numbers);
    tcase_add_test(labels, who_had_to_wait_for_the_lock_looks_again);
    return run_suite(suite);
}
