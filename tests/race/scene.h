/* SPDX-License-Identifier: MIT */
/*
 * scene.h: what the pieces over alarmwheel set up and check alike: an engine, timers that keep account of
 * their runs, and the questions that every piece is asked at its end. The pieces include it; it knows none of
 * them.
 */
#ifndef RACE_SCENE_H
#define RACE_SCENE_H

#include "race.h"

#include <alarmwheel/alarmwheel.h>

#include "engine/engine.h"
#include "engine/pending.h"

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

/* The engine's default tick, and the little that programming the alarm rounds up. */
#define TICK_NS (UINT64_C(1) << 17)
#define ROUND_NS (4 * US)

/* One timer's account. */
struct shot {
    struct aw_timer timer;
    uint64_t due_ns;  /* it must not run before; set by who arms it, from a clock read before */
    uint64_t last_ns; /* nor after, by more than a tick; 0: not looked at */
    uint64_t ran_ns;
    unsigned runs;
    int result; /* what its callback returns */
};

/* Starts the engine with an alarm source and a way to interrupt; the boundary's clock goes to begin + 2 ms,
 * or + 60 ms. */
void scene_start(enum aw_alarm alarm, enum aw_interrupt interrupt);

/* When the piece began. */
extern uint64_t scene_begin_ns;

/* Three timers, for any piece. They are created by scene_start. */
extern struct shot near_shot, next_shot, far_shot;

void shot_create(struct shot *shot);
void shot_arm(struct shot *shot, uint64_t delay_ns);

/* After the piece: asks the timer when it is due, so that its lateness can be judged. */
void shot_expect(struct shot *shot);

/*
 * Lets time pass until nothing is armed, from alarm to alarm, with a safe point after each, and checks at
 * every one: the wheel is whole; the alarm covers the next need, or a flag is up; each timer runs at the
 * first safe point after its time.
 */
void scene_settle(void);

/* A safe point that may report an expired guard, and nothing else. */
int scene_safepoint(void);

/* Is the wheel whole, and the next need covered? */
void scene_sound(void);

/* Lets time pass after the last guard or guarded call: nobody is told, nagged or interrupted any more. */
void scene_quiet(void);

/* Memory in a frame that outlives the piece, for guards. */
void *scene_frame(size_t offset);

#endif
