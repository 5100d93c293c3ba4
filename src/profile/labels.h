/* SPDX-License-Identifier: MIT */
/* labels.h: the sets of labels that threads have pushed. AS-Unsafe, MT-Safe. */
#ifndef AWI_PROFILE_LABELS_H
#define AWI_PROFILE_LABELS_H

#include "model.h"

#define AWI_LABELS_MAX 4096u

/*
 * Copies the sets that there are, at most `max`, index 0 being the empty one; returns their number, 1 and
 * more. The strings are not copied: they live as long as the process. Under the sampler's lock if max is
 * above 1.
 */
size_t awi_labels_copy(struct awi_label *labels, size_t max);

#endif
