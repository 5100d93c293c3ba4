/* SPDX-License-Identifier: MIT */
/*
 * escape_interposed.c: escapes beside a read(2) that is not libc's but a library's in front of it, with a
 * lock that it holds around the real one, or around the system call that it makes itself.
 */
#include <errno.h>
#include <fcntl.h>

#include "check_main.h"
#include "interposer.h"
#include "spin.h"

/* It has libc's name, but what it holds is its own: it is not left in the middle, and returns EINTR. */
static void read_through_it(int variant, bool by_itself)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    interposer_calls_by_itself(by_itself);
    start_variant(variant);
    unsigned calls = interposer_calls();
    for (volatile int i = 0; i < 10; ++i) {
        struct aw_guard guard;
        AW_GUARD(&guard, AW_MS(2), AW_GUARD_ESCAPE) {
            while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
                spin_ms(1);
        }
        ck_assert(aw_guard_expired(&guard));
        ck_assert(!interposer_is_locked());
    }
    ck_assert_uint_gt(interposer_calls(), calls);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert_int_eq(aw_shutdown(), 0);
}

START_TEST(h16_an_interposed_wrapper)
{
    read_through_it(_i, false);
}
END_TEST

START_TEST(h16_one_that_makes_the_call_itself)
{
    read_through_it(_i, true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape_interposed");
    TCase *interposed = signal_case(suite, "interposed");

    tcase_add_loop_test(interposed, h16_an_interposed_wrapper, 0, VARIANTS);
    tcase_add_loop_test(interposed, h16_one_that_makes_the_call_itself, 0, VARIANTS);
    return run_suite(suite);
}
