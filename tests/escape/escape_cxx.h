/* SPDX-License-Identifier: MIT */
/* escape_cxx.h: the part of escape_points.c that is C++. */
#ifndef AWI_ESCAPE_CXX_H
#define AWI_ESCAPE_CXX_H

#ifdef __cplusplus
extern "C" {
#endif

/* Escapes out of a C++ function, by aw_guard_call. Returns what went wrong, or "". */
const char *cxx_guard_call(void);

#ifdef __cplusplus
}
#endif

#endif
