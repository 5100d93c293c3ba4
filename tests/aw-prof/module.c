/* SPDX-License-Identifier: MIT */
/* module.c: loaded by the subject after its start. */
#include "burn.h"

BURNER(burn_in_module)
