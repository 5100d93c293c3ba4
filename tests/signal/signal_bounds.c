/* SPDX-License-Identifier: MIT */
/*
 * signal_bounds.c: the table "What bounds what" of docs/guards.md, cell by cell. The page is read, and what
 * it says of each line and each means is held against a process in which that code runs under that means:
 * "in time" has to end although nothing else ends it, "when it returns" may not end before that, "never" is
 * seen to go on for ten time-outs and then killed. A line that only one of page and test knows is a failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds_cell.h"
#include "check_main.h"
#include "signal_fixture.h"

/* ---- the page ---- */

static const struct {
    const char *words;
    enum bound bound;
} vocabulary[] = {
    { "-", NO_SUCH },
    { "in time", IN_TIME },
    { "next safe point", WHEN_RELEASED },
    { "when it returns", WHEN_RELEASED },
    { "once unblocked", WHEN_RELEASED },
    { "once unshielded", WHEN_RELEASED },
    { "never", NEVER },
    { "after the grace", AFTER_GRACE },
    { "after twice the grace", AFTER_TWICE_GRACE },
};

#define MAX_ROWS 40u

struct page_row {
    char title[200];
    const char *words[N_MEANS]; /* NULL: not of the vocabulary */
    enum bound bounds[N_MEANS];
};

static struct page_row page[MAX_ROWS];
static size_t page_rows;

/* The next cell of a line, without emphasis, without what follows a semicolon. */
static char *next_cell(char **line)
{
    char *cell = *line;
    char *end = strchr(cell, '|');
    if (end == NULL)
        return NULL;
    *line = end + 1;
    char *note = memchr(cell, ';', (size_t)(end - cell));
    if (note != NULL)
        end = note;
    while (cell < end && (*cell == ' ' || *cell == '*'))
        ++cell;
    while (end > cell && (end[-1] == ' ' || end[-1] == '*'))
        --end;
    *end = '\0';
    return cell;
}

static void read_cell(struct page_row *row, size_t means, const char *cell)
{
    row->words[means] = NULL;
    for (size_t i = 0; cell != NULL && i < sizeof vocabulary / sizeof vocabulary[0]; ++i) {
        if (strcmp(cell, vocabulary[i].words) == 0) {
            row->words[means] = vocabulary[i].words;
            row->bounds[means] = vocabulary[i].bound;
        }
    }
}

static void read_row(char *line)
{
    struct page_row *row = &page[page_rows];
    if (page_rows == MAX_ROWS)
        return;
    ++line;
    const char *title = next_cell(&line);
    if (title == NULL || strncmp(title, "---", 3) == 0)
        return;
    snprintf(row->title, sizeof row->title, "%s", title);
    for (size_t i = 0; i < N_MEANS; ++i)
        read_cell(row, i, next_cell(&line));
    ++page_rows;
}

static void read_page(const char *path)
{
    static const char head[] = "| code inside the guard |";
    static char line[1000];
    bool inside = false;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (inside && line[0] == '|')
            read_row(line);
        else
            inside = strncmp(line, head, sizeof head - 1) == 0;
    }
    fclose(file);
}

static const struct page_row *row_of(const struct body *body)
{
    for (size_t i = 0; i < page_rows; ++i) {
        if (strcmp(page[i].title, body->row) == 0)
            return &page[i];
    }
    return NULL;
}

/* ---- the bodies ---- */

#define MAX_BODIES 60u

static const struct body *bodies[MAX_BODIES];
static size_t n_bodies;

static void add_bodies(const struct body *body)
{
    for (; body->row != NULL; ++body) {
        if (n_bodies < MAX_BODIES)
            bodies[n_bodies++] = body;
    }
}

/* ---- the tests ---- */

START_TEST(page_and_test_know_the_same_lines)
{
    ck_assert_msg(page_rows != 0, "there is no table in %s", AW_GUARDS_PAGE);
    for (size_t i = 0; i < page_rows; ++i) {
        bool is_known = false;
        for (size_t k = 0; k < n_bodies; ++k)
            is_known |= strcmp(bodies[k]->row, page[i].title) == 0;
        ck_assert_msg(is_known, "nothing runs for the page's line: %s", page[i].title);
        for (size_t k = 0; k < N_MEANS; ++k)
            ck_assert_msg(page[i].words[k] != NULL, "not a word for it, column %zu of: %s", k + 2,
                          page[i].title);
    }
    for (size_t k = 0; k < n_bodies; ++k) {
        const struct page_row *row = row_of(bodies[k]);
        ck_assert_msg(row != NULL, "not in the page: %s", bodies[k]->row);
        ck_assert_msg((row->bounds[1] == NO_SUCH) == (bodies[k]->guarded == NULL),
                      "page and test differ on whether there is a guarded call: %s", row->title);
    }
}
END_TEST

/*
 * valgrind runs a vfork as a fork, lets no signal into a record lock, and flushes stdio at _exit.
 * AddressSanitizer's `read` is not libc's, so that a loop on it is not escaped from.
 */
static bool runs_here(const struct body *body)
{
    static const char *const not_under_valgrind[] = { "vfork", "fcntl", "fprintf", "fflush" };
    for (size_t i = 0; under_valgrind() && i < sizeof not_under_valgrind / sizeof not_under_valgrind[0];
         ++i) {
        if (strcmp(body->name, not_under_valgrind[i]) == 0)
            return false;
    }
    return !UNDER_ASAN || strcmp(body->name, "read for ever") != 0;
}

static void report(const struct cell *cell)
{
    const struct record *r = cell->record;
    uint64_t since = cell->bound == WHEN_RELEASED ? r->release_ns : r->start_ns + TIMEOUT_NS;
    if (getenv("AW_BOUNDS_REPORT") != NULL && r->end_ns != 0)
        printf("%-18s %-14s %d  %-24s %9.1f us, %llu rounds\n", cell->body->name, cell->means->name,
               cell->variant, cell->words, ((double)r->end_ns - (double)since) / 1e3,
               (unsigned long long)r->rounds);
}

static bool is_run(const struct cell *cell)
{
    return cell->bound != NO_SUCH && cell->means->is_here;
}

/*
 * All means at once, for one body: most of the time is spent asleep. The hard limit is waited for first: only
 * the test sees when it strikes.
 */
static void check_body(const struct body *body, int variant)
{
    const struct page_row *row = row_of(body);
    struct cell cells[N_MEANS];
    ck_assert_ptr_nonnull(row);
    for (size_t i = 0; i < N_MEANS; ++i) {
        cells[i] = (struct cell){ .body = body,
                                  .means = &all_means[i],
                                  .variant = variant,
                                  .bound = row->bounds[i],
                                  .words = row->words[i] };
        if (is_run(&cells[i]))
            start_cell(&cells[i]);
    }
    for (size_t i = N_MEANS; i-- != 0;) {
        bool has_ended = false;
        if (!is_run(&cells[i]))
            continue;
        const char *objection = judge_with_grace(&cells[i], &has_ended);
        report(&cells[i]);
        ck_assert_msg(objection == NULL,
                      "%s (%s) under %s, variant %d: the page says '%s', but it %s; line %d", body->name,
                      body->row, all_means[i].name, variant, cells[i].words, objection,
                      cells[i].record->line);
        end_cell(&cells[i], has_ended);
    }
}

START_TEST(each_cell_is_as_the_page_says)
{
    const struct body *body = bodies[_i];
    for (int variant = 0; variant < VARIANTS && runs_here(body); variant += VARIANTS - 1)
        check_body(body, variant);
}
END_TEST

static const struct body *find_body(const char *name)
{
    size_t i = 0;
    while (i < n_bodies - 1 && strcmp(bodies[i]->name, name) != 0)
        ++i;
    return bodies[i];
}

/* What a wrong page would be told. */
START_TEST(a_wrong_page_is_objected_to)
{
    const struct {
        const char *body;
        size_t means;
        enum bound wrong;
        const char *objection;
    } claims[] = {
        { "read", 0, NEVER, "ended" },
        { "read", 0, WHEN_RELEASED, "ended before it was released" },
        { "snprintf", 0, IN_TIME, "goes on" },
        { "snprintf", 0, WHEN_RELEASED, "goes on" },
        { "qsort", 0, IN_TIME, "goes on" },
        { "qsort", 2, IN_TIME, "goes on" },
        { "snprintf", 3, NEVER, "ended" },
        { "snprintf", 4, AFTER_TWICE_GRACE, "was not killed by SIGKILL" },
        { "vfork", 4, AFTER_GRACE, "was killed" },
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; ++i) {
        bool has_ended = false;
        struct cell cell = { .body = find_body(claims[i].body),
                             .means = &all_means[claims[i].means],
                             .bound = claims[i].wrong };
        if (!runs_here(cell.body) || !cell.means->is_here)
            continue;
        grace_ns = claims[i].wrong == AFTER_TWICE_GRACE ? AW_SEC(1) : TIMEOUT_NS;
        release_after_ns = HANG_NS;
        start_cell(&cell);
        bool goes_on = strcmp(claims[i].objection, "goes on") == 0;
        const char *objection = judge(&cell, goes_on ? NEVER_NS : HANG_NS, &has_ended);
        end_cell(&cell, has_ended);
        ck_assert_msg(objection != NULL && strcmp(objection, claims[i].objection) == 0, "claim %zu: %s", i,
                      objection != NULL ? objection : "no objection");
    }
    grace_ns = TIMEOUT_NS;
    release_after_ns = RELEASE_NS;
}
END_TEST

static char state_of(pid_t pid)
{
    char path[40], line[200];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return '?';
    const char *name_end = fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
    fclose(file);
    if (name_end == NULL || name_end[1] != ' ')
        return '?';
    return name_end[2];
}

/* The line on uninterruptible sleep is about one. */
START_TEST(the_parent_of_a_vfork_sleeps_uninterruptibly)
{
    struct cell cell = { .body = find_body("vfork"), .means = &all_means[0], .bound = NEVER };
    uint64_t until = clock_ns() + HANG_NS;
    if (!runs_here(cell.body))
        return;
    start_cell(&cell);
    char state;
    while ((state = state_of(cell.pid)) != 'D' && clock_ns() < until)
        usleep(500);
    ck_assert_int_eq(state, 'D');
    end_cell(&cell, false);
}
END_TEST

/* ---- what the page says beside the table ---- */

START_TEST(a_blocked_alarm_is_seen_by_who_reads_the_clock)
{
    struct aw_guard guard;
    start_variant(_i);
    block_signal(variant_signo(_i));
    ck_assert_int_eq(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT), 0);
    spin_until(clock_ns() + 2 * TIMEOUT_NS);
    ck_assert_int_eq(aw_safepoint(), 0);
    ck_assert(!aw_guard_expired(&guard));
    ck_assert_int_eq(aw_dispatch(0), -ETIMEDOUT);
    ck_assert_int_eq(aw_safepoint(), -ETIMEDOUT);
    unblock_signal(variant_signo(_i));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

START_TEST(an_interrupted_write_says_how_far_it_came)
{
    static char block[1 << 20];
    struct aw_guard guard;
    int ends[2];
    start_variant(_i);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int size = fcntl(ends[0], F_GETPIPE_SZ);
    ck_assert_int_eq(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(write(ends[1], block, sizeof block), size);
    ck_assert_int_eq(write(ends[1], block, sizeof block), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

struct full_pipe {
    int ends[2];
    FILE *stream;
};

static void open_full_pipe(struct full_pipe *it)
{
    static const char block[4096];
    ck_assert_int_eq(pipe2(it->ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(it->ends[1], block, sizeof block) > 0)
        continue;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(fcntl(it->ends[1], F_SETFL, 0), 0);
    it->stream = fdopen(it->ends[1], "w");
    ck_assert_ptr_nonnull(it->stream);
}

/* What comes out of it beyond the zeros that filled it. */
static size_t drain(const struct full_pipe *it, char *text, size_t size)
{
    static char block[4096];
    size_t length = 0;
    ssize_t got;
    while ((got = read(it->ends[0], block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < got; ++i) {
            if (block[i] != '\0' && length + 1 < size)
                text[length++] = block[i];
        }
    }
    text[length] = '\0';
    return length;
}

START_TEST(an_interrupted_flush_loses_output)
{
    struct full_pipe it;
    struct aw_guard guard;
    char text[64];

    start_variant(_i);
    open_full_pipe(&it);
    ck_assert_int_ge(fputs("lost\n", it.stream), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT), 0);
    ck_assert_int_eq(fflush(it.stream), EOF);
    ck_assert_int_eq(errno, EINTR);
    ck_assert(aw_guard_expired(&guard));
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);

    ck_assert_uint_eq(drain(&it, text, sizeof text), 0);
    ck_assert_int_ge(fputs("kept\n", it.stream), 0);
    ck_assert_int_eq(fclose(it.stream), 0); /* and nobody says that anything is missing */
    drain(&it, text, sizeof text);
    ck_assert_str_eq(text, "kept\n");
    close(it.ends[0]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

static int make_room(void *arg)
{
    static char block[4096];
    const struct full_pipe *it = arg;
    return read(it->ends[0], block, sizeof block) == sizeof block ? 0 : 1;
}

START_TEST(a_shielded_flush_loses_nothing)
{
    struct full_pipe it;
    struct aw_guard guard;
    char text[64];

    start_variant(_i);
    open_full_pipe(&it);
    pid_t pid = in_child(4 * TIMEOUT_NS / AW_MS(1), make_room, &it);
    ck_assert_int_ge(fputs("kept\n", it.stream), 0);
    ck_assert_int_eq(aw_guard_enter(&guard, TIMEOUT_NS, AW_GUARD_DEFAULT), 0);
    uint64_t entered_ns = clock_ns();
    aw_shield();
    ck_assert_int_eq(fflush(it.stream), 0);
    spin_until(entered_ns + 2 * TIMEOUT_NS);
    ck_assert_int_eq(aw_unshield(), -ETIMEDOUT);
    ck_assert_int_eq(aw_guard_leave(&guard), -ETIMEDOUT);
    expect_exit(pid, 0);
    drain(&it, text, sizeof text);
    ck_assert_str_eq(text, "kept\n");
    fclose(it.stream);
    close(it.ends[0]);
    ck_assert_int_eq(aw_shutdown(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("what bounds what");
    TCase *table = signal_case(suite, "table");
    TCase *notes = signal_case(suite, "notes");

    read_page(AW_GUARDS_PAGE);
    add_bodies(call_bodies);
    add_bodies(other_bodies);
    tcase_add_test(table, page_and_test_know_the_same_lines);
    tcase_add_test(table, a_wrong_page_is_objected_to);
    tcase_add_test(table, the_parent_of_a_vfork_sleeps_uninterruptibly);
    tcase_add_loop_test(table, each_cell_is_as_the_page_says, 0, (int)n_bodies);
    tcase_add_loop_test(notes, a_blocked_alarm_is_seen_by_who_reads_the_clock, 0, VARIANTS);
    tcase_add_loop_test(notes, an_interrupted_write_says_how_far_it_came, 0, VARIANTS);
    tcase_add_loop_test(notes, an_interrupted_flush_loses_output, 0, VARIANTS);
    tcase_add_loop_test(notes, a_shielded_flush_loses_nothing, 0, VARIANTS);
    return run_suite(suite);
}
