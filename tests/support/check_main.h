/* SPDX-License-Identifier: MIT */
/*
 * check_main.h: main() of a test program on Check, for tests of pure logic: one suite, one exit status. The
 * tests of signals have a fixture of their own, because Check itself takes SIGALRM.
 */
#ifndef AWI_CHECK_MAIN_H
#define AWI_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
