/* SPDX-License-Identifier: MIT */
/*
 * call.h: a guarded system call, for the functions of io.h. call.c is the loop around it, stub.h what makes
 * it, cancel.c the handler's part.
 */
#ifndef AWI_CALL_H
#define AWI_CALL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A system call: its number (-1: only libc knows how to make it), and the function of libc for where there is
 * no stub, which returns -1 and errno (NULL: syscall(2)).
 */
struct awi_syscall {
    long number;
    long (*plain)(const long argument[6]);
};

/* read(2) and write(2). */
extern const struct awi_syscall awi_read, awi_write __attribute__((visibility("hidden")));

/*
 * Makes the call with these four arguments, and zeros, again and again where signals interrupt it, until it
 * has a result, the time is over, a guard has expired, or a callback returned a negative value. The contract
 * of io.h: a result, or -1 and errno.
 *
 * Everything is in registers, so that the public function that ends with it becomes a jump: after a system
 * call the processor mispredicts all returns but the innermost, at 20 ns each.
 */
long awi_call(long a, long b, long c, long d, uint64_t timeout_ns, const struct awi_syscall *call);

/* The same with all six. */
long awi_call_six(const long argument[6], uint64_t timeout_ns, const struct awi_syscall *call);

/* The same with a deadline. */
long awi_call_until(const long argument[6], uint64_t deadline_ns, const struct awi_syscall *call);

/*
 * The same for functions that are no guarded calls themselves: the result, or negative errno, or the
 * negative value of the callback that has ended it, or -ETIMEDOUT for a guard. *is_over: it is its own
 * time-out. It makes no escape: whoever calls it does, at its end.
 */
long awi_call_value(const long argument[6], uint64_t timeout_ns, const struct awi_syscall *call,
                    bool *is_over);

/*
 * Makes the call once, whatever comes; the time-out interrupts it where it blocks. Interrupted by anything
 * else, it counts as done: 0. No safe point.
 */
long awi_call_once(long a, uint64_t timeout_ns, const struct awi_syscall *call);

/* Where an argument makes no sense, and no call is made. */
long awi_call_refused(int error);

#endif
