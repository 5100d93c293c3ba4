/* SPDX-License-Identifier: MIT */
/* module.c: a shared library that computes: for escape_elsewhere.c, which opens it, often as copies. */
#include <stdint.h>

void module_spin(volatile int *stages, uint64_t rounds);

__attribute__((visibility("default"))) void module_spin(volatile int *stages, uint64_t rounds)
{
    ++*stages;
    for (uint64_t i = 0; i < rounds; ++i)
        __asm__ volatile("" ::: "memory"); /* a fence alone would not keep the loop */
    ++*stages;
}
