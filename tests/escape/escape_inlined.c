/* SPDX-License-Identifier: MIT */
/*
 * escape_inlined.c: escapes out of a function of the library that link-time optimisation has inlined into the
 * very function that holds the guard: it is still under way, and not left in the middle. Exit status: 0 posts
 * are run as ever, 1 they are not.
 */
#include <stdio.h>

#include <alarmwheel/alarmwheel.h>

#define ROUNDS 2000u

static volatile unsigned runs, escapes;

static int count(void *arg)
{
    (void)arg;
    ++runs;
    return 0;
}

/*
 * One call in the whole program, so that it is inlined: until an escape ends it, or one round if it checks.
 */
__attribute__((noinline)) static void post(volatile bool checks, uint64_t timeout_ns)
{
    struct aw_guard guard;
    volatile unsigned posts = checks ? 1 : 900;
    AW_GUARD(&guard, timeout_ns, AW_GUARD_ESCAPE | AW_GUARD_NOMASK) {
        do {
            for (volatile unsigned i = 0; i < posts; ++i)
                (void)aw_post(count, NULL);
            (void)aw_dispatch(0);
        } while (!checks);
    }
    AW_EXPIRED
    {
        ++escapes;
    }
}

int main(void)
{
    if (aw_init(NULL) != 0)
        return 2;
    for (unsigned round = 0; round < ROUNDS; ++round) {
        post(false, AW_US(60) + AW_US(3) * (round * 37 % 100));
        runs = 0;
        post(true, AW_SEC(3600));
        if (runs == 0) {
            printf("after %u escapes what is posted does not run\n", escapes);
            return 1;
        }
    }
    printf("%u escapes\n", escapes);
    return escapes == ROUNDS ? 0 : 1;
}
