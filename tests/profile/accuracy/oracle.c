/* SPDX-License-Identifier: MIT */
/* oracle.c: the module of libunwind. It locks and maps memory: for tests with care, not for profilers. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "oracle.h"

extern oracle_walk_fn oracle_walk;

__attribute__((visibility("default"))) unsigned oracle_walk(void *context, uint64_t *pcs, unsigned max)
{
    unw_cursor_t cursor;
    unsigned depth = 0;
    if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME) != 0)
        return 0;
    do {
        unw_word_t ip = 0;
        if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0)
            break;
        /* True of the frame that was interrupted, beyond the kernel's. */
        const int was_interrupted = depth == 0 || unw_is_signal_frame(&cursor) > 0;
        if (was_interrupted && depth > 0)
            ++pcs[depth - 1]; /* what the handler returns to: nothing calls there */
        pcs[depth++] = was_interrupted ? ip : ip - 1;
    } while (depth < max && unw_step(&cursor) > 0);
    return depth;
}
