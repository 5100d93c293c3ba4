/* SPDX-License-Identifier: MIT */
/* module.c: a shared library that computes: for escape_elsewhere.c, which opens it, often as copies. */
#include <stdint.h>

void module_spin(volatile int *stages, uint64_t rounds);

__attribute__((visibility("default"))) void module_spin(volatile int *stages, uint64_t rounds)
{
    ++*stages;
    for (uint64_t i = 0; i < rounds; ++i)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ++*stages;
}
