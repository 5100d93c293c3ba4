/* SPDX-License-Identifier: MIT */
/*
 * regex_bound.c: a pattern that takes 2^39 steps and more to say no, and two ways to bound PCRE2 by time.
 *
 * A callout is the safe one: PCRE2 calls it at every item of the pattern, it asks the guard, and PCRE2
 * itself ends the match. All its memory is as it should be. It costs a call per item.
 *
 * An escape leaves pcre2_match in the middle, after aw_guard_allow has promised that this does not hurt.
 * What does not hurt: the pattern is only read. What was in the middle of a change: the match data, the
 * frames of the backtracking, and the allocator they come from. So these come from an arena of our own, and
 * are thrown away with it, neither used nor freed. It costs nothing until it happens. It cannot leave code
 * compiled by PCRE2's JIT, which no unwinder knows the way out of: there it is put off until that code
 * returns, and a callout must see to that.
 */
#define _GNU_SOURCE
#define PCRE2_CODE_UNIT_WIDTH 8

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcre2.h>

#include <alarmwheel/alarmwheel.h>

#define LIMIT_MS 100
#define STEPS 200000000

/* Each of forty a's but the last may end a group or not: 2^39 ways, and all are tried before b says no. */
static const char pattern[] = "^(a+)+$";
static const char hostile[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
static const char harmless[] = "aaaaaaaaaaaa";

static double now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Memory that is given back all at once. */
struct arena {
    size_t used;
    alignas(max_align_t) unsigned char memory[1 << 20];
};

static void *arena_allocate(size_t size, void *arg)
{
    struct arena *arena = arg;
    size_t begin = (arena->used + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

    if (begin > sizeof(arena->memory) || size > sizeof(arena->memory) - begin)
        return NULL;
    arena->used = begin + size;
    return arena->memory + begin;
}

static void arena_free(void *memory, void *arg)
{
    (void)memory;
    (void)arg;
}

/* What one match writes to, all of it in the arena. */
struct matcher {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static bool make_matcher(struct matcher *matcher, struct arena *arena)
{
    pcre2_general_context *general;

    arena->used = 0; /* what was there is no more */
    general = pcre2_general_context_create(arena_allocate, arena_free, arena);
    if (general == NULL)
        return false;
    matcher->context = pcre2_match_context_create(general);
    matcher->data = pcre2_match_data_create(2, general);
    if (matcher->context == NULL || matcher->data == NULL)
        return false;
    /* PCRE2's own limit, by default ten million steps, is a count, not a time. Here for the worst case. */
    return pcre2_set_match_limit(matcher->context, STEPS) == 0;
}

static int match(const pcre2_code *code, const struct matcher *matcher, const char *subject)
{
    return pcre2_match(code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, matcher->data, matcher->context);
}

static int report(const struct aw_guard *guard, double begin_ms, int result)
{
    double took_ms = now_ms() - begin_ms;

    if (aw_guard_error(guard) != 0 || !aw_guard_expired(guard) || took_ms < LIMIT_MS) {
        fprintf(stderr, "  not stopped: %d after %.1f ms, guard: %s\n", result, took_ms,
                strerror(-aw_guard_error(guard)));
        return EXIT_FAILURE;
    }
    printf("  stopped after %.1f ms\n", took_ms);
    return EXIT_SUCCESS;
}

/* The compiled pattern outlives every way to end a match. */
static int still_good(const pcre2_code *code, const struct matcher *matcher)
{
    int result = match(code, matcher, harmless);

    if (result < 0) {
        fprintf(stderr, "  the harmless subject: %d\n", result);
        return EXIT_FAILURE;
    }
    printf("  the next match, of a harmless subject: yes\n");
    return EXIT_SUCCESS;
}

static int by_escape(const pcre2_code *code, struct arena *arena)
{
    struct matcher matcher;
    struct aw_guard guard;
    double begin_ms = now_ms();
    volatile int result = 0; /* an escape leaves other locals in doubt */

    printf("An escape out of pcre2_match, limit %d ms:\n", LIMIT_MS);
    if (!make_matcher(&matcher, arena))
        return EXIT_FAILURE;
    AW_GUARD(&guard, AW_MS(LIMIT_MS), AW_GUARD_ESCAPE) {
        result = match(code, &matcher, hostile);
    }
    AW_EXPIRED
    {
        printf("  thrown away: %zu bytes of match data and frames\n", arena->used);
    }
    if (report(&guard, begin_ms, result) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (result != 0) {
        fprintf(stderr, "  put off until the match ended by itself: %d\n", result);
        return EXIT_FAILURE;
    }
    /* `matcher` is not to be touched any more. A new one, in the same arena: */
    if (!make_matcher(&matcher, arena))
        return EXIT_FAILURE;
    return still_good(code, &matcher);
}

struct look {
    const struct aw_guard *guard;
    unsigned long times;
};

/* Any other negative number than PCRE2's own would do as well; this one is set aside for callouts. */
static int ask_guard(pcre2_callout_block *block, void *arg)
{
    struct look *look = arg;

    (void)block;
    look->times++;
    return aw_guard_expired(look->guard) ? PCRE2_ERROR_CALLOUT : 0;
}

static int by_callout(const pcre2_code *code, struct arena *arena)
{
    struct matcher matcher;
    struct aw_guard guard;
    struct look look = { &guard, 0 };
    double begin_ms = now_ms();
    int result = 0;

    printf("A callout that asks the guard, limit %d ms:\n", LIMIT_MS);
    if (!make_matcher(&matcher, arena) || pcre2_set_callout(matcher.context, ask_guard, &look) != 0)
        return EXIT_FAILURE;
    AW_GUARD(&guard, AW_MS(LIMIT_MS), AW_GUARD_DEFAULT) {
        result = match(code, &matcher, hostile);
    }
    if (report(&guard, begin_ms, result) != EXIT_SUCCESS || result != PCRE2_ERROR_CALLOUT)
        return EXIT_FAILURE;
    printf("  by pcre2_match itself, after %lu callouts: nothing is to be thrown away\n", look.times);
    return pcre2_set_callout(matcher.context, NULL, NULL) == 0 ? still_good(code, &matcher) : EXIT_FAILURE;
}

static unsigned long safepoints;

/*
 * A safe point in an escaping guard: it escapes if every frame up to the guard allows it. The JIT's does
 * not, so it returns. The shield holds back what was put off until pcre2_match has returned, and its result
 * is taken.
 */
static int pass_safepoint(pcre2_callout_block *block, void *arg)
{
    (void)block;
    (void)arg;
    safepoints++;
    if (aw_safepoint() == 0)
        return 0;
    aw_shield();
    return PCRE2_ERROR_CALLOUT;
}

static int out_of_jit(const pcre2_code *code, struct arena *arena)
{
    struct matcher matcher;
    struct aw_guard guard;
    double begin_ms = now_ms();
    volatile int result = 0;
    volatile bool reached_end = false;

    printf("An escape out of JIT code, limit %d ms:\n", LIMIT_MS);
    safepoints = 0;
    if (!make_matcher(&matcher, arena) || pcre2_set_callout(matcher.context, pass_safepoint, NULL) != 0)
        return EXIT_FAILURE;
    AW_GUARD(&guard, AW_MS(LIMIT_MS), AW_GUARD_ESCAPE) {
        result = match(code, &matcher, hostile);
        (void)aw_unshield(); /* here it escapes */
        reached_end = true;
    }
    if (report(&guard, begin_ms, result) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (result == 0 && safepoints == 0) {
        printf("  before the JIT code began: a busy machine\n");
        return EXIT_SUCCESS;
    }
    if (result != PCRE2_ERROR_CALLOUT || reached_end) {
        fprintf(stderr, "  the match returned %d, and the guard was left %s\n", result,
                reached_end ? "at its end" : "by an escape");
        return EXIT_FAILURE;
    }
    printf("  put off until callout %lu ended the match; made by the unshield behind it\n", safepoints);
    return EXIT_SUCCESS;
}

static pcre2_code *compile(uint32_t options)
{
    PCRE2_SIZE where;
    int error;

    return pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &where, NULL);
}

static int bound(const pcre2_code *plain, pcre2_code *with_callouts)
{
    static struct arena arena;
    uint32_t has_jit = 0;

    if (plain == NULL || with_callouts == NULL) {
        fprintf(stderr, "pcre2_compile failed\n");
        return EXIT_FAILURE;
    }
    if (by_callout(with_callouts, &arena) != EXIT_SUCCESS || by_escape(plain, &arena) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (pcre2_config(PCRE2_CONFIG_JIT, &has_jit) != 0 || has_jit == 0 ||
        pcre2_jit_compile(with_callouts, PCRE2_JIT_COMPLETE) != 0) {
        printf("There is no JIT here to escape from.\n");
        return EXIT_SUCCESS;
    }
    return out_of_jit(with_callouts, &arena);
}

int main(void)
{
    pcre2_code *plain = compile(0);
    pcre2_code *with_callouts = compile(PCRE2_AUTO_CALLOUT);
    int result = EXIT_FAILURE;
    int error = aw_init(NULL);

    /* The promise. The address must be the library's own, as it is in a position-independent program. */
    if (error == 0)
        error = aw_guard_allow((const void *)(uintptr_t)pcre2_match);
    if (error != 0)
        fprintf(stderr, "regex_bound: %s\n", strerror(-error));
    else
        result = bound(plain, with_callouts);
    pcre2_code_free(plain);
    pcre2_code_free(with_callouts);
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
