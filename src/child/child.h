/* SPDX-License-Identifier: MIT */
/*
 * child.h: what waiting, stopping and running share: a child is asked for by its number, and a number is
 * used only while a child that was not reaped keeps it from being somebody else's. Owner thread, program
 * context; they change errno.
 */
#ifndef AWI_CHILD_H
#define AWI_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether it has ended: 1, and it stays to be reaped; 0; or -ECHILD. */
int awi_child_look(pid_t pid);

/* Reaps it if it has ended: 0; -ETIMEDOUT: it has not; or -ECHILD. */
int awi_child_reap(pid_t pid, int *status);

/* aw_child_wait, without the escape at its end. */
int awi_child_wait(pid_t pid, int *status, uint64_t timeout_ns);

/* How a child was stopped. */
struct awi_stopped {
    int status;
    int value; /* the negative value of a callback that ran meanwhile, or 0 */
};

/*
 * Stops a child, or the group that it leads. 0: it was reaped; or what aw_child_stop fails with. Makes no
 * escape, and tells the program of no guard. `here`: the public function's frame.
 */
int awi_child_stop(pid_t pid, bool is_group, uint64_t grace_ns, struct awi_stopped *stopped,
                   const void *here);

/*
 * Is a process of that group alive, threads and all? 1, 0, or negative errno if that cannot be known. Its
 * leader must be a child of ours that was not reaped: it does not count.
 */
int awi_group_lives(pid_t leader);

/* Reaps the children of ours in the group that have ended, but for its leader, who must be there. */
void awi_group_reap(pid_t leader);

#endif
