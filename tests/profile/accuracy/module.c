/* SPDX-License-Identifier: MIT */
/*
 * module.c: a module that is loaded and unloaded while it is sampled. It is built twice, with frames of
 * different sizes at the same addresses: what is remembered of one is wrong of the other.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

uint64_t module_enter(uint64_t x);
extern const char *const module_text[2];

/* A section of its own: what the compiler adds to a module is not in it. */
#define IN_MODULE __attribute__((noinline, section("module_code")))
extern const char __start_module_code[], __stop_module_code[];
__attribute__((visibility("default")))
const char *const module_text[2] = { __start_module_code, __stop_module_code };

IN_MODULE static uint64_t spin(uint64_t x)
{
    for (unsigned i = 0; i < 400; i++)
        x = x * 2862933555777941757u + 3037000493u;
    return x;
}

IN_MODULE static uint64_t descend(unsigned depth, uint64_t x)
{
    volatile char room[MODULE_FRAME_BYTES];
    room[depth] = (char)x;
    if (depth > 0)
        x = descend(depth - 1, x);
    else
        x = spin(x);
    return x + (uint64_t)(unsigned char)room[depth];
}

IN_MODULE __attribute__((visibility("default"))) uint64_t module_enter(uint64_t x)
{
    char text[32] = "0x1234567";
    return descend(6, x) + strtoull(text, NULL, 16) + strlen(text);
}
