/* SPDX-License-Identifier: MIT */
/*
 * peers.h: whom the guarded calls wait for, each with the call itself and the account that is taken after
 * it: what was granted was returned, what was not returned is still there. pieces_call.c makes pieces of
 * them.
 */
#ifndef RACE_PEERS_H
#define RACE_PEERS_H

#include "race.h"

extern const struct race_peer peer_fifo, peer_pipe, peer_pipe_by_number, peer_pipe_by_libc, peer_full_pipe,
    peer_small_pipe, peer_pty, peer_stopped_pty, peer_listener, peer_backlog, peer_message, peer_flock,
    peer_record_lock, peer_child, peer_waited, peer_nobody, peer_parts, peer_room, peer_lingering,
    peer_written_out;

/* The descriptors that this process has open. */
unsigned peers_open(void);

/* The descriptors of the peer that was prepared last. */
extern int peer_fds[2];

#endif
