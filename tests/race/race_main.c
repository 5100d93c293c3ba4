/* SPDX-License-Identifier: MIT */
/*
 * race_main.c: the race checker's command line. `race PIECE...` runs the pieces (all, if none is named) and
 * expects nothing wrong at any boundary; `race --broken NAME PIECE` expects that the broken copy of the
 * library that it was linked with is caught, by a signal at some boundary and not by the clean run. One line
 * is printed a piece and pass.
 */
#include "stepper.h"
#include "symbol.h"

#include <stdio.h>
#include <string.h>

#define LIMIT 1500
#define ASLEEP_TRIES 25
#define SKIP 77

/*
 * alarm: the deadline passes and the kernel's signal arrives. stray: a signal of kill(2), nothing due:
 * nothing may fire. twice: after the alarm, what the handler programmed. late: the alarm comes so late that
 * the library thinks it lost.
 */
static const struct race_event events[] = {
    { .name = "alarm", .code = SI_KERNEL, .jump = true },
    { .name = "stray", .code = SI_USER },
    { .name = "twice", .code = SI_KERNEL, .jump = true, .twice = true },
    { .name = "late", .code = SI_KERNEL, .jump = true, .late = true },
    { .name = NULL },
};

/* What else can happen at a boundary: a handler that is not ours runs, perhaps as the alarm comes, or the
 * other thread. */
static const struct race_event foreign_events[] = {
    { .name = "signal", .code = SI_USER },
    { .name = "both", .code = SI_USER, .jump = true, .both = true },
    { .name = "asleep", .asleep = true },
    { .name = NULL },
};
static const struct race_event thread_events[] = { { .name = "thread" }, { .name = NULL } };

/* And where a peer becomes ready as the alarm comes, the instant in which both wake the sleeping child. */
static const struct race_event ready_events[] = {
    { .name = "alarm", .code = SI_KERNEL, .jump = true },
    { .name = "stray", .code = SI_USER },
    { .name = "asleep", .asleep = true, .alarm_first = true },
    { .name = "asleep", .asleep = true },
    { .name = NULL },
};

/* How often which outcome was seen. */
struct tally {
    char word[8][32];
    unsigned count[8];
    unsigned words;
};

static void count_outcome(struct tally *tally)
{
    unsigned i = 0;

    while (i < tally->words && strcmp(tally->word[i], race_page->outcome) != 0)
        i++;
    if (i == 8)
        i = 7;
    if (i == tally->words) {
        snprintf(tally->word[i], sizeof tally->word[i], "%s", race_page->outcome);
        tally->words++;
    }
    tally->count[i]++;
}

static const struct race_event *passes_of(const struct race_piece *piece)
{
    if (piece->flags & (RACE_THREAD | RACE_SECOND))
        return thread_events;
    if (piece->signo != 0)
        return foreign_events;
    return piece->flags & RACE_READY ? ready_events : events;
}

static bool is_left_out(const struct race_piece *piece, const struct race_event *event)
{
    if (event->asleep)
        return !(piece->flags & RACE_SLEEPS);
    if (event->both)
        return !(piece->flags & RACE_BOTH);
    if (piece->flags & RACE_ALARM_ONLY)
        return !event->jump || event->late || event->twice;
    return piece->signo == 0 && event->code == SI_USER && piece->flags & RACE_NO_STRAY;
}

/* Runs all boundaries of one pass. The boundaries at which it went wrong, or -1: no ptrace. */
static long run_pass(const struct race_piece *piece, const struct race_event *event,
                     const struct race_record *record, const char *broken)
{
    struct tally tally = { .words = 0 };
    unsigned missed = 0;
    long wrong = 0;

    size_t count = event->asleep ? ASLEEP_TRIES : record->count;
    size_t found = event->asleep ? ASLEEP_TRIES : record->found;

    for (size_t k = 0; k < count; k++) {
        const struct race_boundary *boundary = &record->boundaries[event->asleep ? 0 : k];
        enum race_end end = race_replay(piece, event, boundary);
        char place[128];

        if (end == RACE_NO_PTRACE)
            return -1;
        if (end == RACE_GOOD) {
            count_outcome(&tally);
            continue;
        }
        if (event->asleep)
            snprintf(place, sizeof place, "where it sleeps");
        else
            symbol_of(boundary->address, place, sizeof place);
        if (end == RACE_MISSED) {
            if (missed++ == 0)
                printf("  %s %s, boundary %zu of %zu, %s, hit %u: not reached\n", piece->name, event->name,
                       k + 1, count, place, boundary->hit);
            continue;
        }
        if (wrong++ < 5)
            printf("  %s %s, boundary %zu of %zu, %s (%#lx), hit %u: %s\n", piece->name, event->name, k + 1,
                   count, place, (unsigned long)boundary->address, boundary->hit, race_page->failure);
        if (broken != NULL)
            break;
    }
    printf("%-20s %-6s %s: %zu %s", piece->name, event->name, broken == NULL ? "as it is" : broken, count,
           event->asleep ? "tries" : "boundaries");
    if (found != count)
        printf(" of %zu", found);
    printf(": %ld wrong", wrong);
    for (unsigned i = 0; i < tally.words; i++)
        printf(", %u %s", tally.count[i], tally.word[i]);
    if (missed != 0)
        printf(", %u NOT REACHED", missed);
    printf("\n");
    return wrong + (broken == NULL ? missed : 0);
}

/* The boundaries at which the piece went wrong, in all passes; -1: no ptrace; -2: the clean run was wrong. */
static long run_piece(const struct race_piece *piece, const char *broken)
{
    struct race_record record;
    long wrong = 0;
    enum race_end end = race_record(piece, &record, LIMIT);

    if (end == RACE_NO_PTRACE)
        return -1;
    if (end != RACE_GOOD || record.count == 0) {
        printf("%s: the run without a signal is wrong: %s\n", piece->name,
               end != RACE_GOOD ? race_page->failure : "no boundary was seen");
        return -2;
    }
    for (const struct race_event *event = passes_of(piece); event->name != NULL && wrong >= 0; event++) {
        long more;

        if (is_left_out(piece, event))
            continue;
        more = run_pass(piece, event, &record, broken);
        wrong = more < 0 ? more : wrong + more;
        if (broken != NULL && wrong != 0)
            break;
    }
    return wrong;
}

/* Among the names on the command line; none means all. */
static bool is_wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return count == 0;
}

/* What all the wanted pieces came to. */
struct verdict {
    int ran;
    bool no_ptrace;
    bool bad;    /* wrong without any signal */
    bool caught; /* wrong at some boundary */
};

static struct verdict run_wanted(const char *broken, char **names, int count)
{
    struct verdict verdict = { .ran = 0 };

    for (size_t list = 0; race_pieces[list] != NULL; list++) {
        for (const struct race_piece *piece = race_pieces[list]; piece->name != NULL; piece++) {
            long wrong;

            if (!is_wanted(piece->name, names, count))
                continue;
            verdict.ran++;
            wrong = run_piece(piece, broken);
            verdict.no_ptrace = verdict.no_ptrace || wrong == -1;
            verdict.bad = verdict.bad || wrong == -2;
            verdict.caught = verdict.caught || wrong > 0;
        }
    }
    return verdict;
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    const char *broken = NULL;
    int first = 1;
    struct verdict verdict;
    char place[8];

    if (argc > 2 && strcmp(argv[1], "--broken") == 0) {
        broken = argv[2];
        first = 3;
    }
    /* What is to be mapped is mapped before the first child: see stepper.c. */
    setvbuf(stdout, output, _IOLBF, sizeof output);
    symbol_of(0, place, sizeof place);
    if (race_stepper_start() != 0) {
        perror("race");
        return 1;
    }
    verdict = run_wanted(broken, argv + first, argc - first);
    if (verdict.no_ptrace) {
        printf("skipped: ptrace is not allowed here\n");
        return SKIP;
    }
    if (verdict.ran == 0 || (first != argc && verdict.ran != argc - first)) {
        printf("no such piece\n");
        return 1;
    }
    if (broken == NULL)
        return verdict.bad || verdict.caught ? 1 : 0;
    printf("%s: %s\n", broken,
           verdict.bad      ? "broken without any signal: not a race"
           : verdict.caught ? "caught"
                            : "NOT CAUGHT");
    return !verdict.bad && verdict.caught ? 0 : 1;
}
