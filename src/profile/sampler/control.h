/* SPDX-License-Identifier: MIT */
/*
 * control.h: what the sampler's control functions share: sampler.c starts and stops, sampled.c knows the
 * threads, view.c shows what was counted. All of it under one lock; nothing here is for the handler.
 */
#ifndef AWI_PROFILE_CONTROL_H
#define AWI_PROFILE_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

struct awi_control {
    void *own_block;     /* the recording's memory, if it is ours to give back */
    void *second_half;   /* likewise */
    uint64_t resumed_ns; /* when it went on last */
    bool is_counting;    /* running, not paused */
    bool has_key;
    pthread_key_t at_thread_end;
};

extern struct awi_control awi_control;

void awi_control_enter(void);
int awi_control_leave(int result);
int awi_control_state(void);

/* Zeroed memory for munmap, or NULL. */
void *awi_control_allocate(size_t bytes);
size_t awi_control_slots_bytes(void);
void awi_control_release_memory(void);

/* Until no handler is in this half. One that was interrupted in it by the scheduler takes its time. */
void awi_control_wait_until_left(unsigned half);

bool awi_control_is_handler_ours(void);

/* --- sampled.c: threads and their slots --- */

/* What the slot's thread has used so far. */
uint64_t awi_sampled_used(const struct awi_slot *slot);
/* Sampling of it goes on, or halts. */
void awi_sampled_begin(struct awi_slot *slot);
void awi_sampled_end(struct awi_slot *slot);
/* Its thread has ended, or wants to be left alone. */
void awi_sampled_close(struct awi_slot *slot);
/* -ENOSPC, -EAGAIN. */
int awi_sampled_add(int32_t tid);
/* Has the calling thread know its slot, so that its handler need not ask the kernel which thread it is. */
void awi_sampled_know_self(void);
/* The interval timer, if it was ours and has been stopped, is ours no more. */
void awi_sampled_give_itimer_up(void);
/* From the one interval timer to a timer a thread. */
void awi_sampled_leave_itimer(void);
/* Threads that have not registered are found here. */
void awi_sampled_find(void);
/* The destructor of a registered thread. */
void awi_sampled_thread_ends(void *arg);

#endif
