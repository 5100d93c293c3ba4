/* SPDX-License-Identifier: MIT */
/*
 * registry.h: the threads that have registered, by name, whether anything is sampled or not. Under the
 * sampler's lock, all of it.
 */
#ifndef AWI_PROFILE_REGISTRY_H
#define AWI_PROFILE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "../model.h"

/* The calling thread; it is forgotten by awi_registry_remove, which its end calls. `name` may be NULL. */
void awi_registry_add(int32_t tid, const char *name);
void awi_registry_remove(void);
bool awi_registry_has_self(void);

/* The calling thread is not to be sampled, until it is added again or ends. */
void awi_registry_decline(int32_t tid);
bool awi_registry_has_declined(int32_t tid);

/* In the child of a fork: only the calling thread is left, with another tid. */
void awi_registry_forked(int32_t tid);

/* A thread's name: what it registered with, else its own; left as it is if neither is known. */
void awi_registry_name(int32_t tid, char name[AWI_NAME_BYTES]);

/* The inode of this process's PID namespace; 0: not known. */
uint64_t awi_registry_pid_namespace(void);

/* How many threads there are, as far as /proc says. */
unsigned awi_registry_count(void);

/* Calls visit for every thread of the process. Without /proc: for the calling one. */
void awi_registry_each(void (*visit)(int32_t tid, void *arg), void *arg);

#endif
