/* SPDX-License-Identifier: MIT */
/*
 * clients.h: the connections that a test has to the echo server: what each sent and got back is checked byte
 * by byte, and how it ended is remembered.
 */
#ifndef AWI_SERVER_CLIENTS_H
#define AWI_SERVER_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#define FEW_BYTES 20000u

enum role {
    TALKS,       /* all the time, until it reads an end of file */
    GOES_IDLE,   /* after some bytes */
    HALF_CLOSES, /* after some bytes, all of which are to come back */
    STAYS, /* after some bytes, and sends another one now and then; closes when it reads an end of file */
    NEVER_ENDS, /* after some bytes, and does not close */
    READS_LATE, /* sends as much as it can; TALKS from clients_read_late on */
    NEVER_READS /* sends as much as it can */
};

enum ending {
    OPEN,
    END_OF_FILE,
    RESET
};

struct client {
    int fd;
    enum role role;
    enum ending ending;
    uint64_t limit; /* how much it sends */
    uint64_t sent, received;
    uint64_t arrived; /* of what it sent, at clients_note_arrived */
    uint64_t sent_ns, heard_ns, ended_ns;
};

extern struct client *clients;
extern unsigned clients_count;

/* As many as are wanted, or as the descriptors allow. */
unsigned clients_possible(unsigned wanted);

/* Connects them; role i % (number of roles). */
void clients_connect(uint16_t port, unsigned count, const enum role *roles, unsigned role_count);

/* They talk until `done` says so; a hang if that takes longer than LIMIT_MS. */
void clients_run(bool (*done)(void));
void clients_run_for(unsigned ms);

void clients_read_late(void);

/* What of it the server's kernel has acknowledged: from then on it may not get lost. */
void clients_note_arrived(void);

/* The longest time in which one that TALKS received nothing, up to its end. */
uint64_t clients_longest_silence_ns(void);

void clients_close(void);

#endif
