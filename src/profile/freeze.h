/* SPDX-License-Identifier: MIT */
/* freeze.h: copies what a recording holds into a profile at rest. AS-Unsafe. */
#ifndef AWI_PROFILE_FREEZE_H
#define AWI_PROFILE_FREEZE_H

#include "sampler/recording.h"

#define AWI_BUILD_ID_TEXT (2 * AWI_BUILD_ID_BYTES + 1)

/* A profile that is to be filled, with all the memory that this can take. */
struct awi_room {
    struct aw_profile *profile; /* freed by aw_profile_free, and this with it */
    struct awi_share *shares;
    uint64_t *frames;
    char *strings;
    char *program;
    char *build_ids; /* of the modules, AWI_BUILD_ID_TEXT bytes each */
};

/* Room for all that a half of this recording could hold; NULL: no memory. */
struct awi_room *awi_profile_prepare(const struct awi_recording *recording);

/*
 * Fills it from one half. Each thread's stacks share what it has used since it was taken last (looked_ns
 * less taken_ns). `keeps_rest`: a living thread without samples keeps its time for a later profile.
 * elapsed_ns is for the caller to set. The labels are this process's, or none if `has_labels` is false. Of
 * profile->stats it sets all that the samples tell.
 */
void awi_profile_fill(struct awi_room *room, const struct awi_recording *recording, unsigned half,
                      bool keeps_rest, bool has_labels);

#endif
