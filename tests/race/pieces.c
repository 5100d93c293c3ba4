/* SPDX-License-Identifier: MIT */
/* pieces.c: the list of all pieces over alarmwheel, for the race checker's main program. */
#include "race.h"

extern const struct race_piece timer_pieces[], wait_pieces[], guard_pieces[], call_pieces[], escape_pieces[],
    escape_call_pieces[], engine_pieces[], child_pieces[], signal_pieces[];

const struct race_piece *const race_pieces[] = { timer_pieces,  wait_pieces,   guard_pieces,
                                                 call_pieces,   escape_pieces, escape_call_pieces,
                                                 engine_pieces, child_pieces,  signal_pieces,
                                                 NULL };
