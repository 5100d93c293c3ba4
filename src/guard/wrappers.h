/* SPDX-License-Identifier: MIT */
/*
 * wrappers.h: the functions of libc that do nothing but make one system call that may block. An escape may
 * leave them where that call stands; every other function of libc it may not.
 */
#ifndef AWI_WRAPPERS_H
#define AWI_WRAPPERS_H

#include <stdbool.h>
#include <stdint.h>

/* True if `function` is the address of one. AS-Safe. */
bool awi_is_wrapper(uintptr_t function);

#endif
