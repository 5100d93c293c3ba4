/* SPDX-License-Identifier: MIT */
/*
 * varied.h: code of many kinds, for walks of its stacks: callbacks out of libc, leaf functions, frames of
 * every shape, handlers, another stack, code that is loaded and unloaded.
 */
#ifndef ACCURACY_VARIED_H
#define ACCURACY_VARIED_H

/* One turn of everything, some milliseconds. `module`: a file that is loaded, called and unloaded. */
void varied_run(const char *module);

#endif
