/* SPDX-License-Identifier: MIT */
/* plan.c: see plan.h. Options only; it knows nothing of calls and signals. */
#include "plan.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const calls[] = { "open", "read", "accept", NULL };
static const char *const bys[] = { "timer", "tgkill", NULL };
static const char *const besides[] = { "0", "1", "2", "3", "4", NULL };
static const char *const owners[] = { "main", "other", NULL };
static const char *const interrupts[] = { "step", "restart", NULL };
static const char *const alarms[] = { "itimer", "posix", NULL };
static const char *const naives[] = { "none", "longjmp", "eintr", "pc", NULL };

static void usage(void)
{
    fputs("usage: stress_calls [--tries N] [--call open|read|accept] [--by timer|tgkill]\n"
          "                    [--beside 0..4] [--owner main|other] [--interrupt step|restart]\n"
          "                    [--alarm itimer|posix] [--naive none|longjmp|eintr|pc] [--nested]\n"
          "                    [--emulated] [--hang-ms N] [--enough N] [--seed N]\n"
          "Bounds blocking calls by deadlines around the instant at which the peer becomes ready.\n"
          "Options left out stand for: every call, by, interrupt; beside 0 and 2; owner main, and\n"
          "beside spinning threads other too; alarm itimer. Exit status 1: a hang, a leak, a lost\n"
          "byte or a wrong result; with --naive: nothing of the kind.\n",
          stderr);
}

static int index_of(const char *const names[], const char *name)
{
    for (int i = 0; names[i] != NULL; ++i) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    fprintf(stderr, "stress_calls: \"%s\"\n", name);
    return -1;
}

static bool parse_one(unsigned *bits, const char *const names[], const char *name)
{
    int i = index_of(names, name);
    *bits = i < 0 ? 0 : 1u << i;
    return i >= 0;
}

static bool parse_number(uint64_t *number, const char *text)
{
    char *end;
    *number = strtoull(text, &end, 10);
    return *text != '\0' && *end == '\0';
}

static bool parse_naive(struct plan *rest, const char *name)
{
    int i = index_of(naives, name);
    rest->bounded = i < 0 ? BY_US : (enum bounded)i;
#if !defined(__x86_64__)
    if (rest->bounded == BY_PC) {
        fputs("stress_calls: --naive pc is for x86-64\n", stderr);
        return false;
    }
#endif
    return i >= 0;
}

static bool parse_option(struct choice *choice, int option, const char *text)
{
    uint64_t number = 0;
    struct plan *rest = &choice->rest;
    switch (option) {
    case 'c':
        return parse_one(&choice->calls, calls, text);
    case 'y':
        return parse_one(&choice->bys, bys, text);
    case 'b':
        return parse_one(&choice->besides, besides, text);
    case 'o':
        return parse_one(&choice->owners, owners, text);
    case 'i':
        return parse_one(&choice->interrupts, interrupts, text);
    case 'a':
        return parse_one(&choice->alarms, alarms, text);
    case 'n':
        return parse_naive(rest, text);
    case 'N':
        rest->nested = true;
        return true;
    case 'E':
        rest->emulated = true;
        return true;
    case 't':
        rest->tries = parse_number(&number, text) ? (unsigned)number : 0;
        return rest->tries != 0;
    case 'h':
        rest->hang_ns = parse_number(&number, text) ? AW_MS(number) : 0;
        return rest->hang_ns != 0;
    case 'e':
        rest->enough = parse_number(&number, text) ? (unsigned)number : 0;
        return rest->enough != 0;
    case 's':
        return parse_number(&rest->seed, text);
    default:
        return false;
    }
}

/* What was not said. The naive ones know neither our alarm nor how we interrupt, and have one thread. */
static void fill_in(struct choice *choice)
{
    struct plan *rest = &choice->rest;
    bool ours = rest->bounded == BY_US;
    if (choice->calls == 0)
        choice->calls = 7;
    if (choice->bys == 0)
        choice->bys = 3;
    if (choice->besides == 0)
        choice->besides = 1u << 0 | 1u << 2;
    if (choice->interrupts == 0)
        choice->interrupts = 3;
    if (choice->alarms == 0)
        choice->alarms = 1u << AW_ALARM_ITIMER;
    if (!ours) {
        choice->owners = 1;
        choice->interrupts = 1u << AW_INTERRUPT_STEP;
        choice->alarms = 1u << AW_ALARM_ITIMER;
    }
    if (rest->hang_ns == 0)
        rest->hang_ns = ours ? AW_SEC(10) : AW_MS(200);
    if (rest->enough == 0)
        rest->enough = ours ? 3 : 10;
}

bool choice_parse(struct choice *choice, int argc, char **argv)
{
    static const struct option options[] = {
        { "tries", required_argument, NULL, 't' },   { "call", required_argument, NULL, 'c' },
        { "by", required_argument, NULL, 'y' },      { "beside", required_argument, NULL, 'b' },
        { "owner", required_argument, NULL, 'o' },   { "interrupt", required_argument, NULL, 'i' },
        { "alarm", required_argument, NULL, 'a' },   { "naive", required_argument, NULL, 'n' },
        { "nested", no_argument, NULL, 'N' },        { "emulated", no_argument, NULL, 'E' },
        { "hang-ms", required_argument, NULL, 'h' }, { "enough", required_argument, NULL, 'e' },
        { "seed", required_argument, NULL, 's' },    { NULL, 0, NULL, 0 }
    };
    int option;
    memset(choice, 0, sizeof *choice);
    choice->rest.tries = 1000;
    choice->rest.seed = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!parse_option(choice, option, optarg)) {
            usage();
            return false;
        }
    }
    if (optind != argc) {
        usage();
        return false;
    }
    fill_in(choice);
    return true;
}

/* One number counts through all the combinations, the last digit fastest. */
static bool take(unsigned *combination, unsigned bits, unsigned values, unsigned *value)
{
    *value = *combination % values;
    *combination /= values;
    return (bits >> *value & 1) != 0;
}

void choice_each(const struct choice *choice, void (*run)(const struct plan *plan, void *arg), void *arg)
{
    for (unsigned combination = 0; combination < 3 * 2 * 5 * 2 * 2 * 2; ++combination) {
        struct plan plan = choice->rest;
        unsigned left = combination, owner, beside, by, interrupt, alarm, call;
        bool chosen = take(&left, choice->alarms, 2, &alarm);
        chosen &= take(&left, choice->interrupts, 2, &interrupt);
        bool any_owner = choice->owners == 0;
        take(&left, 0, 2, &owner);
        chosen &= take(&left, choice->besides, 5, &beside);
        chosen &= take(&left, choice->bys, 2, &by);
        chosen &= take(&left, choice->calls, 3, &call);
        chosen &= any_owner ? owner == 0 || beside != 0 : (choice->owners >> owner & 1) != 0;
        if (!chosen)
            continue;
        plan.alarm = (enum aw_alarm)alarm;
        plan.interrupt = (enum aw_interrupt)interrupt;
        plan.owner_first = owner == 0;
        plan.beside = beside;
        plan.by = (enum by)by;
        plan.call = (enum call)call;
        run(&plan, arg);
    }
}

void plan_describe(const struct plan *plan, char *text, unsigned size)
{
    const char *who = naives[plan->bounded];
    if (plan->bounded == BY_US)
        who = interrupts[plan->interrupt];
    snprintf(text, size, "%-6s by %-6s beside %u owner %-5s %s%s%s", calls[plan->call], bys[plan->by],
             plan->beside, owners[!plan->owner_first], who, plan->alarm == AW_ALARM_POSIX ? " posix" : "",
             plan->nested ? " nested" : "");
}
