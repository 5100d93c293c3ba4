/* SPDX-License-Identifier: MIT */
/*
 * reload.c: two modules are loaded in turns at the same addresses, their frames of different sizes. What
 * has been learnt of one is wrong of the other: every sample that falls into a module must have its caller
 * in this program on its stack.
 */
#include <dlfcn.h>

#include "accuracy.h"
#include "tally.h"
#include "work.h"

#define TURN_NS 3000000

typedef uint64_t module_enter_fn(uint64_t x);

TALLY_DECLARE(call_module);

TALLIED(call_module) static void call_module(module_enter_fn *enter)
{
    for (const uint64_t end = work_wall_ns() + TURN_NS; work_wall_ns() < end;)
        enter(end);
    __asm__ volatile("" ::: "memory");
}

/* Both of them, where the loader puts them: the text of each. False: one cannot be loaded. */
static bool run_both(struct tally_range texts[2])
{
    static const char *const modules[2] = { ACCURACY_MODULE, ACCURACY_MODULE_OTHER };
    for (unsigned i = 0; i < 2; i++) {
        void *module = dlopen(modules[i], RTLD_NOW | RTLD_LOCAL);
        if (module == NULL)
            return accuracy_say(false, "%s", dlerror());
        const char *const *text = dlsym(module, "module_text");
        module_enter_fn *enter = (module_enter_fn *)(uintptr_t)dlsym(module, "module_enter");
        if (text == NULL || enter == NULL)
            return accuracy_say(false, "%s", dlerror());
        texts[i] = (struct tally_range){ text[0], text[1] };
        call_module(enter);
        dlclose(module);
    }
    return true;
}

static int run_reload(void *arg)
{
    const unsigned turns = *(unsigned *)arg;
    const struct tally_range caller = TALLY_RANGE(call_module);
    struct tally_range texts[2] = { { NULL, NULL }, { NULL, NULL } };
    if (!tally_start(AW_PROFILE_WALL, 4000))
        return 1;
    for (unsigned i = 0; i < turns; i++)
        if (!run_both(texts))
            return 1;
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return 1;
    uint64_t inside = 0;
    uint64_t astray = 0;
    for (size_t i = 0; i < profile->samples_count; i++) {
        const struct awi_sample *sample = &profile->samples[i];
        if (sample->depth == 0 ||
            (!tally_is_within(&texts[0], sample->pcs, 1) && !tally_is_within(&texts[1], sample->pcs, 1)))
            continue;
        inside += sample->count;
        astray += tally_is_within(&caller, sample->pcs, sample->depth) ? 0 : sample->count;
    }
    aw_profile_free(profile);
    if (texts[0].start > texts[1].stop || texts[1].start > texts[0].stop)
        accuracy_note("the modules were at different addresses: nothing is shown");
    return accuracy_say(astray == 0, "%u turns: %llu samples in the modules, %llu without their caller (0)",
                        turns, (unsigned long long)inside, (unsigned long long)astray)
               ? 0
               : 1;
}

int reload_run(bool is_long)
{
    unsigned turns = is_long ? 1000 : 100;
    return accuracy_in_child("reload", 120, run_reload, &turns);
}
