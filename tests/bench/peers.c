/* SPDX-License-Identifier: MIT */
/* peers.c: which implementations take part: ours, the floor where it applies, and every module that was
 * built. */
#include <string.h>

#include "bench.h"

static const char *const modules[] = { "libev", "libuv", "libevent", "sd-event" };
#define MODULES (sizeof modules / sizeof *modules)

unsigned bench_peers(const struct peer *ours, bool with_floor, const struct peer **peers)
{
    static const struct peer *found[MODULES];
    static bool looked;
    unsigned count = 0;
    peers[count++] = ours;
    if (with_floor)
        peers[count++] = &bench_floor;
    for (unsigned i = 0; i < MODULES; i++) {
        if (!looked)
            found[i] = bench_module(modules[i], BENCH_PEER_SYMBOL);
        if (found[i] != NULL)
            peers[count++] = found[i];
    }
    looked = true;
    return count;
}
