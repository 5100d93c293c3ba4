/* SPDX-License-Identifier: MIT */
/*
 * meeting.h: where the owner and its peer meet: a FIFO, a pipe or a listening socket. The owner's side makes
 * the call that blocks; the peer's side, in another process, is what it waits for. Afterwards the accounts
 * are made up: what the kernel granted must be in the owner's hands, or must still be there to be had.
 */
#ifndef AWI_STRESS_MEETING_H
#define AWI_STRESS_MEETING_H

#include "plan.h"

struct meeting {
    enum call call;
    char path[96];
    int here;   /* the owner's end: of the pipe, or the listening socket */
    int there;  /* the peer's end: what meeting_attend opened, or the pipe's */
    int lowest; /* the descriptor that the owner's next call gets, if it gets one */
};

struct accounts {
    unsigned leaks; /* descriptors granted that nobody has */
    unsigned lost;  /* bytes, connections, openings that nobody has */
    unsigned wrong; /* results that the peer knows nothing of, or bytes that it did not send */
};

/* Before the peer is forked. `folder` is empty, and the caller removes what is in it. */
bool meeting_make(struct meeting *meeting, enum call call, const char *folder);

/* The owner: once everything else that it needs is open. */
void meeting_begin(struct meeting *meeting);

/* The blocking call, as libc makes it, and guarded. A read puts its byte into *byte. */
int meeting_call(const struct meeting *meeting, unsigned char *byte);
int meeting_call_guarded(const struct meeting *meeting, unsigned char *byte, uint64_t timeout_ns);

/*
 * The accounts of one call that returned `result` (and `got`), while the peer attended or did not and would
 * have sent `sent`. Closes what was opened, and clears away what was left.
 */
void meeting_settle(const struct meeting *meeting, struct accounts *accounts, int result, unsigned char got,
                    bool attended, unsigned char sent);

/* The peer: attends, without blocking; false if the owner is not there. Leaves again. */
bool meeting_attend(struct meeting *meeting, unsigned char byte);
void meeting_part(struct meeting *meeting);

#endif
