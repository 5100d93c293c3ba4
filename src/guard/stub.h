/* SPDX-License-Identifier: MIT */
/*
 * stub.h: the stub that makes a guarded system call, where the machine has one. It compares awi.runs with
 * `seen`, and executes the system-call instruction only if they are equal: only if no handler has run since
 * the caller looked at everything that could forbid the call. The handler, for its part, sends a program
 * counter that it finds between the comparison and the instruction, both included, to the cancel exit. So:
 *
 *   handler before the comparison            the comparison cancels, or the handler does
 *   ... between it and the instruction       the handler cancels
 *   ... while the call blocks                the kernel has moved the program counter back to the
 *                                            instruction, nothing was done: the handler cancels
 *   ... after the instruction                the result is in its register, and is returned
 *
 * One that runs above another handler above the stub sees neither: it comes again (awi_nag).
 *
 * The stub is inline, since a function would cost a mispredicted return. The compiler may copy it: each copy
 * has an entry in the section awi_stubs, by which the handler knows it. Its frame is its function's, with
 * that one's unwind information and landing pad.
 *
 * Under ThreadSanitizer signals arrive only in the functions that it intercepts, so there is no stub.
 */
#ifndef AWI_STUB_H
#define AWI_STUB_H

#include <errno.h>
#include <stdint.h>

#include "../engine/pending.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AWI_UNDER_TSAN 1
#endif
#endif

#if defined(__linux__) && !defined(__SANITIZE_THREAD__) && !defined(AWI_UNDER_TSAN) &&              \
    ((defined(__x86_64__) && !defined(__ILP32__)) || (defined(__aarch64__) && defined(__LP64__)) || \
     (defined(__riscv) && __riscv_xlen == 64))
#define AWI_HAVE_STUB 1
#else
#define AWI_HAVE_STUB 0
#endif

#if AWI_HAVE_STUB

/* A copy of the stub: distances of its three places from the fields themselves. */
struct awi_stub {
    int32_t comparison;
    int32_t instruction;
    int32_t cancel;
};

extern const struct awi_stub __start_awi_stubs[] __attribute__((visibility("hidden")));
extern const struct awi_stub __stop_awi_stubs[] __attribute__((visibility("hidden")));

static inline uintptr_t awi_stub_place(const int32_t *field)
{
    return (uintptr_t)field + (uintptr_t)(intptr_t)*field;
}

/* In the order of struct awi_stub; linked to the stub's own section, with which it stays or goes. */
#define AWI_STUB_ENTRY                                            \
    ".pushsection awi_stubs, \"ao\", %%progbits, .Lawi_stub_%=\n" \
    ".balign 4\n"                                                 \
    ".long 1b - ., 4b - ., 2b - .\n"                              \
    ".popsection\n"

#if defined(__x86_64__)

static inline __attribute__((always_inline)) long awi_stub(long number, const long argument[6], uint64_t seen)
{
    register long d __asm__("r10") = argument[3];
    register long e __asm__("r8") = argument[4];
    register long f __asm__("r9") = argument[5];
    __asm__ volatile("jmp 1f\n"
                     "2: mov %[interrupted], %%rax\n"
                     "jmp 3f\n"
                     ".Lawi_stub_%=: 1: cmp %[runs], %[seen]\n"
                     "jne 2b\n"
                     "4: syscall\n"
                     "3:\n" AWI_STUB_ENTRY
                     : "+a"(number)
                     : "D"(argument[0]), "S"(argument[1]), "d"(argument[2]), "r"(d), "r"(e),
                       "r"(f), [runs] "m"(awi.runs), [seen] "r"(seen), [interrupted] "i"(-EINTR)
                     : "rcx", "r11", "cc", "memory");
    return number;
}

#elif defined(__aarch64__)

static inline __attribute__((always_inline)) long awi_stub(long number, const long argument[6], uint64_t seen)
{
    register long a __asm__("x0") = argument[0];
    register long b __asm__("x1") = argument[1];
    register long c __asm__("x2") = argument[2];
    register long d __asm__("x3") = argument[3];
    register long e __asm__("x4") = argument[4];
    register long f __asm__("x5") = argument[5];
    register long n __asm__("x8") = number;
    uint64_t runs;
    __asm__ volatile("b 1f\n"
                     "2: mov x0, %[interrupted]\n"
                     "b 3f\n"
                     ".Lawi_stub_%=: 1: ldr %[runs], %[where]\n"
                     "cmp %[runs], %[seen]\n"
                     "b.ne 2b\n"
                     "4: svc #0\n"
                     "3:\n" AWI_STUB_ENTRY
                     : "+r"(a), [runs] "=&r"(runs)
                     : "r"(b), "r"(c), "r"(d), "r"(e), "r"(f),
                       "r"(n), [where] "m"(awi.runs), [seen] "r"(seen), [interrupted] "i"(-EINTR)
                     : "cc", "memory");
    return a;
}

#else

static inline __attribute__((always_inline)) long awi_stub(long number, const long argument[6], uint64_t seen)
{
    register long a __asm__("a0") = argument[0];
    register long b __asm__("a1") = argument[1];
    register long c __asm__("a2") = argument[2];
    register long d __asm__("a3") = argument[3];
    register long e __asm__("a4") = argument[4];
    register long f __asm__("a5") = argument[5];
    register long n __asm__("a7") = number;
    uint64_t runs;
    __asm__ volatile("j 1f\n"
                     "2: li a0, %[interrupted]\n"
                     "j 3f\n"
                     ".Lawi_stub_%=: 1: ld %[runs], %[where]\n"
                     "bne %[runs], %[seen], 2b\n"
                     "4: ecall\n"
                     "3:\n" AWI_STUB_ENTRY
                     : "+r"(a), [runs] "=&r"(runs)
                     : "r"(b), "r"(c), "r"(d), "r"(e), "r"(f),
                       "r"(n), [where] "m"(awi.runs), [seen] "r"(seen), [interrupted] "i"(-EINTR)
                     : "memory");
    return a;
}

#endif
#endif

#endif
