/* SPDX-License-Identifier: MIT */
/*
 * object.h: which program or shared library contains an address of code? Asked for every frame that an
 * escape would leave.
 */
#ifndef AWI_OBJECT_H
#define AWI_OBJECT_H

#include <stdint.h>

/*
 * glibc looks objects up without a lock since 2.35, and libgcc unwinds without one since gcc 12: only then
 * may a signal handler ask, and unwind.
 */
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35) && \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))
#define AWI_UNWINDS_IN_HANDLERS 1
#else
#define AWI_UNWINDS_IN_HANDLERS 0
#endif

/* Names the object that `address` lies in; 0: none. AS-Safe where AWI_UNWINDS_IN_HANDLERS. */
uintptr_t awi_object_of(uintptr_t address);

#endif
