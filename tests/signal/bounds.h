/* SPDX-License-Identifier: MIT */
/*
 * bounds.h: the lines of the table "What bounds what" in docs/guards.md, as code that can be run. Each line
 * is one body or several; bounds_cell.c runs each against each means, in a process of its own. A body runs
 * in that process and may never end.
 */
#ifndef AWI_BOUNDS_H
#define AWI_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <alarmwheel/alarmwheel.h>
#include <alarmwheel/io.h>

/* What the process under test and the test share. */
struct record {
    volatile uint64_t start_ns; /* before the guard was entered */
    /* When what the body waits for lets go. 0: not known yet; AW_FOREVER: never. */
    volatile uint64_t release_ns;
    volatile uint64_t end_ns;  /* the means, or the release, has ended the body */
    volatile uint64_t rounds;  /* of a body that loops */
    volatile bool is_prepared; /* by the child of a process under test */
    volatile int line;         /* of a MUST that did not hold */
};

extern struct record *record;

/* Preparing a scene cannot fail, or the process under test ends with this status. */
#define BROKEN_SCENE 99
void broken_scene(int line);
#define MUST(condition) ((condition) ? (void)0 : broken_scene(__LINE__))

/* What a body stands on. */
struct scene {
    int fds[4];
    pid_t process;
    struct aw_timer timer;
    const struct aw_guard *guard; /* around the body; NULL in a child */
};

struct body {
    const char *row; /* the first cell of its line in the page */
    const char *name;
    void (*prepare)(struct scene *scene);
    void (*plain)(struct scene *scene);
    /* The guarded call, or the wait, that does the same: true if it ended because its time was over. */
    bool (*guarded)(struct scene *scene, uint64_t timeout_ns);
};

/* Each ends with a row of NULL. */
extern const struct body call_bodies[];
extern const struct body other_bodies[];

/* What bodies of both kinds stand on. */
void prepare_nothing(struct scene *scene);
void prepare_pipe(struct scene *scene);
void prepare_full_pipe(struct scene *scene);
void plain_read(struct scene *scene);
bool guarded_read(struct scene *scene, uint64_t timeout_ns);

/* fork: the child ends with its parent. */
pid_t fork_bound(void);

/* Waits for the start and then for the release; reads no flag and makes calls that nothing ends early. */
void wait_for_release(void);
void spin_until_release(void);

#endif
