/* SPDX-License-Identifier: MIT */
/*
 * symbol_profile.h: a profile of addresses of the test program itself, put together by hand, and what they
 * are named. Memory that is wanted and not there ends the test.
 */
#ifndef AWI_SYMBOL_PROFILE_H
#define AWI_SYMBOL_PROFILE_H

#include "profile/model.h"

#define SYMBOL_SAMPLES 16

struct symbol_profile {
    struct aw_profile profile;
    struct awi_sample samples[SYMBOL_SAMPLES];
    uint64_t pcs[SYMBOL_SAMPLES]; /* of samples of one address */
    struct awi_symbols *symbols;
};

/* All files that are mapped into this program. */
void symbol_profile_begin(struct symbol_profile *made);
void symbol_profile_end(struct symbol_profile *made);

/* Of the module that holds the address; the test fails if none does. */
struct awi_module *symbol_profile_module(struct symbol_profile *made, uint64_t pc);

/* Indices of the sample. */
size_t symbol_profile_pc(struct symbol_profile *made, uint64_t pc);
size_t symbol_profile_stack(struct symbol_profile *made, enum awi_sample_kind kind, const uint64_t *pcs,
                            uint32_t depth);

/* Names it, for the second time or the first. */
void symbol_profile_name(struct symbol_profile *made);

/* What a sample's frame means: level 0 is the innermost address, and inlined 0 the innermost call there. */
const struct awi_location *symbol_profile_location(const struct symbol_profile *made, size_t sample,
                                                   size_t level);
const struct awi_frame *symbol_profile_frame(const struct symbol_profile *made, size_t sample,
                                             size_t inlined);
const struct awi_function *symbol_profile_function(const struct symbol_profile *made, size_t sample,
                                                   size_t inlined);

/* Fails if the text does not end so. */
void symbol_profile_check_end(const char *text, const char *suffix);

#endif
