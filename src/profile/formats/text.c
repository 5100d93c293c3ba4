/* SPDX-License-Identifier: MIT */
/*
 * text.c: a table of functions: their own time, and that of stacks that they stand in (once, however often
 * they do). Lines stay within 100 columns. The shares that are shown add up to what is shown as the whole:
 * they are rounded together, not one by one. No floating point is printed: its look depends on the
 * program's locale.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "titles.h"
#include "utf8.h"

#define ROWS 30u
#define NAME_COLUMNS 57u
#define WHOLE_PERCENT 10000u /* in hundredths */

struct row {
    const struct awi_function *function;
    uint64_t flat_ns;
    uint64_t cum_ns;
    uint64_t flat_percent; /* as shown, in hundredths */
    uint64_t flat_time;    /* as shown, in thousandths of the unit */
    size_t last;           /* 1 + the last sample that it was found in */
};

struct unit {
    const char *name;
    uint64_t thousandth_ns;
};

struct table {
    struct row *rows;
    size_t count;
    uint64_t time_ns;
    uint64_t time; /* as shown */
    struct unit unit;
};

struct value {
    char text[32];
};

static struct value show(uint64_t thousandths, unsigned digits, const char *unit)
{
    struct value value;
    uint64_t one = digits == 3 ? 1000 : digits == 2 ? 100 : 10;
    (void)snprintf(value.text, sizeof value.text, "%" PRIu64 ".%0*" PRIu64 "%s", thousandths / one,
                   (int)digits, thousandths % one, unit);
    return value;
}

static uint64_t rounded(uint64_t value, uint64_t unit)
{
    return value / unit + (value % unit >= unit - unit / 2);
}

/* The largest of which there is one at least. */
static struct unit unit_of(uint64_t time_ns)
{
    static const struct unit units[] = { { " s", 1000000 }, { " ms", 1000 } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (time_ns >= 1000 * units[i].thousandth_ns)
            return units[i];
    return (struct unit){ " us", 1 };
}

static struct value show_time(uint64_t time_ns)
{
    struct unit unit = unit_of(time_ns);
    return show(rounded(time_ns, unit.thousandth_ns), 3, unit.name);
}

/* ---- what the samples say ---- */

static void count_sample(struct table *table, const struct aw_profile *profile,
                         const struct awi_symbols *symbols, size_t index)
{
    const struct awi_stack_names *stack = &symbols->stacks[index];
    uint64_t time_ns = profile->samples[index].time_ns;
    for (uint32_t i = 0; i < stack->depth; ++i) {
        const struct awi_location *location = &symbols->locations[stack->locations[i]];
        for (uint32_t j = 0; j < location->frames_count; ++j) {
            struct row *row = &table->rows[location->frames[j].function];
            if (row->last != index + 1)
                row->cum_ns += time_ns;
            row->last = index + 1;
        }
    }
    if (stack->depth != 0)
        table->rows[symbols->locations[stack->locations[0]].frames[0].function].flat_ns += time_ns;
    table->time_ns += time_ns;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *one = a, *other = b;
    if (one->flat_ns != other->flat_ns)
        return one->flat_ns > other->flat_ns ? -1 : 1;
    if (one->cum_ns != other->cum_ns)
        return one->cum_ns > other->cum_ns ? -1 : 1;
    int order = strcmp(one->function->name, other->function->name);
    if (order == 0)
        order = strcmp(one->function->file, other->function->file);
    return order != 0 ? order : (one->function > other->function) - (one->function < other->function);
}

static int count_functions(struct table *table, const struct aw_profile *profile,
                           const struct awi_symbols *symbols)
{
    size_t kept = 0;
    table->rows = calloc(symbols->functions_count + 1, sizeof *table->rows);
    if (table->rows == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < symbols->functions_count; ++i)
        table->rows[i].function = &symbols->functions[i];
    for (size_t i = 0; i < profile->samples_count; ++i)
        count_sample(table, profile, symbols, i);
    for (size_t i = 0; i < symbols->functions_count; ++i)
        if (table->rows[i].last != 0)
            table->rows[kept++] = table->rows[i];
    table->count = kept;
    qsort(table->rows, kept, sizeof *table->rows, compare_rows);
    return 0;
}

/* ---- rounding ---- */

struct remainder {
    size_t row;
    double part;
};

static int compare_remainders(const void *a, const void *b)
{
    const struct remainder *one = a, *other = b;
    if (one->part > other->part || one->part < other->part)
        return one->part > other->part ? -1 : 1;
    return one->row < other->row ? -1 : 1;
}

/*
 * Shares out `whole` among the rows by their flat time: each gets its share rounded down, and those that lost
 * the most by that one more, until nothing is left.
 */
static void apportion(const struct table *table, struct remainder *remainders, uint64_t whole,
                      bool is_percent)
{
    uint64_t left = whole;
    size_t count = 0;
    for (; count < table->count && table->rows[count].flat_ns != 0; ++count) {
        struct row *row = &table->rows[count];
        double share = (double)row->flat_ns / (double)table->time_ns * (double)whole;
        uint64_t shown = (uint64_t)share < left ? (uint64_t)share : left;
        *(is_percent ? &row->flat_percent : &row->flat_time) = shown;
        remainders[count] = (struct remainder){ count, share - (double)shown };
        left -= shown;
    }
    qsort(remainders, count, sizeof *remainders, compare_remainders);
    for (size_t i = 0; i < count && left != 0; ++i, --left) {
        struct row *row = &table->rows[remainders[i].row];
        ++*(is_percent ? &row->flat_percent : &row->flat_time);
    }
}

static int round_rows(struct table *table)
{
    struct remainder *remainders = calloc(table->count + 1, sizeof *remainders);
    if (remainders == NULL)
        return -ENOMEM;
    table->unit = unit_of(table->time_ns);
    table->time = rounded(table->time_ns, table->unit.thousandth_ns);
    apportion(table, remainders, WHOLE_PERCENT, true);
    apportion(table, remainders, table->time, false);
    free(remainders);
    return 0;
}

/* What callees add is rounded for itself: a function that calls none shows the same twice. */
static uint64_t cum_shown(const struct table *table, const struct row *row, uint64_t flat, uint64_t whole)
{
    if (table->time_ns == 0)
        return 0;
    double callees = (double)(row->cum_ns - row->flat_ns) / (double)table->time_ns * (double)whole;
    uint64_t cum = flat + (uint64_t)(callees + 0.5);
    return cum < whole ? cum : whole;
}

/* ---- lines ---- */

static void write_header(struct awi_output *output, const struct aw_profile *profile, uint64_t time_ns)
{
    uint64_t counts[AWI_UNSAMPLED + 1] = { 0 };
    for (size_t i = 0; i < profile->samples_count; ++i)
        counts[profile->samples[i].kind] += profile->samples[i].count;
    uint64_t samples = counts[AWI_STACK] + counts[AWI_TRUNCATED];
    awi_output_print(output, "%s time %s in %s; threads: %zu; samples: %" PRIu64,
                     awi_clock_title(profile->clock), show_time(time_ns).text,
                     show_time(profile->elapsed_ns).text, profile->threads_count, samples);
    if (counts[AWI_LOST] != 0)
        awi_output_print(output, "; lost: %" PRIu64, counts[AWI_LOST]);
    if (counts[AWI_TRUNCATED] != 0)
        awi_output_print(output, "; truncated: %" PRIu64, counts[AWI_TRUNCATED]);
    awi_output_text(output, "\n");
    if (time_ns == 0)
        return;
    double tenths = (double)(samples + counts[AWI_LOST]) * 1e10 / (double)time_ns;
    awi_output_print(output, "samples a second: %s", show((uint64_t)(tenths + 0.5), 1, "").text);
    if (profile->stats.requested_hz != 0)
        awi_output_print(output, "; asked for: %u", profile->stats.requested_hz);
    if (profile->stats.capped_hz != 0)
        awi_output_print(output, "; the kernel delivers at most %u", profile->stats.capped_hz);
    awi_output_text(output, "\n");
}

/* Returns the columns that were used: characters, which is right for most scripts. */
static unsigned write_name(struct awi_output *output, const char *text, unsigned columns)
{
    unsigned used = 0, all = 0;
    for (const char *at = text; *at != '\0'; at += awi_utf8_length(at))
        ++all;
    unsigned shown = all <= columns ? all : columns - 3;
    for (; used < shown; ++used) {
        size_t length = awi_utf8_length(text);
        awi_output_bytes(output, text, length);
        text += length;
    }
    if (all > columns)
        awi_output_text(output, "...");
    return all <= columns ? all : columns;
}

/* The file if there is room for it. */
static void write_function(struct awi_output *output, const struct awi_function *function, char *clean)
{
    char line[16] = "";
    (void)awi_utf8_copy(clean, *function->name != '\0' ? function->name : AWI_TITLE_UNKNOWN, false);
    unsigned used = write_name(output, clean, NAME_COLUMNS);
    size_t length = awi_utf8_copy(clean, awi_file_title(function->file), false);
    if (length != 0 && function->line != 0)
        (void)snprintf(line, sizeof line, ":%" PRIu32, function->line);
    if (length != 0 && used + 2 + length + strlen(line) <= NAME_COLUMNS)
        awi_output_print(output, "  %s%s", clean, line);
    awi_output_text(output, "\n");
}

static void write_numbers(struct awi_output *output, const struct table *table, const struct row *row)
{
    uint64_t cum_time = cum_shown(table, row, row->flat_time, table->time);
    uint64_t cum_percent = cum_shown(table, row, row->flat_percent, WHOLE_PERCENT);
    awi_output_print(output, "%12s %7s %12s %7s  ", show(row->flat_time, 3, table->unit.name).text,
                     show(row->flat_percent, 2, "%").text, show(cum_time, 3, table->unit.name).text,
                     show(cum_percent, 2, "%").text);
}

static void write_left_out(struct awi_output *output, const struct table *table)
{
    uint64_t time = 0, percent = 0;
    for (size_t i = ROWS; i < table->count; ++i) {
        time += table->rows[i].flat_time;
        percent += table->rows[i].flat_percent;
    }
    awi_output_print(output, "%12s %7s %12s %7s  %zu more\n", show(time, 3, table->unit.name).text,
                     show(percent, 2, "%").text, "", "", table->count - ROWS);
}

static int write_rows(struct awi_output *output, const struct table *table)
{
    size_t longest = sizeof AWI_TITLE_UNKNOWN;
    for (size_t i = 0; i < table->count && i < ROWS; ++i) {
        size_t name = strlen(table->rows[i].function->name), file = strlen(table->rows[i].function->file);
        longest = name > longest ? name : longest;
        longest = file > longest ? file : longest;
    }
    char *clean = malloc(3 * longest + 1);
    if (clean == NULL)
        return -ENOMEM;
    awi_output_print(output, "\n%12s %7s %12s %7s  function\n", "flat", "flat%", "cum", "cum%");
    for (size_t i = 0; i < table->count && i < ROWS; ++i) {
        write_numbers(output, table, &table->rows[i]);
        write_function(output, table->rows[i].function, clean);
    }
    if (table->count > ROWS)
        write_left_out(output, table);
    free(clean);
    return 0;
}

static int write_title(struct awi_output *output, const struct aw_profile *profile)
{
    const char *title = awi_program_title(profile);
    char *clean = malloc(3 * strlen(title) + 1);
    if (clean == NULL)
        return -ENOMEM;
    (void)awi_utf8_copy(clean, title, false);
    (void)write_name(output, clean, NAME_COLUMNS);
    awi_output_text(output, ": ");
    free(clean);
    return 0;
}

int awi_write_text(struct awi_output *output, const struct aw_profile *profile,
                   const struct awi_symbols *symbols)
{
    struct table table = { 0 };
    int result = count_functions(&table, profile, symbols);
    if (result == 0)
        result = round_rows(&table);
    if (result == 0)
        result = write_title(output, profile);
    if (result == 0) {
        write_header(output, profile, table.time_ns);
        result = write_rows(output, &table);
    }
    free(table.rows);
    return result;
}
