/* SPDX-License-Identifier: MIT */
/*
 * tries.c: see tries.h. It draws each try's instants, and moves what it draws them around until both outcomes
 * are as likely: around the peer being ready, which the wake-up of this machine decides, and around the call
 * being made, which the signal's lateness decides.
 */
#include "tries.h"

/* What a try is to hit. */
enum target {
    AT_READY,   /* the deadline at the instant at which the peer becomes ready */
    AT_ENTRY,   /* the signal at the instant at which the call is made; the peer stays away */
    BENEATH_ALL /* the signal inside another handler above the call; the peer stays away */
};

#define CLOSE_NS AW_US(50)
#define TGKILL_AFTER_NS AW_US(2) /* surely past the deadline, so that this one signal has to do */
#define ENTRY_TIMEOUT_NS AW_US(60)

struct tries {
    const struct plan *plan;
    struct exchange *exchange;
    struct meeting *meeting;
    struct tally *tally;
    uint64_t random;
    unsigned n;
    uint64_t reach_ns;     /* from the start of a try to the peer's instant */
    int64_t bias_ns[WAYS]; /* the deadline for which both outcomes are as likely, after the peer's instant */
    int64_t lag_ns[WAYS];  /* the signal's lateness, as seen by the call */
    uint64_t nested_ns;    /* from the other handler's signal to the deadline */
    enum target target;
    struct order order;
};

/* splitmix64: public domain, Sebastiano Vigna. */
static uint64_t draw(struct tries *tries)
{
    uint64_t z = tries->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t draw_around(struct tries *tries, uint64_t width_ns)
{
    return (int64_t)(draw(tries) % (2 * width_ns + 1)) - (int64_t)width_ns;
}

static uint64_t plus(uint64_t ns, int64_t more_ns, uint64_t least_ns)
{
    int64_t sum = (int64_t)ns + more_ns;
    return sum > (int64_t)least_ns ? (uint64_t)sum : least_ns;
}

/* ---- the instants of one try ---- */

/* Signals that come too soon are for alarmwheel only: the naive ways take each for the deadline. */
static uint64_t draw_stray(struct tries *tries, const struct attempt *attempt)
{
    uint64_t before = draw(tries) % AW_US(40);
    bool wanted = tries->plan->bounded == BY_US && (draw(tries) & 1) != 0;
    return wanted && before < attempt->timeout_ns ? attempt->began_ns + attempt->timeout_ns - before
                                                  : AW_FOREVER;
}

static void post_order(struct attempt *attempt, void *arg)
{
    struct tries *tries = arg;
    uint64_t began = attempt->began_ns, deadline = began + attempt->timeout_ns;
    struct order *order = &tries->order;
    order->ready_ns = tries->target == AT_READY ? began + tries->reach_ns : AW_FOREVER;
    order->alarm_ns = order->stray_ns = order->beneath_ns = AW_FOREVER;
    order->byte = (unsigned char)draw(tries);
    order->hung_ns = deadline + attempt->delay_ns + tries->plan->hang_ns;
    if (tries->plan->by == BY_TGKILL) {
        order->alarm_ns = deadline + TGKILL_AFTER_NS;
        order->stray_ns = draw_stray(tries, attempt);
    }
    if (tries->target == BENEATH_ALL) {
        order->beneath_ns = began + tries->reach_ns;
        beneath_until_ns = deadline + AW_US(100);
    }
    peer_order(tries->exchange, ++tries->n, order);
}

/* A peer that is slow to hear of the order, or a call that is slow to come, makes the way there longer. */
static void draw_instants(struct tries *tries, struct attempt *attempt)
{
    /* Most at the edge between the two outcomes; a wake-up takes longer, and some are to cover all of it. */
    uint64_t width = (draw(tries) & 1) != 0 ? AW_US(15) + tries->reach_ns / 16 : AW_US(60);
    attempt->delay_ns = 0;
    attempt->way = (enum way)(draw(tries) % WAYS);
    switch (tries->target) {
    case AT_READY:
        attempt->timeout_ns =
            plus(tries->reach_ns, tries->bias_ns[attempt->way] + draw_around(tries, width), AW_US(2));
        break;
    case AT_ENTRY:
        if (attempt->way == WAY_OWN && tries->plan->bounded == BY_US) {
            attempt->timeout_ns = draw(tries) % AW_US(5);
        } else {
            attempt->timeout_ns = ENTRY_TIMEOUT_NS;
            attempt->delay_ns =
                plus(ENTRY_TIMEOUT_NS, tries->lag_ns[attempt->way] + draw_around(tries, AW_US(2)), 1);
        }
        break;
    case BENEATH_ALL:
        attempt->timeout_ns = tries->reach_ns + tries->nested_ns;
        break;
    }
}

/* ---- after it ---- */

/* Where both outcomes are as likely: the fallback, for one, cannot end a call before the second signal. */
static bool is_close(const struct tries *tries, const struct attempt *attempt, const struct answer *answer)
{
    uint64_t deadline = attempt->began_ns + attempt->timeout_ns;
    if (tries->target == BENEATH_ALL)
        return beneath_at_ns >= attempt->began_ns && beneath_at_ns < deadline;
    uint64_t ready = answer->ready_ns != AW_FOREVER ? answer->ready_ns : tries->order.ready_ns;
    int64_t away = (int64_t)(deadline - ready) - tries->bias_ns[attempt->way];
    return away > -(int64_t)CLOSE_NS && away < (int64_t)CLOSE_NS;
}

/* Large steps first. */
static void adapt_deadline(struct tries *tries, const struct attempt *attempt)
{
    int64_t *bias_ns = &tries->bias_ns[attempt->way];
    int64_t step = (int64_t)AW_US(2) + (int64_t)AW_US(512) / (16 + tries->n);
    *bias_ns += attempt->result >= 0 ? -step : step;
    if (*bias_ns < -(int64_t)(tries->reach_ns / 2) && tries->reach_ns < AW_MS(20))
        tries->reach_ns += tries->reach_ns / 4;
}

static void adapt(struct tries *tries, const struct attempt *attempt, const struct answer *answer)
{
    switch (tries->target) {
    case AT_READY:
        adapt_deadline(tries, attempt);
        break;
    case AT_ENTRY:
        if (attempt->delay_ns != 0)
            tries->lag_ns[attempt->way] += attempt->landed ? -(int64_t)200 : (int64_t)200;
        break;
    case BENEATH_ALL:
        if (is_close(tries, attempt, answer))
            tries->nested_ns -= tries->nested_ns > AW_US(60) ? tries->nested_ns / 64 : 0;
        else if (tries->nested_ns < AW_MS(20))
            tries->nested_ns += tries->nested_ns / 8;
        break;
    }
}

/* From the deadline, or from the one signal that could end the call. */
static void count_time_out(struct tally *tally, const struct attempt *attempt, const struct answer *answer)
{
    uint64_t due = attempt->not_before_ns > answer->alarm_ns ? attempt->not_before_ns : answer->alarm_ns;
    if (attempt->ended_ns < attempt->not_before_ns)
        ++tally->early;
    else if (attempt->ended_ns > due && attempt->ended_ns - due > tally->latest_ns)
        tally->latest_ns = attempt->ended_ns - due;
}

static void count(struct tries *tries, const struct attempt *attempt, const struct answer *answer)
{
    struct tally *tally = tries->tally;
    if (tries->target == AT_ENTRY) {
        ++tally->entries;
    } else {
        ++tally->tries;
        tally->results += attempt->result >= 0;
        tally->close += is_close(tries, attempt, answer);
    }
    tally->hangs += answer->hung;
    if (attempt->error != 0) {
        ++tally->errors;
        tally->error = attempt->error;
    } else if (attempt->result < 0 && tries->plan->bounded == BY_US) {
        count_time_out(tally, attempt, answer);
    }
}

/* False: an escape came before there was a call to make; to be tried again. */
static bool one_try(struct tries *tries)
{
    struct attempt attempt = { .plan = tries->plan, .meeting = tries->meeting };
    attempt.begin = post_order;
    attempt.arg = tries;
    draw_instants(tries, &attempt);
    bound_call(&attempt);
    if (attempt.began_ns == 0) {
        tries->tally->errors += attempt.error != 0;
        tries->tally->error = attempt.error;
        return attempt.error != 0;
    }
    peer_over(tries->exchange, tries->n);
    struct answer answer = peer_answer(tries->exchange, tries->n);
    meeting_settle(tries->meeting, &tries->tally->accounts, attempt.result, attempt.byte,
                   answer.ready_ns != AW_FOREVER, tries->order.byte);
    count(tries, &attempt, &answer);
    if (!answer.hung)
        adapt(tries, &attempt, &answer);
    return true;
}

void tries_run(const struct plan *plan, struct exchange *exchange, struct meeting *meeting,
               struct tally *tally)
{
    struct tries tries = { .plan = plan, .exchange = exchange, .meeting = meeting, .tally = tally };
    unsigned ready = 0;
    tries.random = plan->seed;
    tries.reach_ns = AW_US(100);
    tries.nested_ns = AW_US(120);
    for (unsigned way = 0; way < WAYS; ++way)
        tries.lag_ns[way] = (int64_t)AW_US(5);
    while (ready < plan->tries && tally->hangs < plan->enough && tally->errors < 100) {
        tries.target = plan->nested ? BENEATH_ALL : tally->entries < ready / 4 ? AT_ENTRY : AT_READY;
        if (one_try(&tries))
            ready += tries.target != AT_ENTRY;
    }
}
