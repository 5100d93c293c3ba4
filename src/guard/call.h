/* SPDX-License-Identifier: MIT */
/*
 * call.h: a guarded system call, for the functions of io.h. call.c is the loop around it, syscall_*.S the
 * stubs that make it, cancel.c the handler's part.
 */
#ifndef AWI_CALL_H
#define AWI_CALL_H

#include <stdint.h>

/* What to call. The stub takes it apart by these offsets. */
struct awi_call {
    long number;
    long argument[6];
    long (*plain)(const long argument[6]); /* the function of libc, where there is no stub: -1 and errno */
};

/*
 * Makes the call, again and again where signals interrupt it, until it has a result, the time is over, a
 * guard has expired, or a callback returned a negative value. The contract of io.h: a result, or -1 and
 * errno.
 */
long awi_call(const struct awi_call *call, uint64_t timeout_ns);

/* Makes the call once, whatever comes; the time-out interrupts it where it blocks. No safe point. */
long awi_call_once(const struct awi_call *call, uint64_t timeout_ns);

#endif
