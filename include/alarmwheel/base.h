/* SPDX-License-Identifier: MIT */
/*
 * base.h: what every other header of alarmwheel stands on: visibility, version, units of time and the
 * convention for errors.
 *
 * Time is a `uint64_t` count of nanoseconds on CLOCK_MONOTONIC; every parameter that carries one ends in
 * `_ns`. Sums saturate at AW_FOREVER instead of wrapping.
 *
 * Errors are negative errno values; success is 0 or a count. `errno` itself is left alone. (Guarded calls,
 * io.h, are as the originals: -1 and errno.)
 *
 * Safety is stated in the vocabulary of attributes(7):
 *   AS-Safe    may be called from a signal handler;       AS-Unsafe  may not.
 *   MT-Safe    may be called from any thread at any time; "owner"    only from the thread that called
 *                                                                    aw_init first, others get -EPERM.
 */
#ifndef ALARMWHEEL_BASE_H
#define ALARMWHEEL_BASE_H

#include <stddef.h>
#include <stdint.h>

/* Visibility of a public symbol. The library is compiled with hidden visibility; this lifts it. */
#if defined(__GNUC__)
#define AW_API __attribute__((visibility("default")))
#else
#define AW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers; aw_version() tells the version of the library that was loaded. */
#define AW_VERSION_MAJOR 0
#define AW_VERSION_MINOR 1
#define AW_VERSION_PATCH 0
#define AW_VERSION_STRING "0.1.0"

/* No deadline at all. To arm a timer with it is an error (-EINVAL); to wait or guard with it is not. */
#define AW_FOREVER UINT64_MAX

/*
 * Whole units as nanoseconds. Constant expressions; they saturate at AW_FOREVER, negative values too. `n`
 * is evaluated more than once.
 */
#define AWI_UNITS(n, unit) \
    ((uint64_t)(n) * (unit) / (unit) == (uint64_t)(n) ? (uint64_t)(n) * (unit) : UINT64_MAX)
#define AW_US(n) AWI_UNITS(n, UINT64_C(1000))
#define AW_MS(n) AWI_UNITS(n, UINT64_C(1000000))
#define AW_SEC(n) AWI_UNITS(n, UINT64_C(1000000000))

/*
 * The version of the library that runs, as "major.minor.patch".
 * AS-Safe, MT-Safe; unaffected by fork; the string lives for ever.
 */
AW_API const char *aw_version(void);

#ifdef __cplusplus
}
#endif

#endif
