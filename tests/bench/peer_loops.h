/* SPDX-License-Identifier: MIT */
/*
 * peer_loops.h: the second half of an implementation's file: the measured loops, the same source for
 * everybody. Before it stand the types `native`, a delay as the implementation wants it, and `name`, what a
 * program holds to name a timer (a pointer or a handle), and
 *
 *     static native impl_native(uint64_t delay_ns);
 *     static name impl_name(uint32_t index);
 *     static const char *impl_open(uint32_t timers);             timers made, not armed; NULL or why not
 *     static void impl_close(uint32_t timers);
 *     static inline void impl_start(name timer, native delay);   arms one that is not armed
 *     static inline void impl_rearm(name timer, native delay);   moves one that is armed
 *     static inline void impl_refresh(name timer, native delay); the same delay once more
 *     static inline void impl_cancel(name timer);
 *     static inline void impl_dispatch(void);                    runs what is due at peer_now_ns
 *
 * in the idiom that the implementation's own manual recommends for each.
 */
#define PEER_DELAYS 4096u

static name *peer_names;                /* the stream of timers; a power of two of them */
static native peer_delays[PEER_DELAYS]; /* the stream of delays, which shifts against the other at each turn
                                         */
static uint32_t peer_cursor;
static uint32_t *peer_runs; /* per timer: what its callback counts, memory of its own as a real callback has
                             */
static uint64_t peer_total;
static bool peer_again;

/* Every callback calls this with the index of its timer. */
static inline void peer_expired(uint32_t index)
{
    peer_runs[index]++;
    peer_total++;
    if (peer_again)
        impl_start(impl_name(index), peer_delays[peer_total % PEER_DELAYS]);
}

static void free_streams(void)
{
    free(peer_names);
    free(peer_runs);
    peer_names = NULL;
    peer_runs = NULL;
}

static void peer_close(void)
{
    peer_again = false;
    impl_close(peer_setup.timers);
    free_streams();
}

static const char *peer_open(const struct bench_setup *setup)
{
    peer_setup = *setup;
    peer_now_ns = PEER_CLOCK_START;
    peer_cursor = 0;
    peer_total = 0;
    peer_again = false;
    peer_names = malloc(setup->picks_count * sizeof *peer_names);
    peer_runs = calloc(setup->timers, sizeof *peer_runs);
    const char *why = peer_names == NULL || peer_runs == NULL ? "out of memory" : impl_open(setup->timers);
    if (why != NULL) {
        free_streams();
        return why;
    }
    for (uint32_t i = 0; i < setup->picks_count; i++)
        peer_names[i] = impl_name(setup->picks[i]);
    for (uint32_t i = 0; i < PEER_DELAYS; i++)
        peer_delays[i] =
            impl_native(setup->refresh ? setup->refresh_ns : setup->delays_ns[i % setup->delays_count]);
    if (setup->armed) {
        for (uint32_t i = 0; i < setup->timers; i++)
            impl_start(impl_name(i), peer_delays[i % PEER_DELAYS]);
        peer_again = true;
    }
    return NULL;
}

/* `setup` may have changed after each call, as far as a compiler knows: what the loop needs stands in locals.
 */
#define PEER_LOOP(call)                                                              \
    const uint64_t before = peer_total;                                              \
    const uint32_t mask = peer_setup.picks_count - 1;                                \
    const int turn = __builtin_popcount(mask);                                       \
    const uint32_t per_step = peer_setup.per_step;                                   \
    const name *names = peer_names;                                                  \
    uint32_t cursor = peer_cursor;                                                   \
    uint32_t left = per_step;                                                        \
    for (uint32_t done = 0; done < count; done++, cursor++) {                        \
        const name timer = names[cursor & mask];                                     \
        const native delay = peer_delays[(cursor + (cursor >> turn)) % PEER_DELAYS]; \
        call(timer, delay);                                                          \
        if (per_step != 0 && --left == 0) {                                          \
            left = per_step;                                                         \
            peer_now_ns += peer_setup.step_ns;                                       \
            impl_dispatch();                                                         \
        }                                                                            \
    }                                                                                \
    peer_cursor = cursor;                                                            \
    return peer_total - before

static uint64_t peer_rearm(uint32_t count)
{
    PEER_LOOP(impl_rearm);
}

static uint64_t peer_refresh(uint32_t count)
{
    PEER_LOOP(impl_refresh);
}

#ifndef PEER_IS_FLOOR
static bool peer_coprime(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a == 1;
}

/*
 * Bursts of `timers`: all are armed, then all are cancelled, in another order, golden-ratio strides over the
 * whole: a server that drops everybody whom it has accepted. An arm and a cancel together count as one
 * operation.
 */
static uint64_t peer_cancel_burst(uint32_t count)
{
    const uint64_t before = peer_total;
    const uint32_t per_step = peer_setup.per_step;
    const uint32_t timers = peer_setup.timers;
    uint32_t stride = (uint32_t)((double)timers * 0.6180339887) + 1;
    while (!peer_coprime(stride, timers))
        stride--;
    uint32_t left = per_step;
    peer_again = false;
    for (uint32_t done = 0; done < count; done += timers) {
        uint32_t timer = 0;
        for (uint32_t i = 0; i < 2 * timers; i++) {
            if (i < timers) {
                impl_start(impl_name(i), peer_delays[peer_cursor++ % PEER_DELAYS]);
            } else {
                impl_cancel(impl_name(timer));
                timer += timer < timers - stride ? stride : stride - timers;
            }
            if (per_step != 0 && --left == 0) {
                left = per_step;
                peer_now_ns += peer_setup.step_ns;
                impl_dispatch();
            }
        }
    }
    return peer_total - before;
}

static uint64_t peer_insert_expire(uint32_t steps)
{
    const uint64_t before = peer_total;
    const uint32_t timers = peer_setup.timers;
    peer_again = false;
    for (uint32_t i = 0; i < timers; i++)
        impl_start(impl_name(i), peer_delays[peer_cursor++ % PEER_DELAYS]);
    for (uint32_t step = 0; step < steps && peer_total - before < timers; step++) {
        peer_now_ns += peer_setup.step_ns;
        impl_dispatch();
    }
    return peer_total - before;
}
#endif
