/* SPDX-License-Identifier: MIT */
/*
 * guard.h: scoped timeouts. A guard bounds the time that the code inside it may take; guards nest, and the
 * one that expires first counts. When one expires
 *   - safe points inside it return -ETIMEDOUT, and aw_guard_expired is true;
 *   - a plain system call that blocks (open, read, write, accept, connect, flock, waitpid, ...) returns
 *     EINTR, again and again (every 50 us, after 100 ms every 1 ms) until the program was told by one of the
 *     two above, or leaves.
 * No memory is allocated and, as a rule, no system call made: entering is a clock read, a compare and a push.
 *
 * For all functions here: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV without an engine. After
 * fork the child has no guards: leaving one that it inherited returns 0. A guard lives in the frame that
 * enters it, and must be left before that frame returns; a frame that was left by longjmp is noticed and
 * its guards dropped (or see aw_guard_mark).
 *
 * Needs the types of POSIX.1-2008 (sigjmp_buf): define _POSIX_C_SOURCE 200809L or _GNU_SOURCE in C11 mode.
 */
#ifndef ALARMWHEEL_GUARD_H
#define ALARMWHEEL_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of a guard: a constant expression. */
#define AW_GUARD_DEFAULT 0u
/* Reads the coarse clock and adds twice its resolution: three times cheaper; late by at most two kernel
 * ticks. */
#define AW_GUARD_COARSE 1u
/* Leaves the body by siglongjmp: AW_GUARD and aw_guard_call only, see "Escapes" below. */
#define AW_GUARD_ESCAPE 2u
/* With AW_GUARD_ESCAPE: the signal mask is not saved on entry (a system call less); an escape leaves the one
 * that was in force where it struck. */
#define AW_GUARD_NOMASK 4u
/* timeout_ns is processor time of this thread, not time that passes: never early, late by a kernel tick, by
 * more if it sleeps between ticks. */
#define AW_GUARD_CPU 8u
/* timeout_ns is time that this process spends in user mode (ITIMER_VIRTUAL), as exact as the kernel's
 * accounting by ticks. Takes SIGVTALRM while such a guard is entered; -EBUSY if ITIMER_VIRTUAL runs. */
#define AW_GUARD_USER 16u

/*
 * A guard, in the frame of the code that enters it. Its size is part of the ABI; its fields are not for
 * use. It has room for the jump buffer of guards that escape.
 */
struct aw_guard {
    uint64_t awi_lateness_ns;
    const struct aw_guard *awi_fired;
    const char *awi_file;
    int awi_line;
    int awi_error;
    uint32_t awi_state;
    uint32_t awi_unused;
    uint64_t awi_mask[2];
    uint64_t awi_reserved[5];
    sigjmp_buf awi_env;
};

/*
 * Enters the guard: what follows, until aw_guard_leave, may take timeout_ns (AW_FOREVER: no limit of its
 * own, only those around it). A guard that is entered already starts anew, and those inside it are dropped.
 * Returns 0. Errors: -EINVAL (NULL, unknown flags); -EAGAIN (64 guards are entered); and what setitimer
 * says. On an error nothing is entered.
 */
AW_API int aw_guard_enter(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags);

/*
 * Leaves the guard, and those inside it that were not left. Returns 0: in time (or inherited by a forked
 * child, or dropped by aw_guard_rewind); -ETIMEDOUT: this one expired; -ECANCELED: it did not, but one that
 * encloses it did. The alarm stays as it is. Errors: -EINVAL (NULL); -ENOENT (not entered).
 */
AW_API int aw_guard_leave(struct aw_guard *guard);

/*
 * Runs fn(arg) inside the guard and leaves it, by an exception, too: for C++, and wherever a macro is
 * not wanted. A guard that expired, -ETIMEDOUT or -ECANCELED, comes before what fn returned; otherwise
 * that is returned. Errors: as aw_guard_enter; fn then does not run, and aw_guard_error says why.
 */
AW_API int aw_guard_call(struct aw_guard *guard, uint64_t timeout_ns, unsigned flags, int (*fn)(void *arg),
                         void *arg);

/*
 * True if the guard, or any that encloses it, has expired; after it was left: had expired then. Looks at
 * what the handler has seen and reads no clock. This is "being told": plain system calls are no longer
 * interrupted, so that clean-up code can work; but for a guard that is to escape, which it goes on trying to.
 * NULL: false.
 */
AW_API bool aw_guard_expired(const struct aw_guard *guard);

/* The outermost expired guard, as seen from this one; NULL if none. It names who ran out of time. */
AW_API const struct aw_guard *aw_guard_fired(const struct aw_guard *guard);

/*
 * How long after its deadline the expiry of this guard was noticed, in nanoseconds; 0 if it has not
 * expired.
 */
AW_API uint64_t aw_guard_lateness_ns(const struct aw_guard *guard);

/* Why entering failed: 0 or a negative errno. NULL: -EINVAL. */
AW_API int aw_guard_error(const struct aw_guard *guard);

/*
 * Escapes. A guard with AW_GUARD_ESCAPE ends its body by siglongjmp, out of a loop that asks nobody, and
 * then AW_EXPIRED runs. It tears nothing: the jump is made from the signal handler only where every frame
 * from the interrupted instruction up to the guard is text of the module (the program, or the shared
 * library) that contains the guard, or of one that aw_guard_allow has named; elsewhere (in libc, in a
 * callback that libc runs, in another signal handler, in this library) it is put off, looked at again every
 * 50 us, later every 1 ms, and made at the next safe point, guarded call, aw_unshield or aw_guard_rewind
 * that such frames lead to. What is lost is what your own code was in the middle of: hold a shield around
 * that, or register a clean-up. Locals changed in the body are indeterminate after an escape unless they are
 * volatile. docs/escapes.md has the whole story.
 *
 * An escape goes to the outermost escaping guard that has expired, itself or by one around it.
 */

/*
 * Between the two no escape happens, and no plain system call is interrupted; guarded calls still time out.
 * Counted. A guard entered under a shield escapes as if there were none: what counts is shields set since
 * its entry. aw_unshield makes an escape that was put off, at once; else it returns 0, or -ETIMEDOUT while
 * an enclosing guard stands expired; -EINVAL without a shield. On other threads and without an engine
 * aw_shield does nothing.
 */
AW_API void aw_shield(void);
AW_API int aw_unshield(void);

/*
 * Escapes may leave the code of the module (program or shared library) that contains `address`, as that of
 * the guard's own. Promise that to be left in the middle does not hurt it. At most 16. Returns 0. Errors:
 * -EINVAL (no module there); -EPERM (libc, the loader, whatever contains malloc, the unwinder); -ENOSPC. It
 * holds until the process ends, also for an engine that is started later; so the module must stay loaded. In
 * a program that is not position independent take the address of a library's function from dlsym(3):
 * `&function` lies in the program.
 */
AW_API int aw_guard_allow(const void *address);

/*
 * Has fn(arg) run after an escape from this guard or one around it, and only then: last registered first,
 * inner guards' first, shielded, before AW_EXPIRED. Eight for each guard; those of one whose frame was left
 * by longjmp are not run. Returns the slot (0 and more), for aw_guard_forget. fn has to return. arg must not
 * point into the body, whose frames are gone by then. Errors: -EINVAL (NULL); -ENOENT (not entered);
 * -ENOSPC. aw_guard_forget returns 0; -EINVAL (NULL); -ENOENT (not entered, or not registered).
 */
AW_API int aw_guard_on_expiry(struct aw_guard *guard, void (*fn)(void *arg), void *arg);
AW_API int aw_guard_forget(struct aw_guard *guard, int slot);

/* Clean-ups, ready made: close a descriptor, `(void *)(intptr_t)fd`; fclose a FILE *; free. */
AW_API void aw_cleanup_close(void *fd);
AW_API void aw_cleanup_fclose(void *file);
AW_API void aw_cleanup_free(void *memory);

/*
 * The hard limit of a guard that is entered: if it is still entered grace_ns after its deadline, fn(arg) is
 * called in signal context; or, with fn NULL, a message that names the guard goes to stderr, if that can be
 * done without blocking, and the process ends by _exit(AW_HARD_LIMIT_STATUS). At twice the grace a timer
 * of the kernel sends SIGKILL, which no signal mask can stop. Leaving the guard ends it. Not for guards on
 * processor time. The message has file and line of a guard that AW_GUARD entered. Returns 0. Errors: -EINVAL
 * (NULL, a grace of 0, AW_FOREVER as time-out or grace, a guard on processor time); -ENOENT (not entered);
 * and what timer_create says.
 */
#define AW_HARD_LIMIT_STATUS 124
typedef void aw_hard_limit_fn(const struct aw_guard *guard, void *arg);
AW_API int aw_guard_hard_limit(struct aw_guard *guard, uint64_t grace_ns, aw_hard_limit_fn *fn, void *arg);

/*
 * For code that longjmps past guards: a mark of the guards and shields that stand now (0: none; else
 * opaque and positive), and "drop all beyond that mark". An interpreter takes the mark where it calls
 * setjmp, and rewinds where it lands. Rewind returns the guards dropped; -EINVAL for a mark that is out of
 * range or would drop guards from outside the running callback.
 */
AW_API int aw_guard_mark(void);
AW_API int aw_guard_rewind(int mark);

/*
 *     AW_GUARD(&guard, AW_MS(250), AW_GUARD_DEFAULT) {
 *         fd = open(path, O_RDONLY);
 *     } AW_EXPIRED {
 *         puts("gave up");
 *     }
 *
 * The body runs inside the guard; AW_EXPIRED runs if this guard expired (not: one around it), if an escape
 * has cut the body short (aw_guard_fired tells whose time it was), or if the guard could not be entered:
 * aw_guard_error tells. Expired means that time was exceeded, not that the body was cut short:
 * results may be complete (the descriptor may be open). `break` and `continue` in the body leave THE GUARD
 * ONLY, not a loop around it; `return` and `goto` leave it properly. AW_EXPIRED may be missing. The body
 * and AW_EXPIRED are blocks in braces. Under an unbraced `if (c) AW_GUARD(...) {...} else ...` without
 * AW_EXPIRED the else would be ours: compilers warn (-Wdangling-else); use braces there.
 */
#if defined(__GNUC__)
#define AW_GUARD(guard, timeout_ns, flags) AWI_GUARD(AWI_GUARD_NAME(__LINE__), guard, timeout_ns, flags)
#define AW_EXPIRED else

/* What the macro stands on; not for direct use. */
#define AWI_GUARD_NAME(line) AWI_GUARD_PASTE(line)
#define AWI_GUARD_PASTE(line) awi_scope_##line
/* clang-format off */
#define AWI_GUARD(scope, entered, timeout_ns, flags)                                                     \
    for (struct awi_guard_scope scope __attribute__((cleanup(awi_guard_scope_end))) =                    \
             { (entered), awi_guard_ns(timeout_ns), AWI_GUARD_FLAGS(flags), 0, 0, __FILE__, __LINE__ }; \
         awi_guard_scope_next(&scope);)                                                                  \
        if (((flags)&AW_GUARD_ESCAPE) != 0u && scope.phase == AWI_GUARD_SET) {                           \
            if (sigsetjmp(scope.guard->awi_env, 0) == 0)                                                 \
                awi_guard_scope_set(&scope, __builtin_frame_address(0), AWI_CALLER);                     \
            else                                                                                         \
                awi_guard_scope_landed(&scope);                                                          \
        } else if (scope.phase == AWI_GUARD_BODY)                                                        \
            for (; awi_guard_scope_once(&scope);)
/* clang-format on */
/* Where the function with the guard returns to: by that an escape knows the function's frame again. */
#define AWI_CALLER __builtin_extract_return_addr(__builtin_return_address(0))
#define AWI_GUARD_BODY 1u
#define AWI_GUARD_SET 2u
struct awi_guard_scope {
    struct aw_guard *guard;
    uint64_t timeout_ns;
    unsigned flags;
    volatile unsigned phase; /* the two are changed between sigsetjmp and a jump */
    volatile unsigned once;
    const char *file;
    int line;
};
AW_API int awi_guard_scope_next(struct awi_guard_scope *scope);
AW_API void awi_guard_scope_set(struct awi_guard_scope *scope, const void *frame, const void *caller);
AW_API void awi_guard_scope_landed(struct awi_guard_scope *scope);
AW_API void awi_guard_scope_end(struct awi_guard_scope *scope);
/* Converts as a parameter does: no narrowing for C++ to complain of. */
static inline uint64_t awi_guard_ns(uint64_t ns)
{
    return ns;
}
static inline unsigned awi_guard_scope_once(struct awi_guard_scope *scope)
{
    unsigned once = scope->once;
    scope->once = 0;
    return once;
}
#endif

#ifdef __cplusplus
}
#endif

/* An escape runs no destructor of the frames that it leaves. */
#if defined(__cplusplus) && !defined(AW_ALLOW_ESCAPE)
template <unsigned flags> struct awi_guard_flags {
    static_assert((flags & AW_GUARD_ESCAPE) == 0,
                  "AW_GUARD_ESCAPE skips destructors: define AW_ALLOW_ESCAPE if there are none");
    enum : unsigned {
        value = flags
    };
};
#define AWI_GUARD_FLAGS(flags) (static_cast<unsigned>(awi_guard_flags<(flags)>::value))
#else
#define AWI_GUARD_FLAGS(flags) (flags)
#endif

#endif
